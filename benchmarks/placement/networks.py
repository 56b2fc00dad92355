"""Narrow networks of the families that classify scans, small enough to train on one core in minutes.

ResNet, DenseNet and EfficientNet are MONAI's, made narrow by their own arguments. MONAI's SENet has no width
argument: its stages are built here with a quarter of their channels, its stem (a pooling that rounds up and
pads nothing) is untouched. MONAI's ViT has no layer with a grid: here two of its token lists pass through
`earlier` and `last` as (B, C, *grid).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.squeeze_and_excitation import SEResNetBottleneck
from monai.networks.nets import DenseNet, SENet, ViT, resnet10
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = 4
SHAPES = {2: (128, 112), 3: (48, 40, 56)}


@dataclass(frozen=True)
class Entry:
    """One network to train: how to build it, its input's size, its training."""

    family: str
    rank: int
    seed: int
    build: Callable[[], nn.Module]
    samples: int
    rate: float

    @property
    def name(self) -> str:
        return f"{self.family}-{self.rank}d-{self.seed}"

    @property
    def shape(self) -> tuple[int, ...]:
        return SHAPES[self.rank]


def resnet(rank: int) -> nn.Module:
    return resnet10(
        spatial_dims=rank, n_input_channels=1, num_classes=CLASSES, widen_factor=0.25, conv1_t_size=3,
        conv1_t_stride=rank - 1, no_max_pool=rank == 3,
    )  # fmt: skip


def densenet(rank: int) -> nn.Module:
    blocks = (2, 4, 4) if rank == 2 else (2, 4)
    return DenseNet(rank, 1, CLASSES, init_features=16, growth_rate=8, block_config=blocks)


def efficientnet(rank: int) -> nn.Module:
    """The first five of seven stages, one block each, a quarter as wide as b0."""
    blocks = [
        "r1_k3_s11_e1_i32_o16_se0.25", "r1_k3_s22_e6_i16_o24_se0.25", "r1_k5_s22_e6_i24_o40_se0.25",
        "r1_k3_s22_e6_i40_o80_se0.25", "r1_k5_s11_e6_i80_o112_se0.25",
    ]  # fmt: skip
    return EfficientNet(
        blocks, spatial_dims=rank, in_channels=1, num_classes=CLASSES, width_coefficient=0.25,
        depth_coefficient=1.0, image_size=max(SHAPES[rank]), dropout_rate=0.0, drop_connect_rate=0.0,
    )  # fmt: skip


def se_resnet(rank: int) -> nn.Module:
    network = QuarterSENet(
        rank, 1, SEResNetBottleneck, [1, 1, 1, 1], groups=1, reduction=8, dropout_prob=None,
        inplanes=16, downsample_kernel_size=1, num_classes=CLASSES, input_3x3=False,
    )  # fmt: skip
    network.last_linear = nn.Linear(512, CLASSES)
    return network


def vit(rank: int) -> nn.Module:
    return GridViT(
        1, SHAPES[rank], (16,) * 2 if rank == 2 else (8,) * 3, hidden_size=64, mlp_dim=128, num_layers=4,
        num_heads=4, classification=True, num_classes=CLASSES, post_activation=None, spatial_dims=rank,
    )  # fmt: skip


class QuarterSENet(SENet):
    """MONAI's SENet with a quarter of the channels in its stages."""

    def _make_layer(self, block: type[nn.Module], planes: int, *args: object, **kwargs: object) -> nn.Module:
        return super()._make_layer(block, planes // 4, *args, **kwargs)


class GridViT(ViT):
    """MONAI's ViT whose patch tokens pass `earlier` and `last` on their grid, before the last two blocks."""

    def __init__(self, channels: int, shape: tuple[int, ...], patch: tuple[int, ...], **options: object):
        super().__init__(channels, shape, patch, **options)
        self.grid = [size // step for size, step in zip(shape, patch, strict=True)]
        self.earlier = nn.Identity()
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embedding(x)
        tokens = torch.cat((self.cls_token.expand(len(x), -1, -1), tokens), dim=1)
        for number, block in enumerate(self.blocks, start=1 - len(self.blocks)):
            tokens = block(tokens)
            if number in (-2, -1):
                tokens = self._through({-2: self.earlier, -1: self.last}[number], tokens)
        return self.classification_head(self.norm(tokens)[:, 0])

    def _through(self, layer: nn.Module, tokens: Tensor) -> Tensor:
        patches = layer(tokens[:, 1:].transpose(1, 2).unflatten(2, self.grid))
        return torch.cat((tokens[:, :1], patches.flatten(2).transpose(1, 2)), dim=1)


def entry(family: Callable[[int], nn.Module], rank: int, seed: int, samples: int, rate: float) -> Entry:
    return Entry(family.__name__.replace("_", "-"), rank, seed, partial(family, rank), samples, rate)


ENTRIES = (
    entry(resnet, 2, 0, 16000, 3e-3),
    entry(resnet, 2, 1, 16000, 3e-3),
    entry(densenet, 2, 0, 24000, 5e-3),
    entry(densenet, 2, 1, 24000, 5e-3),
    entry(se_resnet, 2, 0, 16000, 2e-3),
    entry(se_resnet, 2, 1, 16000, 2e-3),
    entry(efficientnet, 2, 0, 16000, 5e-3),
    entry(efficientnet, 2, 1, 16000, 5e-3),
    entry(vit, 2, 0, 48000, 1e-3),
    entry(resnet, 3, 0, 10000, 2e-3),
    entry(resnet, 3, 1, 10000, 2e-3),
    entry(densenet, 3, 0, 8000, 5e-3),
    entry(densenet, 3, 1, 8000, 5e-3),
    entry(se_resnet, 3, 0, 8000, 2e-3),
)
