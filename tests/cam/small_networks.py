"""Untrained networks of a few layers, each with one property the engine must cope with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
SHAPES = {1: (23,), 2: (18, 26), 3: (10, 14, 18)}


def images(rank: int, batch: int = 2, seed: int = 0) -> Tensor:
    """Noise of no two equal sides; every sample differs."""
    return torch.randn(batch, 1, *SHAPES[rank], generator=torch.Generator().manual_seed(seed))


def trunk(rank: int, channels: int = 6, seed: int = 1) -> nn.Sequential:
    """Convolution, normalisation with statistics that matter, ReLU; and again at half the size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Sequential(
            CONV[rank](1, 4, 3, padding=1),
            NORM[rank](4),
            nn.ReLU(inplace=True),
            CONV[rank](4, channels, 3, stride=2, padding=1),
            NORM[rank](channels),
            nn.ReLU(inplace=True),
        )
        for norm in (layers[1], layers[4]):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.2, 0.6)
            norm.bias.data.normal_(std=0.3)
    return layers


class Pooled(nn.Module):
    """Trunk, global average pooling, one linear layer: every method has a closed form."""

    def __init__(self, rank: int, classes: int = 4) -> None:
        super().__init__()
        self.features = trunk(rank)
        self.pool = POOL[rank](1)
        self.drop = nn.Dropout(0.5)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            self.classifier = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.drop(self.pool(self.features(x)).flatten(1)))


class Deep(nn.Module):
    """A head that is linear in nothing: gradients differ by place, channel, class and sample."""

    def __init__(self, rank: int, classes: int = 5) -> None:
        super().__init__()
        self.trunk = trunk(rank)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.middle = nn.Sequential(CONV[rank](6, 7, 3, padding=1), nn.GELU())
            self.head = nn.Sequential(
                CONV[rank](7, 8, 3, stride=2), nn.Tanh(), POOL[rank](2), nn.Flatten(), nn.LazyLinear(classes)
            )
            with torch.no_grad():
                self(images(rank, 1))

        for layer in (self.middle[0], self.head[0], self.head[4]):
            layer.weight.data *= 4  # or the gradients would hide below every tolerance

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.trunk(x)))


class InPlaceAfter(nn.Module):
    """Like MONAI's DenseNet: an in-place ReLU overwrites what `features` put out."""

    def __init__(self) -> None:
        super().__init__()
        self.features = trunk(2)[:5]
        self.classifier = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(functional.relu(self.features(x), inplace=True).mean((2, 3)))


class Reusing(nn.Module):
    """One ReLU used twice, one module never, one Linear over channels that come last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.relu, self.unused, self.last = nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Linear(4, 4)
        self.weights = nn.Dropout(0.1)
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.second(self.relu(self.first(x))))
        x = self.weights(self.last(x.movedim(1, -1)).movedim(-1, 1))
        return self.classifier(self.pool(x).flatten(1))


class Returning(nn.Module):
    """Pooled logits, put out in whatever wrapping the test asks for."""

    def __init__(self, wrap: object) -> None:
        super().__init__()
        self.network, self.wrap = Pooled(2), wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.network(x))


class _NoVmapRule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        assert float(gradient.abs().max()) >= 0  # .item() cannot be batched
        return 2 * x * gradient


class NoVmapRule(Deep):
    """Its backward pass reads a number out of a tensor, which a batched product cannot do."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(_NoVmapRule.apply(self.middle(self.trunk(x))))
