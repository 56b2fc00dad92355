"""What all methods share that ask the network again: passes counted, cancelled, batched, seeded."""

from __future__ import annotations

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import SHAPES, Deep, InPlaceAfter, images
from voxcam import cam
from voxcam.cam.asking import inquiry
from voxcam.cam.methods import LAYER, PASSES, passes_of
from voxcam.errors import Cancelled, ExplainError

OPTIONS = {
    "ss-cam": {"samples": 2},
    "is-cam": {"steps": 2},
    "smooth-grad-cam++": {"samples": 2},
    "occlusion": {"size": 5},
    "integrated-gradients": {"steps": 2},
    "smooth-grad": {"samples": 2},
}
ASKING = [method for method in PASSES if method not in ("attention-rollout", "legrad")]
"""Those that any network answers."""
DRAWS = ("ss-cam", "smooth-grad-cam++", "smooth-grad")


def run(method, network, x, classes=None, layer="trunk", **more):
    options = {method: OPTIONS[method]} if method in OPTIONS else None
    return cam.class_maps(network, x, layer, method, classes, options=options, **more)[method]


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_passes_are_counted_as_announced(method, rank, batch):
    told, network, x = [], Deep(rank), images(rank, batch)
    seen = []
    network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    run(method, network, x, [0, 2], progress=lambda done, total: told.append((done, total)))
    announced = passes_of([method], batch, 2, SHAPES[rank], [6], OPTIONS)[method]
    assert announced == sum(seen) - batch  # the first pass is not counted
    assert told[-1] == (announced, announced)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("method", ASKING)
def test_default_options_are_announced_as_they_are_run(method):
    told, network, x = [], Deep(2), images(2, 1)
    cam.class_maps(network, x, "trunk", method, [0], progress=lambda *pair: told.append(pair))
    assert told[-1] == (passes_of([method], 1, 1, SHAPES[2], [6], {})[method],) * 2


def test_passes_of_several_methods_and_layers_add_up():
    told, methods, options = [], ("score-cam", "occlusion", "grad-cam"), {"occlusion": {"size": 9}}
    layers, x = ["trunk", "middle"], images(2)
    cam.class_maps(Deep(2), x, layers, methods, options=options, progress=lambda *pair: told.append(pair))
    each = passes_of(methods, 2, 5, SHAPES[2], [6, 7], options)
    assert each == {"score-cam": 2 * (6 + 7), "occlusion": 2 * 5 * 7, "grad-cam": 0}
    assert told[-1] == (sum(each.values()),) * 2


@pytest.mark.parametrize("method", ASKING)
def test_passes_serve_all_classes_at_once(method):
    announced = [passes_of([method], 1, classes, SHAPES[2], [6], {})[method] for classes in (1, 5)]
    assert announced[0] == announced[1] > 0


@pytest.mark.parametrize("method", ASKING)
def test_an_exception_from_progress_ends_the_work_and_leaves_the_network_as_found(method):
    network, x = Deep(2).train(), images(2)
    network.trunk[1].eval()
    flags = [module.training for module in network.modules()]
    weights = {name: weight.clone() for name, weight in network.state_dict().items()}

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        run(method, network, x, progress=stop)
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(weight, weights[name]) for name, weight in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert torch.is_grad_enabled()
    assert run(method, network, x).shape[:2] == (2, 5)


@pytest.mark.parametrize("method", ASKING)
def test_maps_are_float32_without_graph_and_come_out_alike_twice(method):
    network, x = Deep(3), images(3)
    before = torch.random.get_rng_state()
    one, other = run(method, network, x), run(method, network, x)
    assert torch.equal(one, other)
    assert one.dtype == torch.float32
    assert not one.requires_grad
    assert torch.equal(torch.random.get_rng_state(), before)
    if method in DRAWS:
        assert not torch.equal(run(method, network, x, seed=1), one)


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("rank", [2, 3])
def test_how_many_run_together_does_not_matter(method, rank, monkeypatch):
    network, x, sizes = Deep(rank), images(rank), []
    together = run(method, network, x)
    network.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    monkeypatch.setattr(inquiry, "VOXELS_AT_ONCE", 5 * x[0].numel())
    assert_agree(run(method, network, x), together)
    assert max(sizes) <= 5
    monkeypatch.setattr(inquiry, "VOXELS_AT_ONCE", 1)
    assert_agree(run(method, network, x), together)


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("rank", [2, 3])
def test_samples_and_classes_do_not_meet(method, rank):
    """Whatever a sample shares its batch with, and whatever classes are asked beside."""
    network, x = Deep(rank), images(rank)
    together = run(method, network, x, [[4, 1], [0, 3]])
    assert_agree(together[:1], run(method, network, x[:1])[:, [4, 1]])
    assert_agree(together[1:], run(method, network, x[1:])[:, [0, 3]])


class OutOfPlaceAfter(InPlaceAfter):
    def forward(self, x):
        return self.classifier(self.features(x).relu().mean((2, 3)))


@pytest.mark.parametrize("method", ASKING)
def test_a_relu_in_place_after_the_layer_changes_nothing(method):
    network, twin = InPlaceAfter(), OutOfPlaceAfter()
    twin.load_state_dict(network.state_dict())
    found, expected = (run(method, one, images(2), layer="features") for one in (network, twin))
    assert_agree(found, expected)


@pytest.mark.parametrize("method", ASKING)
def test_double_precision_networks_are_asked_in_double(method):
    network, x = Deep(2), images(2)
    single = run(method, network, x)
    kinds = set()
    double = network.double()
    double.register_forward_pre_hook(lambda _, args: kinds.add(args[0].dtype))
    found = run(method, double, x.double())
    assert kinds == {torch.float64}
    assert found.dtype == torch.float32
    assert_agree(found, single, 1e-3)


@pytest.mark.parametrize("method", ASKING)
def test_an_unknown_option_is_refused(method):
    with pytest.raises(ExplainError, match=r"has no option 'sigma'; it has"):
        cam.class_maps(Deep(2), images(2), "trunk", method, options={method: {"sigma": 1}})


@pytest.mark.parametrize("method", [method for method in ASKING if method not in LAYER])
def test_methods_of_the_network_alone_name_no_layer(method):
    network, x = Deep(2), images(2)
    maps = cam.class_maps(network, x, None, method, options={method: OPTIONS[method]})
    assert maps.layers == ()
    assert_agree(maps[method], run(method, network, x))
