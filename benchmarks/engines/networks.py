"""The networks and inputs that are explained, all with random weights from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from monai.networks.nets import DenseNet121, resnet18, resnet50
from torch import Tensor, nn
from torchvision.models import VisionTransformer

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = 14


@dataclass(frozen=True, eq=False)
class Case:
    """A network in evaluation mode, its input, and the layer to explain at."""

    title: str
    network: nn.Module
    x: Tensor
    layer: str

    @property
    def module(self) -> nn.Module:
        """The layer itself."""
        return self.network.get_submodule(self.layer)


@dataclass(frozen=True)
class Recipe:
    """How to make a case: networks are built where they run, for a child process too."""

    title: str
    build: Callable[[int], nn.Module]
    shape: tuple[int, ...]
    layer: str

    def case(self, size: int | None = None) -> Case:
        """Build the network and the input, or an input of `size` along every axis."""
        torch.manual_seed(0)
        rank = len(self.shape)
        network = self.build(rank).eval()
        x = torch.randn((1, 1, *(self.shape if size is None else (size,) * rank)))
        return Case(self.title, network, x, self.layer)


def densenet121(rank: int) -> nn.Module:
    return DenseNet121(spatial_dims=rank, in_channels=1, out_channels=CLASSES)


def resnet_of_18(rank: int) -> nn.Module:
    """The stem strides, as in the paper and in the weights published for medical volumes."""
    return resnet18(spatial_dims=rank, n_input_channels=1, num_classes=CLASSES, conv1_t_stride=2)


def resnet_of_50(rank: int) -> nn.Module:
    return resnet50(spatial_dims=rank, n_input_channels=1, num_classes=CLASSES, conv1_t_stride=2)


RECIPES = {
    recipe.title: recipe
    for recipe in (
        Recipe("DenseNet121 2D 224^2", densenet121, (224, 224), "class_layers.relu"),
        Recipe("ResNet50 2D 224^2", resnet_of_50, (224, 224), "layer4"),
        Recipe("DenseNet121 3D 96^3", densenet121, (96, 96, 96), "class_layers.relu"),
        Recipe("ResNet18 3D 96^3", resnet_of_18, (96, 96, 96), "layer4"),
    )
}


class SmallNetwork(nn.Module):
    """A trunk that ends in a ReLU, and a head that is linear nowhere, twice differentiable, and steep.

    Steep, because peers add 1e-6 to denominators: gradients of the size of 1 keep that out of the figures.
    """

    def __init__(self, rank: int, classes: int = 5, steepness: float = 100.0) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[rank - 2]
        pool = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[rank - 2]
        self.stem = conv(1, 8, 3, padding=1)
        self.stem_relu = nn.ReLU()
        self.trunk = conv(8, 12, 3, stride=2, padding=1)
        self.trunk_relu = nn.ReLU()
        self.head = conv(12, 16, 3, padding=1)
        self.bend = nn.SiLU()
        self.pool = pool(2)
        self.fc = nn.Linear(16 * 2**rank, classes)
        self.steepness = steepness

    def forward(self, x: Tensor) -> Tensor:
        a = self.trunk_relu(self.trunk(self.stem_relu(self.stem(x))))
        return self.after(a)

    def after(self, a: Tensor) -> Tensor:
        """Return the logits of other feature maps: the head alone."""
        return self.fc(self.pool(self.bend(self.head(a))).flatten(1)) * self.steepness


class PoolingNetwork(nn.Module):
    """A trunk, global average pooling and one linear layer: where Zhou's CAM is defined."""

    def __init__(self, rank: int, classes: int = 5) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[rank - 2]
        self.stem = conv(1, 12, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.pool = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[rank - 2](1)
        self.fc = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.relu(self.stem(x))).flatten(1))


SMALL_SHAPES = {2: (24, 32), 3: (12, 16, 20)}
"""No two axes alike: who swaps them would show."""


def small_case(rank: int, batch: int = 2, steepness: float = 100.0) -> Case:
    torch.manual_seed(rank)
    network = SmallNetwork(rank, steepness=steepness).eval()
    return Case(f"small {rank}D", network, torch.randn((batch, 1, *SMALL_SHAPES[rank])), "trunk_relu")


def pooling_case(rank: int, batch: int = 2) -> Case:
    torch.manual_seed(rank)
    network = PoolingNetwork(rank).eval()
    return Case(f"pooling {rank}D", network, torch.randn((batch, 1, *SMALL_SHAPES[rank])), "relu")


def small_transformer() -> Case:
    """torchvision's vision transformer, small; its blocks put out (B, 1 + places, channels)."""
    torch.manual_seed(0)
    network = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5
    ).eval()
    torch.nn.init.normal_(network.heads.head.weight)  # zero as made: no class would depend on anything
    return Case("transformer", network, torch.randn(2, 3, 32, 32), "encoder.layers.encoder_layer_0")
