from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam import small_networks
from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, NoVmapRule, Pooled, images
from voxcam import cam
from voxcam.cam.tracing import gradients
from voxcam.errors import ExplainError

RANKS = (1, 2, 3)


def gradient_by_backward(network, x, layer, index):
    """The textbook way: one full graph and one backward pass for a sample and class."""
    kept = []
    hook = network.get_submodule(layer).register_forward_hook(
        lambda _m, _i, out: kept.append(out.clone()) or kept[0]
    )
    with torch.enable_grad():
        network(x.clone().requires_grad_())[0, index].backward(inputs=kept[0].retain_grad() or [kept[0]])
    hook.remove()
    return kept[0].grad


@pytest.mark.parametrize("rank", RANKS)
def test_gradients_agree_with_one_backward_pass_per_sample_and_class(rank):
    network, x = Deep(rank).eval(), images(rank)
    found = cam.capture(network, x, "trunk").gradients["trunk"]
    for b in range(2):
        for k in range(5):
            expected = gradient_by_backward(network, x[b : b + 1], "trunk", k)
            assert_agree(found[b, k], expected[0])


@pytest.mark.parametrize("rank", RANKS)
def test_gradients_agree_with_finite_differences(rank):
    network, x = Deep(rank).double().eval(), images(rank).double()
    captured = cam.capture(network, x, "trunk")
    a, found = captured.activations["trunk"], captured.gradients["trunk"]
    assert found.dtype == torch.float64

    def logits(activations):
        with torch.no_grad():
            return network.head(network.middle(activations))

    picks = torch.randint(a[0].numel(), (25,), generator=torch.Generator().manual_seed(0))
    for place in picks.tolist():
        step = torch.zeros_like(a).flatten(1)
        step[:, place] = 1e-5
        step = step.view_as(a)
        slope = (logits(a + step) - logits(a - step)) / 2e-5
        assert_agree(found.flatten(3)[..., :].reshape(2, 5, -1)[:, :, place], slope)


@pytest.mark.parametrize("rank", RANKS)
def test_batch_of_different_samples_agrees_with_one_by_one(rank):
    network, x, methods = Deep(rank), images(rank, 3), ("grad-cam", "grad-cam++", "layer-cam")
    together = cam.class_maps(network, x, "trunk", methods)
    for b in range(3):
        alone = cam.class_maps(network, x[b : b + 1], "trunk", methods)
        for method in methods:
            assert_agree(together[method][b : b + 1], alone[method])
        assert_agree(together.logits[b : b + 1], alone.logits)
    assert (together["grad-cam"][0] - together["grad-cam"][1]).abs().max() > 1e-4


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 99])
def test_chunked_agrees_with_unchunked(chunk):
    network, x = Deep(3), images(3)
    whole, parts = (cam.capture(network, x, ["trunk", "middle"], chunk=size) for size in (None, chunk))
    for layer in ("trunk", "middle"):
        assert parts.gradients[layer].shape == (2, 5, *whole.activations[layer].shape[1:])
        assert_agree(parts.gradients[layer], whole.gradients[layer])
    maps = [
        cam.class_maps(network, x, "trunk", "hires-cam", chunk=size)["hires-cam"] for size in (None, chunk)
    ]
    assert_agree(*maps)


def test_default_chunk_holds_the_gradients_within_the_budget(monkeypatch):
    network, x, asked = Deep(2), images(2), []
    whole = cam.class_maps(network, x, "trunk")
    product = gradients._products
    monkeypatch.setattr(gradients, "_products", lambda r, a: asked.append(len(a)) or product(r, a))
    monkeypatch.setattr(gradients, "CHUNK_BYTES", 2 * 4 * 2 * 6 * 9 * 13)
    assert_agree(cam.class_maps(network, x, "trunk")["grad-cam"], whole["grad-cam"])
    assert asked == [2, 2, 1]
    asked.clear()
    monkeypatch.setattr(gradients, "CHUNK_BYTES", 1)
    cam.class_maps(network, x, "trunk")
    assert asked == [1] * 5


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunk_without_classes_is_refused(chunk):
    with pytest.raises(ExplainError, match="expected a chunk of 1 class or more, found"):
        cam.class_maps(Deep(2), images(2), "trunk", chunk=chunk)


def test_asked_classes_come_in_the_order_asked():
    network, x = Deep(2), images(2)
    every, some = cam.class_maps(network, x, "trunk"), cam.class_maps(network, x, "trunk", classes=[3, 0, 3])
    assert every.classes.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert some.classes.tolist() == [[3, 0, 3]] * 2
    assert_agree(some["grad-cam"], every["grad-cam"][:, [3, 0, 3]])
    assert some.logits.shape == every.logits.shape == (2, 5)


@pytest.mark.parametrize("index", [5, -1])
def test_class_that_does_not_exist_is_refused(index):
    with pytest.raises(ExplainError, match=f"^class {index} does not exist; the network has 5, 0 to 4$"):
        cam.class_maps(Deep(2), images(2), "trunk", classes=[0, index])


def test_no_class_is_refused():
    with pytest.raises(ExplainError, match="^expected at least one class, found none$"):
        cam.capture(Deep(2), images(2), "trunk", classes=[])


def test_operation_without_a_vmap_rule_agrees_with_backward():
    network, x = NoVmapRule(2).eval(), images(2)
    found = cam.capture(network, x, "trunk").gradients["trunk"]
    for k in range(5):
        assert_agree(found[1, k], gradient_by_backward(network, x[1:], "trunk", k)[0])


