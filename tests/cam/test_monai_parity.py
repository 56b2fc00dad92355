"""Against MONAI's own Grad-CAM, without the inversion it applies by default, on MONAI's networks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.cam.agreement import assert_agree
from voxcam import cam


@pytest.fixture(scope="module")
def monai():
    """The networks and the peer, imported here only: it takes seconds."""
    from monai.networks import nets
    from monai.visualize import CAM, GradCAM

    def dense(rank):
        return nets.DenseNet(rank, 1, 3, init_features=8, growth_rate=4, block_config=(2, 3, 2), bn_size=2)

    def residual(rank):
        shape = {"spatial_dims": rank, "n_input_channels": 1, "num_classes": 3, "conv1_t_size": 3}
        return nets.ResNet("basic", [1, 1, 1, 1], [4, 8, 12, 16], **shape)

    return SimpleNamespace(dense=dense, residual=residual, grad_cam=GradCAM, zhou_cam=CAM)


def network_and_inputs(monai, kind, rank):
    torch.manual_seed(4)
    network = getattr(monai, kind)(rank)
    shape = {2: (64, 96), 3: (32, 48, 40)}[rank]
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 1, *shape))
    return network.eval(), torch.randn(2, 1, *shape)


LAYERS = [
    ("dense", "class_layers.relu"),
    ("dense", "features.transition1"),
    ("dense", "features.denseblock2.denselayer1.layers.conv1"),
    ("residual", "layer4"),
    ("residual", "layer2"),
    ("residual", "layer3.0.conv2"),
]


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize(("kind", "layer"), LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-6)])
def test_grad_cam_agrees_with_monai(monai, kind, layer, rank, dtype, tolerance):
    network, x = network_and_inputs(monai, kind, rank)
    network, x = network.to(dtype), x.to(dtype)
    raw = cam.class_maps(network, x, layer)["grad-cam"]
    ours = cam.upsample(raw.relu(), x.shape[2:])
    peer = monai.grad_cam(network, layer, postprocessing=lambda m: m)
    for b, k in ((0, 0), (0, 2), (1, 1)):
        theirs = peer(x[b : b + 1], class_idx=k)[0, 0].detach().float()
        # The ReLU may leave little of a map, or nothing: its rounding is that of the signed map.
        assert (ours[b, k] - theirs).abs().max() <= tolerance * raw[b, k].abs().max()


@pytest.mark.parametrize("rank", [2, 3])
def test_cam_agrees_with_monai_less_the_bias(monai, rank):
    network, x = network_and_inputs(monai, "dense", rank)
    ours = cam.class_maps(network, x[:1], "class_layers.relu", "cam")["cam"]
    peer = monai.zhou_cam(network, "class_layers.relu", "class_layers.out", postprocessing=lambda m: m)
    bias = network.class_layers.out.bias.detach()
    for k in range(3):
        theirs = peer.compute_map(x[:1], class_idx=[k])
        assert_agree(ours[:, k : k + 1] + bias[k], theirs)


@pytest.mark.parametrize("rank", [2, 3])
def test_densenet_features_keep_their_values_before_the_in_place_relu(monai, rank):
    network, x = network_and_inputs(monai, "dense", rank)
    captured = cam.capture(network, x, ["features", "class_layers.relu"])
    with torch.no_grad():
        assert_agree(captured.activations["features"], network.features(x))
    assert_agree(captured.activations["class_layers.relu"], captured.activations["features"].relu())
    assert captured.activations["features"].min() < 0


@pytest.mark.parametrize("rank", [2, 3])
def test_default_layers_of_monai_networks(monai, rank):
    for kind, expected in (("dense", "class_layers.relu"), ("residual", "layer4")):
        network, x = network_and_inputs(monai, kind, rank)
        assert cam.default_layer(cam.candidate_layers(network, x)).name == expected


def test_metatensor_gives_plain_tensors(monai):
    from monai.data import MetaTensor

    network, x = network_and_inputs(monai, "residual", 2)
    maps = cam.class_maps(network, MetaTensor(x), "layer4")
    assert type(maps["grad-cam"]) is torch.Tensor
    assert_agree(maps["grad-cam"], cam.class_maps(network, x, "layer4")["grad-cam"])
