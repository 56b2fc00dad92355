"""Grad-CAM and its kin on tokens: MONAI's ViT and Swin, torch's own transformer, 2D and 3D."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Pooled, images
from tests.cam.small_transformers import (
    GRID,
    PATCH,
    SPACE,
    Patches,
    SwinClassifier,
    TokenWise,
    monai_vit,
    scans,
)
from voxcam import cam
from voxcam.cam.methods import GRADIENT
from voxcam.errors import ExplainError

METHODS = [name for name in GRADIENT if name != "cam"]
SWIN_SPACE = {2: (64, 96), 3: (32, 64, 64)}
NETWORKS = {
    "monai": (lambda rank: monai_vit(rank), "blocks.1.norm1", 1),
    "monai, tanh, perceptron": (
        lambda rank: monai_vit(rank, proj_type="perceptron", post_activation="Tanh"),
        "blocks.0",
        1,
    ),
    "torch, mean of the patches": (lambda rank: Patches(rank), "blocks.0", 0),
    "torch, mean of all": (lambda rank: Patches(rank, 1, "all"), "blocks.1.norm2", 1),
    "torch, registers": (lambda rank: Patches(rank, 4), "blocks.0.linear1", 4),
    "torch, class token and registers": (lambda rank: Patches(rank, 5, "first"), "blocks.1.norm1", 5),
    "torch, norm last": (lambda rank: Patches(rank, 1, "first", norm_first=False), "blocks.0", 1),
    "torch, odd heads": (lambda rank: Patches(rank, 1, "first", heads=1), "blocks.0", 1),
    "torch, batch second": (lambda rank: Patches(rank, 2, "first", batch_first=False), "blocks.0", 2),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small are slower on several threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def by_hand(network, layer, x, turn):
    """The plain way: a hook that keeps the output, one backward pass a class, and axes turned by `turn`."""
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.append(out))
    try:
        output = network(x)
    finally:
        handle.remove()
    logits = output[0] if isinstance(output, tuple) else output
    gradients = [
        torch.autograd.grad(logits[:, k].sum(), kept[0], retain_graph=True)[0] for k in range(logits.shape[1])
    ]
    return turn(kept[0].detach()), torch.stack([turn(one) for one in gradients], dim=1)


def tokens_to_maps(rank, prefix, batch_second=False):
    def turn(tokens):
        tokens = tokens.transpose(0, 1) if batch_second else tokens
        return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, *GRID[rank])

    return turn


def assert_maps_are_of(maps, a, g):
    for method in METHODS:
        found, expected = maps[method], cam.METHODS[method](a, g).float()
        if method in ("eigen-cam", "eigengrad-cam", "kpca-cam"):
            # Their sign is that of the plain sum over channels, which after a LayerNorm is rounding alone.
            found, expected = found.abs(), expected.abs()
        assert_agree(found, expected)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("kind", NETWORKS)
def test_maps_are_those_of_tokens_turned_by_hand(kind, rank, batch):
    make, layer, prefix = NETWORKS[kind]
    network, x = make(rank).double(), scans(rank, batch).double()
    a, g = by_hand(network, layer, x, tokens_to_maps(rank, prefix, "batch second" in kind))
    assert_maps_are_of(cam.class_maps(network, x, layer, METHODS), a, g)


@pytest.mark.parametrize("rank", [2, 3])
def test_mean_of_tokens_and_a_linear_layer_have_a_closed_form(rank):
    network, x = Patches(rank), scans(rank)
    with torch.no_grad():
        tokens = []
        network.blocks.register_forward_hook(lambda _m, _i, out: tokens.append(out))
        logits = network(x)
    maps = cam.class_maps(network, x, "blocks", ["cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam"])
    scores = (tokens[0] @ network.head.weight.T).transpose(1, 2).reshape(2, 3, *GRID[rank]).detach()
    assert_agree(maps["cam"], scores)
    for method in ("grad-cam", "hires-cam", "xgrad-cam", "shapley-cam"):
        assert_agree(maps[method], scores / torch.Size(GRID[rank]).numel(), 1e-4)
    assert_agree(maps["grad-cam"].flatten(2).sum(-1) + network.head.bias.detach(), logits)
    assert_agree(maps.biases["blocks"], network.head.bias.detach().expand(2, 3))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "layer-cam", "ablation-cam", "finer-cam"])
def test_the_patch_that_holds_the_landmark_holds_the_peak(method, rank):
    network = TokenWise(rank)
    for place in product(*(range(size) for size in GRID[rank])):
        x = torch.zeros(1, 1, *SPACE[rank])
        voxel = tuple(unit * size + size // 2 for unit, size in zip(place, PATCH[rank], strict=True))
        x[0, 0][voxel] = 10.0
        maps = cam.class_maps(network, x, "step", method, classes=[1])[method]
        assert divmod_all(int(maps.argmax()), GRID[rank]) == place
        shown = cam.upsample(maps, SPACE[rank])
        peak = divmod_all(int(shown.argmax()), SPACE[rank])
        assert tuple(at // size for at, size in zip(peak, PATCH[rank], strict=True)) == place


def divmod_all(flat, sizes):
    return tuple(int(each) for each in torch.unravel_index(torch.tensor(flat), sizes))


@pytest.mark.parametrize("batch_first", [True, False])
def test_torchs_fast_path_hides_no_layer(batch_first):
    """Frozen and without grad, torch runs a whole block as one kernel, in which no hook would be called."""
    network, x = Patches(2, 1, "first", batch_first=batch_first), scans(2)
    layers = ["blocks.0", "blocks.0.norm1", "blocks.0.linear1", "blocks.1.norm1"]
    network, x = network.double(), x.double()
    expected = cam.class_maps(network, x, layers, ["grad-cam", "ablation-cam"])
    network.requires_grad_(False).eval()
    for held in (torch.no_grad, torch.inference_mode):
        with held():
            found = cam.class_maps(network, x, layers, ["grad-cam", "ablation-cam"])
        for key in expected.values:
            assert_agree(found[key], expected[key], 1e-4)


@pytest.mark.parametrize("method", ["shapley-cam", "ablation-cam"])
def test_methods_that_ask_the_head_go_through_fused_attention(method, recwarn):
    """Torch's fused kernels cannot be differentiated twice, nor batched without a warning."""
    fused, x = monai_vit(2), scans(2)
    expected = cam.class_maps(fused, x, "blocks.1", method)[method]
    for block in fused.blocks:
        block.attn.use_flash_attention = True
    assert_agree(cam.class_maps(fused, x, "blocks.1", method)[method], expected, 1e-3)
    assert not recwarn.list


