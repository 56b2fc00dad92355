from __future__ import annotations

import itertools

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import SHAPES, Deep, Pooled, images
from voxcam import cam
from voxcam.cam.methods import GRADIENT
from voxcam.errors import ExplainError

RANKS = (1, 2, 3)
WEIGHING = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "element-wise-cam", "layer-cam")
METHODS = {name: GRADIENT[name] for name in ("cam", *WEIGHING)}


def activations_and_gradients(rank, signed=False, seed=0):
    draw = torch.Generator().manual_seed(seed)
    grid = [max(2, size // 5) for size in SHAPES[rank]]
    a = torch.randn(2, 4, *grid, generator=draw, dtype=torch.float64)
    g = torch.randn(2, 3, 4, *grid, generator=draw, dtype=torch.float64)
    g[:, :, :, 0] = 0
    return (a if signed else a.relu()), g


def slowly(name, a, g):
    """The papers' formulas for one sample, one class, number by number."""
    places = list(itertools.product(*map(range, a.shape[1:])))
    out = torch.zeros(a.shape[1:], dtype=a.dtype)
    for k in range(a.shape[0]):
        total = sum(float(a[k][p]) for p in places)
        weight = 0.0
        for p in places:
            dy, ak = float(g[k][p]), float(a[k][p])
            if name == "grad-cam":
                weight += dy / len(places)
            elif name == "xgrad-cam":
                weight += ak / total * dy if total else 0.0
            elif name == "grad-cam++" and dy != 0:
                alpha = dy**2 / (2 * dy**2 + total * dy**3)
                weight += alpha * max(dy, 0.0)
        for p in places:
            if name == "hires-cam":
                weight = float(g[k][p])
            elif name == "layer-cam":
                weight = max(float(g[k][p]), 0.0)
            elif name == "element-wise-cam":
                weight = float(g[k][p]) if g[k][p] * a[k][p] > 0 else 0.0
            out[p] += weight * float(a[k][p])
    return out


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("name", WEIGHING)
def test_method_agrees_with_its_formula_written_out(name, rank):
    a, g = activations_and_gradients(rank)
    maps = cam.METHODS[name](a, g)
    assert maps.shape == (2, 3, *a.shape[2:])
    for b, c in itertools.product(range(2), range(3)):
        assert_agree(maps[b, c], slowly(name, a[b], g[b, c]))


@pytest.mark.parametrize(
    "name", ["grad-cam", "xgrad-cam", "hires-cam", "layer-cam", "grad-cam++", "element-wise-cam"]
)
def test_method_agrees_with_its_formula_on_negative_activations(name):
    a, g = activations_and_gradients(2, signed=True)
    assert_agree(cam.METHODS[name](a, g)[1, 2], slowly(name, a[1], g[1, 2]))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("batch", [1, 2])
def test_signed_methods_are_one_map_at_a_pooled_linear_head(rank, batch):
    network = Pooled(rank)
    maps = cam.class_maps(network, images(rank, batch), "features", tuple(METHODS))
    places = maps["cam"].shape[2:].numel()
    weights = network.classifier.weight.detach()
    a = cam.capture(network, images(rank, batch), "features").activations["features"]
    assert_agree(maps["cam"], torch.einsum("kc,bc...->bk...", weights, a))
    for name in ("grad-cam", "hires-cam", "xgrad-cam"):
        assert_agree(maps[name], maps["cam"] / places)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("name", ["grad-cam", "hires-cam", "xgrad-cam"])
def test_map_adds_up_to_the_logit_less_its_bias(rank, name):
    network = Pooled(rank)
    maps = cam.class_maps(network, images(rank), "features", name)
    bias = network.classifier.bias.detach()
    assert_agree(maps[name].flatten(2).sum(-1), maps.logits - bias)


def test_swapping_two_classes_swaps_their_maps():
    a, g = activations_and_gradients(3)
    for name, method in METHODS.items():
        if name != "cam":
            assert torch.equal(method(a, g[:, [1, 0, 2]]), method(a, g)[:, [1, 0, 2]])


def test_no_evidence_gives_an_empty_map():
    a, g = activations_and_gradients(2)
    for method in METHODS.values():
        assert torch.equal(method(a, torch.zeros_like(g)), torch.zeros(2, 3, *a.shape[2:], dtype=a.dtype))
        assert not method(torch.zeros_like(a), torch.ones_like(g)).any()


def test_methods_change_neither_activations_nor_gradients():
    a, g = activations_and_gradients(2)
    a_before, g_before = a.clone(), g.clone()
    for name, method in METHODS.items():
        if name != "cam":
            method(a, g)
    assert torch.equal(a, a_before)
    assert torch.equal(g, g_before)


def test_signed_methods_keep_the_sign_and_layer_cam_only_what_is_positive():
    a = torch.ones(1, 1, 2, 2)
    g = torch.tensor([[[[[-1.0, -2.0], [-3.0, 1.0]]]]])
    assert (cam.METHODS["grad-cam"](a, g) == -1.25).all()
    assert torch.equal(cam.METHODS["hires-cam"](a, g), g[:, 0])
    assert torch.equal(cam.METHODS["layer-cam"](a, g), g[:, 0].relu())


@pytest.mark.parametrize("size", [1e-4, 1e-12, 1e-30])
def test_grad_cam_plus_plus_holds_for_gradients_whose_cubes_vanish_in_float32(size):
    a, g = activations_and_gradients(3)
    found = cam.METHODS["grad-cam++"](a.float(), (g * size).float()) / size
    assert_agree(found[0, 1].double(), slowly("grad-cam++", a[0], g[0, 1] * size) / size)


def test_grad_cam_plus_plus_drops_a_place_whose_denominator_is_zero():
    a, g = torch.tensor([[[-1.0, -1.0]]]), torch.tensor([[[[1.0, 0.5]]]])
    assert_agree(cam.METHODS["grad-cam++"](a, g), a * (0.5 / (2 - 0.5 * 2)))


def test_xgrad_cam_gives_no_weight_to_a_channel_that_adds_up_to_zero():
    a, g = activations_and_gradients(2)
    a[:, 1], a[:, 2, 0], a[:, 2, 1], a[:, 2, 2:] = 0, 0.3, -0.3, 0
    keep = [0, 3]
    assert_agree(cam.METHODS["xgrad-cam"](a, g), cam.METHODS["xgrad-cam"](a[:, keep], g[:, :, keep]))


def test_cam_refuses_gradients_that_vary_over_space():
    a, g = activations_and_gradients(2)
    with pytest.raises(
        ExplainError, match=r"^cam needs global average pooling and one linear layer right after"
    ):
        cam.METHODS["cam"](a, g)


def test_cam_reads_weights_off_gradients_expanded_without_memory():
    a, weights = torch.rand(2, 4, 3, 5), torch.randn(2, 3, 4)
    g = (weights / 15)[..., None, None].expand(2, 3, 4, 3, 5)
    assert_agree(cam.METHODS["cam"](a, g), torch.einsum("bkc,bchw->bkhw", weights, a))


def test_methods_differ_where_the_head_is_not_linear():
    maps = cam.class_maps(Deep(3), images(3), "middle", WEIGHING)
    for one, other in itertools.combinations(maps.methods, 2):
        assert (maps[one] - maps[other]).abs().max() > 1e-4
