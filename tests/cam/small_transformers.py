"""Untrained transformers of a few blocks: MONAI's, torch's own, and one whose tokens never mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPACE = {2: (24, 32), 3: (8, 12, 16)}
PATCH = {2: (4, 8), 3: (4, 6, 4)}
GRID = {2: (6, 4), 3: (2, 2, 4)}
CONV = {2: nn.Conv2d, 3: nn.Conv3d}


def scans(rank: int, batch: int = 2, seed: int = 0) -> Tensor:
    """Noise of no two equal sides; every sample differs."""
    return torch.randn(batch, 1, *SPACE[rank], generator=torch.Generator().manual_seed(seed))


def monai_vit(rank: int, seed: int = 1, **changes) -> nn.Module:
    """MONAI's ViT as a classifier of three blocks, whose attention is not flat and whose classes differ."""
    from monai.networks.nets import ViT

    options = {
        "in_channels": 1,
        "img_size": SPACE[rank],
        "patch_size": PATCH[rank],
        "hidden_size": 24,
        "mlp_dim": 32,
        "num_layers": 3,
        "num_heads": 3,
        "classification": True,
        "num_classes": 4,
        "spatial_dims": rank,
        "post_activation": None,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return livened(ViT(**options | changes))


def livened(network: nn.Module) -> nn.Module:
    """Make weights large enough for attention to differ from token to token, and evaluate."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and weight.numel() and "norm" not in name and "table" not in name:
                weight.normal_(std=1.2 / weight[0].numel() ** 0.5)
            elif "cls_token" in name or "table" in name:
                weight.normal_()
    return network.eval()


class Patches(nn.Module):
    """A ViT in torch's own parts.

    Parameters
    ----------
    registers
        Tokens without a place before the patches; the first of them is the class token if `read` is "first".
    read
        Which tokens the head reads: "first", "patches" (their mean) or "all" (their mean).
    batch_first, norm_first
        As `nn.TransformerEncoderLayer` has them.
    """

    def __init__(
        self,
        rank: int,
        registers: int = 0,
        read: str = "patches",
        *,
        batch_first: bool = True,
        norm_first: bool = True,
        heads: int = 4,
        depth: int = 2,
        classes: int = 3,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.patches = CONV[rank](1, 16, PATCH[rank], PATCH[rank])
            self.registers = nn.Parameter(torch.randn(1, registers, 16))
            self.places = nn.Parameter(torch.randn(1, registers + torch.Size(GRID[rank]).numel(), 16))
            self.blocks = nn.Sequential(
                *(
                    nn.TransformerEncoderLayer(
                        16, heads, 20, batch_first=batch_first, norm_first=norm_first, activation="gelu"
                    )
                    for _ in range(depth)
                )
            )
            self.head = nn.Linear(16, classes)
            livened(self)
        self.read, self.batch_first = read, batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.registers.expand(len(x), -1, -1), x], dim=1) + self.places
        x = self.blocks(x) if self.batch_first else self.blocks(x.transpose(0, 1)).transpose(0, 1)
        if self.read == "first":
            return self.head(x[:, 0])
        start = self.registers.shape[1] if self.read == "patches" else 0
        return self.head(x[:, start:].mean(1))


class SwinClassifier(nn.Module):
    """The encoder of MONAI's SwinUNETR, global average pooling, one linear layer."""

    def __init__(self, rank: int, classes: int = 3, **changes) -> None:
        from monai.networks.nets.swin_unetr import SwinTransformer

        super().__init__()
        options = {
            "in_chans": 1,
            "embed_dim": 6,
            "window_size": (2,) * rank,
            "patch_size": (2,) * rank,
            "depths": (1, 2, 1, 1),
            "num_heads": (1, 2, 2, 2),
            "spatial_dims": rank,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            self.swin = SwinTransformer(**options | changes)
            self.head = nn.Linear(6 * 16, classes)
            livened(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.swin(x)[-1].flatten(2).mean(-1))


class TokenWise(nn.Module):
    """Every patch by itself: where one is bright, only its own token can say so, for class 1."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.patches = CONV[rank](1, 4, PATCH[rank], PATCH[rank])
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.step = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.patches.weight.fill_(1.0)
            self.step[0].weight.copy_(torch.eye(4))
            self.head.weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
        return self.head(self.step(x).mean(1))
