"""A network that provably looks at one thing, as a classifier."""

from __future__ import annotations

from dataclasses import replace

import torch

from voxcam.core.answer import Answer
from voxcam.model.classifier import Classifier
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.statement import Statement
from voxcam.model.tiling import Tiling

TO_1_5_MM = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 1.5], "mode": "bilinear"},
    ],
}


class Looker(torch.nn.Module):
    """Logits: how bright the brightest cells are, how dark, and a class nothing speaks for."""

    def __init__(self, rank: int = 3) -> None:
        super().__init__()
        convolution = torch.nn.Conv3d if rank == 3 else torch.nn.Conv2d
        self.pool = torch.nn.AvgPool3d(4) if rank == 3 else torch.nn.AvgPool2d(4)
        self.look = convolution(1, 2, 1, bias=False)
        self.head = torch.nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.look.weight.copy_(torch.tensor([1.0, -1.0]).reshape(self.look.weight.shape))
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        units = torch.relu(self.look(self.pool(x)))
        return self.head(units.flatten(2).mean(-1))


class Squinter(Looker):
    """Its units look three voxels beyond the middle of their boxes, along every axis."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.nn.functional.pad(x[..., 3:, 3:, 3:], (0, 3, 0, 3, 0, 3)))


def looker(rank: int = 3, **changes: object) -> Classifier:
    """Return the looker over windows of 16 voxels of 1.5 mm, or with other parts."""
    classifier = Classifier(
        network=Looker(rank).eval(),
        statement=Statement(
            name="looker",
            classes=("bright", "dark", "never"),
            answer=Answer("sigmoid"),
            default_layer="look",
        ),
        preprocessing=build_preprocessing(TO_1_5_MM),
        tiling=Tiling((16, 16, 16), 0.5),
        device=torch.device("cpu"),
        example_shape=(1, 1, *(16,) * rank),
    )
    return replace(classifier, **changes)
