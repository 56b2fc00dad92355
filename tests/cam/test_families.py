"""Every method on every family of networks, 2D and 3D, one and two samples, from an independent capture.

What a layer puts out and its gradients are taken here by torch alone, through the graph of the whole
network, and what becomes of the logits without a channel by running the whole network with a hook.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_transformers import SPACE as TOKEN_SPACE
from tests.cam.small_transformers import SwinClassifier, monai_vit
from voxcam import cam
from voxcam.cam.methods import FUSION, GRADIENT, LAYER, NETWORK

CLASSES = 4
SPACE = {2: (48, 64), 3: (32, 48, 40)}
CONV = {2: nn.Conv2d, 3: nn.Conv3d}


def dense(rank):
    from monai.networks.nets import DenseNet

    return DenseNet(
        rank, 1, init_features=8, growth_rate=4, block_config=(2, 2), bn_size=2, out_channels=CLASSES
    )


def residual(rank):
    from monai.networks.nets import ResNet

    return ResNet("basic", [1, 1, 1, 1], [4, 8, 12, 16], rank, 1, conv1_t_size=3, num_classes=CLASSES)


class Squeezing(nn.Module):
    """MONAI's squeeze-and-excitation blocks, narrow: its SENet comes in one width only."""

    def __init__(self, rank):
        from monai.networks.blocks import SEResNetBottleneck

        super().__init__()
        conv = CONV[rank]
        self.stem = nn.Sequential(conv(1, 16, 3, 2, 1), nn.ReLU(inplace=True))
        self.stage1 = SEResNetBottleneck(rank, 16, 4, 1, 4, 2, conv(16, 16, 1, 2))
        self.stage2 = SEResNetBottleneck(rank, 16, 4, 1, 4)
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.last(self.stage2(self.stage1(self.stem(x))).flatten(2).mean(-1))


def efficient(rank):
    from monai.networks.nets import EfficientNet

    blocks = ["r1_k3_s11_e1_i32_o16_se0.25", "r1_k3_s22_e2_i16_o24_se0.25"]
    return EfficientNet(blocks, rank, 1, CLASSES, width_coefficient=0.25, image_size=32)


# How to make a narrow network of a family, the layer to explain it at, and an earlier one.
FAMILIES = {
    "ResNet": (residual, "layer4", "layer2"),
    "SE-ResNet": (Squeezing, "stage2", "stage1"),
    "DenseNet": (dense, "class_layers.relu", "features.denseblock1"),
    "EfficientNet": (efficient, "_conv_head", "_blocks.0"),
    "ViT": (monai_vit, "blocks.2.norm1", "blocks.0"),
    "Swin": (lambda rank: SwinClassifier(rank, CLASSES), "swin.layers4.0", "swin.layers2.0"),
}
HAS_LINEAR_HEAD = {"ResNet", "SE-ResNet", "DenseNet"}
CASES = [pytest.param(name, rank, id=f"{name} {rank}D") for name, rank in product(FAMILIES, (2, 3))]


@cache
def family(name, rank):
    """Return a network with statistics that matter, two inputs, and its layers."""
    make, late, early = FAMILIES[name]
    draw = torch.Generator().manual_seed(1)
    space = (TOKEN_SPACE if name in ("ViT",) else SPACE)[rank]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make(rank).train()
        if name not in ("ViT", "Swin"):
            for _ in range(3):
                network(torch.randn(4, 1, *space))
            [last] = [module for module in network.modules() if isinstance(module, nn.Linear)][-1:]
            nn.init.normal_(last.bias)
    x = torch.randn(2, 1, *space, generator=draw)
    if name == "Swin":  # activations of either sign: Grad-CAM++'s denominators come near 0
        network, x = network.double(), x.double()
    return network.eval(), x, late, early


def by_the_whole_graph(network, x, layer):
    """Return what a layer puts out, the logits, and the gradients of every class, (K, *output)."""
    seen = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.append(out))
    output = network(x.clone().requires_grad_())
    handle.remove()
    logits = output[0] if isinstance(output, tuple) else output
    columns = [torch.autograd.grad(logits[:, k].sum(), seen[0], retain_graph=True)[0] for k in range(CLASSES)]
    return seen[0].detach(), logits.detach(), torch.stack(columns)


def assert_same(found, expected, scale, tolerance):
    """As `assert_agree`, but maps that are nothing but rounding on that scale only have to be both so.

    HiResCAM before a layer normalisation is one: no gradient there is along the activation.
    """
    if expected.abs().max() < 1e-5 * scale:
        assert found.abs().max() < 1e-5 * scale
    else:
        assert_agree(found, expected, tolerance)


