"""Slide the network over a whole scan and stitch its windows' scores and maps, as the viewer does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from torch import nn

from training.lung_nodule.patches import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODULE = 1


@dataclass(frozen=True)
class Slid:
    """`windows` (n,) nodule probabilities, and `heat` (i, j, k), the stitched map in logit units."""

    windows: NDArray[np.float32]
    heat: NDArray[np.float32]

    @property
    def found(self) -> bool:
        """The study's class: that of the window with the lowest background probability."""
        return bool(self.windows.max() > 0.5)

    @property
    def peak(self) -> tuple[int, ...]:
        """The voxel with the most evidence."""
        return tuple(int(n) for n in np.unravel_index(self.heat.argmax(), self.heat.shape))


def slide(model: nn.Module, scaled: NDArray[np.float32], layer: str, overlap: float = 0.5) -> Slid:
    """Run the model on overlapping 40^3 windows of a scan scaled to 0..1.

    Maps are stitched by a mean weighted with a Gaussian of an eighth of the window, as MONAI's sliding window
    inferer does in its `gaussian` mode.
    """
    step = int(SIDE * (1 - overlap))
    padded = np.pad(scaled, [(0, max(0, SIDE - n)) for n in scaled.shape])
    places = dense_patch_slices(padded.shape, (SIDE,) * 3, (step,) * 3)
    weight = compute_importance_map((SIDE,) * 3, mode="gaussian", sigma_scale=0.125).numpy()
    total, weights = np.zeros(padded.shape, np.float32), np.zeros(padded.shape, np.float32)
    scores = []
    for first in range(0, len(places), 24):
        group = places[first : first + 24]
        probability, heat = explain(model, np.stack([padded[place] for place in group]), layer)
        scores.append(probability)
        for place, one in zip(group, heat, strict=True):
            total[place] += one * weight
            weights[place] += weight
    stitched = (total / weights)[tuple(slice(n) for n in scaled.shape)]
    return Slid(np.concatenate(scores), stitched)


def explain(
    model: nn.Module, patches: NDArray[np.float32], layer: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the nodule probabilities (n,) and signed Grad-CAM maps (n, 40, 40, 40) of scaled patches.

    Selvaraju et al. 2017: the layer's channels, weighted by the mean gradient of the nodule logit. No ReLU.
    """
    model.eval().requires_grad_(False)
    kept: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[-1].clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = model(torch.from_numpy(np.ascontiguousarray(patches[:, None])))
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, NODULE].sum(), kept[0])
    units = kept[0].detach()
    heat = (gradient.mean((2, 3, 4), keepdim=True) * units).sum(1, keepdim=True)
    heat = nn.functional.interpolate(heat, size=patches.shape[1:], mode="trilinear", align_corners=False)
    return logits.detach().softmax(1)[:, NODULE].numpy(), heat[:, 0].numpy()