@pytest.mark.parametrize("rank", [2, 3])
def test_swins_encoder_is_a_list_of_maps_and_its_stages_have_names(rank):
    network, x = SwinClassifier(rank), torch.randn(1, 1, *SWIN_SPACE[rank])
    names = ["swin.layers4", "swin.layers4.0", "swin.layers3.0.blocks.0", "swin.layers2", "swin[4]"]
    maps = cam.class_maps(network, x, names)
    assert torch.equal(maps["grad-cam", "swin.layers4"], maps["grad-cam", "swin.layers4.0"])
    for name, stride in zip(names, (32, 32, 8, 8, 32), strict=True):
        assert maps["grad-cam", name].shape == (1, 3, *(size // stride for size in SWIN_SPACE[rank]))
    with torch.no_grad():
        last = network.swin(x)[-1]
    scores = torch.einsum("kc,bc...->bk...", network.head.weight.detach(), last)
    assert_agree(maps["grad-cam", "swin[4]"], scores / last[0, 0].numel(), 1e-4)
    with pytest.raises(ExplainError, match="^no gradient of the logits reaches layer 'swin\\[3\\]'"):
        cam.class_maps(network, x, "swin[3]")
    with pytest.raises(ExplainError, match="puts out several stacks of maps; choose 'swin\\[0\\]'"):
        cam.class_maps(network, x, "swin")


@pytest.mark.parametrize("rank", [2, 3])
def test_swins_blocks_hold_their_channels_last(rank):
    network, x = SwinClassifier(rank).double(), torch.randn(2, 1, *SWIN_SPACE[rank]).double()
    for layer in (
        "swin.layers3.0.blocks.0",
        "swin.layers3.0.blocks.0.mlp.fn",
        "swin.layers4.0.blocks.0.norm2",
    ):
        a, g = by_hand(network, layer, x, lambda out: out.movedim(-1, 1))
        assert_maps_are_of(cam.class_maps(network, x, layer, METHODS), a, g)


def test_swins_checkpointed_blocks_give_the_same_maps():
    x, layers = torch.randn(1, 1, *SWIN_SPACE[2]), ["swin[4]", "swin.layers3.0"]
    expected = cam.class_maps(SwinClassifier(2), x, layers)
    found = cam.class_maps(SwinClassifier(2, use_checkpoint=True), x, layers)
    for layer in layers:
        assert_agree(found["grad-cam", layer], expected["grad-cam", layer], 1e-4)


def test_swins_windows_are_refused_in_one_line():
    with pytest.raises(ExplainError, match="windows, or other parts of an image") as caught:
        cam.class_maps(SwinClassifier(2), torch.randn(1, 1, 64, 96), "swin.layers1.0.blocks.0.attn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("change", [{}, {"proj_type": "perceptron"}, {"post_activation": "Tanh"}])
def test_default_for_a_class_token_is_before_the_last_attention(rank, change):
    network, x = monai_vit(rank, **change), scans(rank)
    ranking = cam.rank_layers(network, x)
    assert ranking.default.name == "blocks.2.norm1"
    assert (ranking.default.grid, ranking.default.prefix) == (GRID[rank], 1)
    assert cam.class_maps(network, x).layers == ("blocks.2.norm1",)
    by_name = {layer.name: layer for layer in ranking.layers}
    assert by_name["norm"].classes_differ is by_name["blocks.2"].classes_differ is False
    assert not cam.class_maps(network, x, "norm")["grad-cam"].any()  # what is said of it is so


def test_reason_for_a_class_token_reads_well():
    assert cam.rank_layers(monai_vit(2), scans(2)).reason == (
        "the last layer where the classes differ from place to place: 6 x 4 units, 4 x 8 voxels apart; at "
        "later ones (blocks.2.attn.out_rearrange to norm) they do not: the classes are read from a token "
        "without a place, which no patch reaches from there"
    )


@pytest.mark.parametrize(
    ("network", "default"),
    [
        (Patches(3), "blocks"),
        (Patches(3, 4), "blocks"),
        (Patches(3, 1, "first"), "blocks.1.norm1"),
        (Patches(3, 1, "first", norm_first=False), "blocks.0"),
        (Patches(3, 5, "first", batch_first=False, depth=3), "blocks.2.norm1"),
    ],
)
def test_default_is_the_last_layer_whose_patches_reach_the_classes(network, default):
    assert cam.rank_layers(network, scans(3)).default.name == default
    assert cam.class_maps(network, scans(3)).layers == (default,)


@pytest.mark.parametrize("rank", [2, 3])
def test_default_for_swin_is_its_last_stage(rank):
    ranking = cam.rank_layers(SwinClassifier(rank), (1, 1, *SWIN_SPACE[rank]))
    assert ranking.default.name == "swin[4]"
    assert ranking.default.linear_head
    assert "at later ones" not in ranking.reason


def convolutional():
    from monai.networks import nets

    dense = {"init_features": 8, "growth_rate": 4, "block_config": (2, 2), "bn_size": 2}
    return {
        "dense": (nets.DenseNet(3, 1, 3, **dense), "class_layers.relu"),
        "residual": (
            nets.ResNet(
                "basic", [1, 1, 1, 1], [4, 8, 12, 16], spatial_dims=3, n_input_channels=1, num_classes=3
            ),
            "layer4",
        ),
        "efficient": (
            nets.EfficientNetBN(
                "efficientnet-b0", spatial_dims=3, in_channels=1, num_classes=3, pretrained=False
            ),
            "_swish@2",
        ),
    }


@pytest.mark.parametrize("kind", ["dense", "residual", "efficient"])
def test_default_of_convolutional_networks_is_the_last_layer_that_is_no_pooling(kind):
    network, name = convolutional()[kind]
    shape = (1, 1, 48, 64, 64)
    assert cam.default_layer(cam.candidate_layers(network, shape)).name == name
    ranking = cam.rank_layers(network, shape)
    assert ranking.default.name == name
    assert ranking.reason.startswith("the last layer where the classes differ from place to place: ")


def test_a_list_of_layers_that_is_empty_did_not_run():
    network = Pooled(2)
    network.none = nn.ModuleList()
    with pytest.raises(ExplainError, match="^layer 'none' did not run in this forward pass"):
        cam.class_maps(network, images(2), "none")