def as_maps(name, tensor, grid):
    """Return (..., C, *grid) of a layer's output, its class token dropped."""
    if name != "ViT":
        return tensor
    return tensor[..., 1:, :].transpose(-1, -2).reshape(*tensor.shape[:-2], tensor.shape[-1], *grid)


@pytest.mark.parametrize(("name", "rank"), CASES)
@pytest.mark.parametrize("batch", [1, 2])
def test_gradient_methods_rest_on_what_the_whole_graph_says(name, rank, batch):
    network, x, late, early = family(name, rank)
    x = x[:batch]
    methods = [method for method in GRADIENT if method != "cam"]
    maps = cam.class_maps(network, x, [early, late], methods)
    for layer in (early, late):
        output, logits, gradients = by_the_whole_graph(network, x, layer)
        grid = maps["grad-cam", layer].shape[2:]
        a, g = as_maps(name, output, grid), as_maps(name, gradients, grid).transpose(0, 1)
        assert_agree(maps.logits, logits.float())
        scale = float(maps["hires-cam", early].abs().max())
        for method in methods:
            # Rounding differs between the graphs, and decompositions and quotients make more of it.
            assert_same(maps[method, layer], GRADIENT[method](a, g).float(), scale, 2e-3)
        assert_agree(maps["grad-cam", layer], GRADIENT["grad-cam"](a, g).float(), 1e-4)


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_maps_before_a_linear_head_add_up_to_the_logit(name, rank):
    network, x, late, _ = family(name, rank)
    maps = cam.class_maps(network, x, late, ("grad-cam", "hires-cam"))
    assert (late in maps.biases) == (name in HAS_LINEAR_HEAD)
    if name in HAS_LINEAR_HEAD:
        bias = [module for module in network.modules() if isinstance(module, nn.Linear)][-1].bias.detach()
        assert_agree(maps.biases[late], bias.expand(2, -1), 1e-4)
        assert_agree(maps["grad-cam"].flatten(2).sum(-1) + bias, maps.logits, 1e-4)
        assert_agree(maps["hires-cam"], maps["grad-cam"], 1e-4)


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_ablation_weighs_by_what_the_whole_network_says_without_a_channel(name, rank):
    network, x, _, early = family(name, rank)
    maps = cam.class_maps(network, x, early, "ablation-cam")
    a = cam.capture(network, x, early).activations[early]
    falls = torch.zeros(2, CLASSES, a.shape[1])
    for k in range(a.shape[1]):

        def without(_module, _args, output, k=k):
            cut = output.clone()
            (cut[:, 1:, k] if name == "ViT" else cut[:, k])[:] = 0
            return cut

        handle = network.get_submodule(early).register_forward_hook(without)
        with torch.no_grad():
            output = network(x)
        handle.remove()
        falls[:, :, k] = maps.logits - (output[0] if isinstance(output, tuple) else output)
    expected = torch.einsum("bkc,bc...->bk...", falls.to(a), a).float()
    assert_agree(maps["ablation-cam"], expected, 1e-3)


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_every_method_gives_each_sample_the_map_it_gets_alone(name, rank):
    network, x, late, early = family(name, rank)
    with_attention = name == "ViT"
    methods = [
        method
        for method in (*GRADIENT, *LAYER, *NETWORK, *FUSION)
        if method != "cam" and (with_attention or method not in ("attention-rollout", "legrad"))
    ]
    options = {
        "ss-cam": {"samples": 2},
        "is-cam": {"steps": 2},
        "integrated-gradients": {"steps": 3},
        "smooth-grad": {"samples": 2},
        "smooth-grad-cam++": {"samples": 2},
    }
    both = cam.class_maps(network, x, [early, late], methods, classes=[[0, 2], [1, 3]], options=options)
    alone = cam.class_maps(network, x[1:], [early, late], methods, classes=[1, 3], options=options)
    for key, maps in both.values.items():
        assert maps.shape[:2] == (2, 2), key
        assert maps.isfinite().all(), key
        if key[0] not in DRAWS:
            scale = float(both["hires-cam", early].abs().max()) if key[0] == "hires-cam" else 1e-30
            assert_same(maps[1:], alone.values[key], scale, 5e-3)


# What is drawn depends on a sample's place in the batch.
DRAWS = ("ss-cam", "smooth-grad", "smooth-grad-cam++")
