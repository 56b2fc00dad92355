from __future__ import annotations

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, InPlaceAfter, images
from voxcam.cam.asking import inquiry as asking
from voxcam.cam.asking.inquiry import Inquiry, autocast_state


def inquiry_of(network, x, classes=((1, 0), (2, 2)), count=lambda _: None):
    with torch.no_grad():
        logits = network(x)
    return Inquiry(network, x, logits, torch.tensor(classes), 3, count, autocast_state(x.device))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_other_inputs_are_answered_in_batches_as_the_network_answers_them(rank, monkeypatch):
    network, counted = Deep(rank).eval(), []
    inquiry = inquiry_of(network, images(rank), count=counted.append)
    others = images(rank, 5, seed=9)
    monkeypatch.setattr(asking, "VOXELS_AT_ONCE", 2 * others[0].numel())
    with torch.no_grad():
        assert_agree(inquiry.again(others), network(others))
    assert counted == [2, 2, 1]


def test_weights_with_channels_last_stand_in_and_leave_the_network_alone():
    network = Deep(2).eval()
    kept = {name: (id(weight), weight.stride()) for name, weight in network.named_parameters()}
    inquiry = inquiry_of(network, images(2))
    assert inquiry._faster
    inquiry.again(images(2))
    assert {name: (id(w), w.stride()) for name, w in network.named_parameters()} == kept
    assert not inquiry_of(Deep(3).eval(), images(3))._faster


def test_the_logits_asked_are_those_of_each_sample():
    network, x = Deep(2).eval(), images(2)
    inquiry = inquiry_of(network, x)
    with torch.no_grad():
        logits = network(x)
    assert torch.equal(inquiry.logits, torch.stack([logits[0, [1, 0]], logits[1, [2, 2]]]))
    assert inquiry.directions.sum(-1).eq(1).all()
    assert torch.equal((inquiry.directions * logits[:, None]).sum(-1), inquiry.logits)


@pytest.mark.parametrize("network", [Deep(2), InPlaceAfter()])
def test_gradients_at_the_input_are_autograds(network):
    network, x = network.eval(), images(2)
    found = inquiry_of(network, x).input_gradients(x)
    leaf = x.clone().requires_grad_()
    logits = network(leaf)
    for sample, classes in enumerate([(1, 0), (2, 2)]):
        for place, index in enumerate(classes):
            (expected,) = torch.autograd.grad(logits[sample, index], leaf, retain_graph=True)
            assert_agree(found[sample, place], expected[sample])


def test_an_error_of_the_counter_ends_the_work():
    def stop(_):
        raise KeyboardInterrupt

    inquiry = inquiry_of(Deep(2).eval(), images(2), count=stop)
    with pytest.raises(KeyboardInterrupt):
        inquiry.again(images(2))


def test_the_callers_autocast_holds_inside_and_not_after():
    network, x = Deep(2).eval(), images(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inquiry = inquiry_of(network, x)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = network(x).float()
    with torch.autocast("cpu", enabled=False):
        found = inquiry.again(x)
        assert not torch.is_autocast_enabled("cpu")
    assert_agree(found, expected, 2e-2)
    with torch.no_grad():
        assert not torch.equal(found, network(x))  # it did run in bfloat16
