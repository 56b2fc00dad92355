"""Maps of several layers joined into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.cam.upsampling import upsample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BASE = "grad-cam++"
"""The method whose maps RefineCAM multiplies, as in its paper."""


def refine_cam(maps: Sequence[Tensor]) -> Tensor:
    """RefineCAM (2026, arXiv 2605.14641): the product of several layers' maps, as shares of their largest.

    The coarse, class-specific map of a late layer and the sharp maps of early ones have to agree. Every
    map (B, K, *grid) is cut off at 0, divided by its largest value, brought to the finest of the grids
    (half-pixel rule) and multiplied. Where one layer holds nothing positive the product is 0: an empty map.
    Between 0 and 1, a share and not in logit units.

    Returns
    -------
    product
        (B, K, *finest grid).
    """
    finest = max((tuple(layer.shape[2:]) for layer in maps), key=lambda grid: torch.Size(grid).numel())
    product = torch.ones(*maps[0].shape[:2], *finest, dtype=maps[0].dtype, device=maps[0].device)
    for layer in maps:
        product = product * upsample(_share_of_largest(layer), finest)
    return product


def _share_of_largest(maps: Tensor) -> Tensor:
    positive = maps.relu()
    largest = positive.flatten(2).amax(-1).reshape(*maps.shape[:2], *(1,) * (maps.ndim - 2))
    return positive / largest.masked_fill(largest == 0, 1)