class FrozenBackbone(Deep):
    block = torch.no_grad

    def forward(self, x):
        with self.block():
            x = self.trunk(x)
        return self.head(self.middle(x))


class InferenceBackbone(FrozenBackbone):
    block = torch.inference_mode


class StemBeforeBackbone(FrozenBackbone):
    """Its stem can be trained: with grad on from the start, it saves the inputs."""

    def __init__(self, rank):
        super().__init__(rank)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return super().forward(x * getattr(self, "gain", 1.0))


def frozen(network):
    return network.requires_grad_(False)


@pytest.mark.parametrize("prepare", [lambda n: n, frozen], ids=["trainable", "frozen"])
@pytest.mark.parametrize("kind", [Deep, FrozenBackbone, InferenceBackbone, StemBeforeBackbone])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_frozen_weights_and_callers_modes_change_nothing(prepare, kind, mode):
    expected = cam.class_maps(Deep(3), images(3), "trunk", ("grad-cam", "layer-cam"))
    with mode():
        found = cam.class_maps(prepare(kind(3)), images(3), "trunk", ("grad-cam", "layer-cam"))
    for method in found.methods:
        assert_agree(found[method], expected[method])
    assert_agree(found.logits, expected.logits)


def test_weights_made_in_inference_mode_change_nothing():
    with torch.inference_mode():
        network, x = Pooled(2), images(2)
    assert network.classifier.weight.is_inference()
    assert x.is_inference()
    found = cam.class_maps(network, x, "features", "cam")
    assert_agree(found["cam"], cam.class_maps(Pooled(2), images(2), "features", "cam")["cam"])


def test_two_layers_agree_with_each_alone_from_one_forward_pass():
    network, x, runs = Deep(3), images(3), []
    network.trunk.register_forward_hook(lambda *_: runs.append(1) and None)
    both = cam.class_maps(network, x, ["middle", "trunk"], ("grad-cam", "xgrad-cam"))
    assert len(runs) == 1
    for layer in ("trunk", "middle"):
        alone = cam.class_maps(network, x, layer, ("grad-cam", "xgrad-cam"))
        for method in both.methods:
            assert_agree(both[method, layer], alone[method])


def test_layers_of_parallel_branches_agree_with_each_alone():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = small_networks.trunk(2, seed=5), small_networks.trunk(2, seed=6)
            self.last = nn.Linear(6, 3)

        def forward(self, x):
            return self.last((self.left(x) * self.right(x)).tanh().mean((2, 3)))

    for network in (Branches(), frozen(Branches())):
        both = cam.class_maps(network, images(2), ["left", "right"])
        for layer in ("left", "right"):
            assert_agree(both["grad-cam", layer], cam.class_maps(network, images(2), layer)["grad-cam"])


def test_bfloat16_autocast_gives_float32_maps_close_to_full_precision():
    network, x = Deep(3), images(3)
    full = cam.class_maps(network, x, "trunk", ("grad-cam", "hires-cam", "grad-cam++"))
    with torch.autocast("cpu", torch.bfloat16):
        found = cam.class_maps(network, x, "trunk", ("grad-cam", "hires-cam", "grad-cam++"))
        captured = cam.capture(network, x, "trunk")
    assert found.logits.dtype == captured.gradients["trunk"].dtype == captured.activations["trunk"].dtype
    for method in found.methods:
        assert found[method].dtype == torch.float32
        assert (found[method] - full[method]).norm() < 0.03 * full[method].norm()


def test_methods_reduce_in_float32_under_autocast():
    network, x = Deep(3), images(3)
    with torch.autocast("cpu", torch.bfloat16):
        captured = cam.capture(network, x, "trunk")
        maps = cam.class_maps(network, x, "trunk", "grad-cam")["grad-cam"]
    assert_agree(maps, cam.METHODS["grad-cam"](captured.activations["trunk"], captured.gradients["trunk"]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_network_agrees_with_full_precision(dtype):
    full = cam.class_maps(Pooled(2), images(2), "features", "cam")
    half = cam.class_maps(Pooled(2).to(dtype), images(2).to(dtype), "features", "cam")
    assert half["cam"].dtype == half.logits.dtype == torch.float32
    assert (half["cam"] - full["cam"]).norm() < 0.03 * full["cam"].norm()


def test_float16_gradients_too_small_for_float16_are_kept():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    network[3].weight.data = torch.tensor([[0.002, 0.001], [-0.003, 0.0015]])
    x = torch.randn(1, 1, 200, 150, generator=torch.Generator().manual_seed(0))
    full = cam.class_maps(network, x, "0", "cam")["cam"]
    half = cam.class_maps(network.half(), x.half(), "0", "cam")["cam"]
    assert (half - full).norm() < 0.01 * full.norm()


def test_tensor_subclass_gives_plain_tensors():
    class Tagged(torch.Tensor):
        pass

    maps = cam.class_maps(Deep(2), images(2).as_subclass(Tagged), "trunk")
    assert type(maps["grad-cam"]) is type(maps.logits) is torch.Tensor
    assert_agree(maps["grad-cam"], cam.class_maps(Deep(2), images(2), "trunk")["grad-cam"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    methods = [m for m in cam.METHODS if m != "cam"]
    expected = cam.class_maps(Deep(3), images(3), "trunk", methods)
    found = cam.class_maps(Deep(3).cuda(), images(3).cuda(), "trunk", methods)
    for method in methods:
        assert found[method].is_cuda
        assert_agree(found[method].cpu(), expected[method])
