"""Whether a heatmap points at a finding, measured against its mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume


@dataclass(frozen=True)
class Localisation:
    """Where the evidence lies, beside what chance would give.

    Parameters
    ----------
    peak_in_mask
        The pointing game (Zhang et al. 2016, arXiv 1608.00507): the peak lies in a voxel of the mask.
        None if there is no peak or no mask.
    peak_distance_mm
        From the peak to the nearest voxel centre of the mask, 0 inside; NaN if undefined.
    energy_in_mask
        Share of the positive evidence that lies in the mask (Wang et al. 2020, the energy-based
        pointing game), 0..1; NaN if undefined.
    mask_share
        Share of the seen voxels that are mask: what an even map would score.
    """

    peak_in_mask: bool | None
    peak_distance_mm: float
    energy_in_mask: float
    mask_share: float


def localise(heatmap: Heatmap, mask: Volume) -> Localisation:
    """Return how well `heatmap` points at `mask`, measured on the mask's grid.

    Parameters
    ----------
    mask
        Voxels over 0 are the finding. An empty mask gives None and NaN, never a hit or a miss.
    """
    finding = np.asarray(mask.voxels) > 0
    evidence = np.asarray(heatmap.on(mask.geometry).voxels)
    seen = np.isfinite(evidence)
    positive = np.where(seen, np.maximum(evidence, 0), 0)
    total = float(positive.sum(dtype=np.float64))
    energy = float(positive[finding].sum(dtype=np.float64)) / total if total > 0 else float("nan")
    share = float(finding[seen].mean()) if seen.any() else float("nan")
    peak = heatmap.peak_mm
    if not finding.any():
        return Localisation(None, float("nan"), float("nan"), share)
    if peak is None:
        return Localisation(None, float("nan"), energy, share)
    at = np.rint(mask.geometry.to_index(peak)).astype(int)
    inside = bool((at >= 0).all() and (at < mask.shape).all() and finding[tuple(at)])
    centres = mask.geometry.to_world(np.argwhere(finding))
    distance = 0.0 if inside else float(cKDTree(centres).query(peak)[0])
    return Localisation(inside, distance, energy, share)
