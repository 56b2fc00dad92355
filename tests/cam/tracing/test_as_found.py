"""The network, the caller's modes and the random state are the same after a call as before."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, InPlaceAfter, NoVmapRule, images
from voxcam import cam

HOOKS = [name for name in vars(nn.Module()) if "hooks" in name]


class Noisy(Deep):
    """Draws random numbers even in evaluation, and may fail in its head."""

    fails = False

    def forward(self, x):
        x = self.middle(functional.dropout(self.trunk(x), 0.5, training=True))
        if self.fails:
            raise ZeroDivisionError("in the head")
        return self.head(x)


def state_of(network):
    modules = {
        name: (m.training, getattr(m, "inplace", None), [list(getattr(m, hooks).values()) for hooks in HOOKS])
        for name, m in network.named_modules()
        for hooks in HOOKS
    }
    weights = {
        name: (
            p.requires_grad,
            p.dtype,
            p.data_ptr(),
            p._version,
            None if p.grad is None else p.grad.tolist(),
        )
        for name, p in network.named_parameters()
    }
    buffers = {name: (b.data_ptr(), b.tolist()) for name, b in network.named_buffers()}
    modes = (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
    )
    return modules, weights, buffers, modes


def lived_in(network):
    """Flags that differ by module, some frozen weights, gradients of a step, hooks of its owner."""
    network(images(2)).sum().backward()
    network.train()
    network.trunk[1].eval()
    network.head.eval()
    next(network.trunk.parameters()).requires_grad_(False)
    network.trunk.register_forward_hook(lambda *_: None)
    network.middle.register_forward_pre_hook(lambda *_: None)
    network.trunk[2].inplace = True
    return network


CALLS = {
    "class_maps": lambda n, x: cam.class_maps(n, x, ["trunk", "middle"], ("grad-cam", "layer-cam"), chunk=2),
    "capture": lambda n, x: cam.capture(n, x, "trunk", [0, 3]),
    "candidate_layers": cam.candidate_layers,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("kind", [Deep, Noisy, NoVmapRule])
def test_call_leaves_no_trace(call, kind):
    network = lived_in(kind(2))
    x = images(2)
    before, x_before = state_of(network), x.clone()
    call(network, x)
    assert state_of(network) == before
    assert torch.equal(x, x_before)
    assert not x.requires_grad


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_call_leaves_no_trace_when_the_head_fails(call):
    network = lived_in(Noisy(2))
    before = state_of(network)
    network.fails = True
    with pytest.raises(ZeroDivisionError):
        call(network, images(2))
    assert state_of(network) == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("fails", [False, True])
def test_callers_grad_mode_is_put_back(mode, fails):
    network = Noisy(2)
    with mode():
        before = state_of(network)
        network.fails = fails
        try:
            cam.class_maps(network, images(2), "trunk")
        except ZeroDivisionError:
            assert fails
        assert state_of(network) == before


def test_network_that_overrides_eval_is_neither_merged_nor_frozen():
    class Merging(Deep):
        merged = 0

        def train(self, mode=True):
            self.merged += 1
            return super().train(mode)

    network = Merging(2)
    cam.class_maps(network, images(2), "trunk")
    assert network.merged == 0


def test_maps_are_those_of_evaluation_mode():
    training, evaluating = Deep(2).train(), Deep(2).eval()
    one, other = (cam.class_maps(network, images(2), "trunk") for network in (training, evaluating))
    assert torch.equal(one["grad-cam"], other["grad-cam"])
    with torch.no_grad():
        assert_agree(one.logits, evaluating(images(2)))


def test_network_that_draws_numbers_gives_the_same_map_twice():
    network = Noisy(2)
    one, other = (cam.class_maps(network, images(2), "trunk") for _ in range(2))
    assert torch.equal(one["grad-cam"], other["grad-cam"])


def test_in_place_flag_is_not_switched_off():
    network = InPlaceAfter()
    cam.class_maps(
        network, images(2), "features.2" if hasattr(network.features[2], "inplace") else "features"
    )
    assert network.features[2].inplace


def test_owners_hook_still_decides_what_the_layer_puts_out():
    network, x = Deep(2), images(2)
    network.trunk.register_forward_hook(lambda _m, _i, out: out * 2)
    doubled = cam.capture(network, x, "trunk").activations["trunk"]
    assert_agree(doubled, 2 * cam.capture(Deep(2), x, "trunk").activations["trunk"])


def test_weights_of_inference_mode_are_back_in_a_module_that_stands_in_the_network_twice():
    class Twice(Deep):
        def __init__(self):
            super().__init__(2)
            self.again = self.middle

    with torch.inference_mode():
        network = Twice().eval()
    before = {name: id(weight) for name, weight in network.named_parameters()}
    cam.class_maps(network, images(2), "trunk")
    assert {name: id(weight) for name, weight in network.named_parameters()} == before
