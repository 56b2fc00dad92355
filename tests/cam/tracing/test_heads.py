from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import CONV, POOL, Pooled, images, trunk
from voxcam import cam
from voxcam.errors import ExplainError

AVERAGE = {2: lambda: nn.AvgPool2d((9, 13)), 3: lambda: nn.AvgPool3d((5, 7, 9))}
LINEAR_HEADS = {
    "adaptive pooling, linear": lambda rank: [POOL[rank](1), nn.Flatten(), nn.Linear(6, 3)],
    "average pooling, linear": lambda rank: [AVERAGE[rank](), nn.Flatten(), nn.Linear(6, 3)],
    "no bias": lambda rank: [POOL[rank](1), nn.Flatten(), nn.Linear(6, 3, bias=False)],
    "pooling, 1x1 convolution": lambda rank: [POOL[rank](1), CONV[rank](6, 3, 1), nn.Flatten()],
    "1x1 convolution, pooling": lambda rank: [CONV[rank](6, 3, 1), POOL[rank](1), nn.Flatten()],
    "dropout": lambda rank: [POOL[rank](1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 3)],
    "normalisation": lambda rank: [POOL[rank](1), nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 3)],
}


@pytest.mark.parametrize("head", LINEAR_HEADS.values(), ids=LINEAR_HEADS)
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_cam_means_to_the_logit_less_its_bias_whatever_the_linear_head(head, rank, batch):
    torch.manual_seed(0)
    network = nn.Sequential(trunk(rank), nn.Sequential(*head(rank))).eval()
    maps = cam.class_maps(network, images(rank, batch), "0", "cam")
    with torch.no_grad():
        bias = network[1](torch.zeros(1, 6, *maps["cam"].shape[2:]))
    assert_agree(maps["cam"].flatten(2).mean(-1) + bias, maps.logits)


@pytest.mark.parametrize("batch", [1, 2])
def test_cam_refuses_a_perceptron_though_its_gradient_is_constant_over_space(batch):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    network = nn.Sequential(trunk(2), head)
    assert cam.class_maps(network, images(2, batch), "0", "grad-cam")["grad-cam"].any()
    with pytest.raises(
        ExplainError, match="pooling and one linear layer after '0', but found Relu on the way"
    ):
        cam.class_maps(network, images(2, batch), "0", ("grad-cam", "cam"))


def test_cam_refuses_the_layer_before_the_last_relu():
    with pytest.raises(
        ExplainError, match="but found Relu on the way; choose the layer that feeds the pooling"
    ):
        cam.class_maps(Pooled(2), images(2), "features.4", "cam")


def test_cam_refuses_a_linear_layer_without_pooling():
    network = nn.Sequential(trunk(2), nn.Flatten(), nn.Linear(6 * 9 * 13, 3))
    with pytest.raises(ExplainError, match="the gradient there varies over space"):
        cam.class_maps(network, images(2), "0", "cam")


def test_cam_refuses_maximum_pooling():
    network = nn.Sequential(trunk(2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    with pytest.raises(ExplainError, match="but found AdaptiveMaxPool2D on the way"):
        cam.class_maps(network, images(2), "0", "cam")


def test_cam_judges_each_of_several_layers():
    with pytest.raises(ExplainError, match=r"after 'features\.3'"):
        cam.class_maps(Pooled(3), images(3), ["features", "features.3"], "cam")
    nested = cam.class_maps(Pooled(3), images(3), ["features.5", "features"], "cam")
    assert torch.equal(nested["cam", "features"], nested["cam", "features.5"])


@pytest.mark.parametrize("rank", [2, 3])
def test_the_head_is_seen_and_the_maps_are_the_same_channels_last(rank):
    torch.manual_seed(0)
    network = nn.Sequential(trunk(rank), POOL[rank](1), nn.Flatten(), nn.Linear(6, 3)).eval()
    inputs = images(rank, 2)
    first = cam.class_maps(network, inputs, "0", ("grad-cam", "layer-cam"))
    layout = torch.channels_last if rank == 2 else torch.channels_last_3d
    last = cam.class_maps(
        network.to(memory_format=layout),
        inputs.contiguous(memory_format=layout),
        "0",
        ("grad-cam", "layer-cam"),
    )
    assert set(last.biases) == set(first.biases) == {"0"}
    for method in ("grad-cam", "layer-cam"):
        assert_agree(last[method], first[method])
