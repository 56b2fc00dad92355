"""The grid of segments: frames are stored only where there is something, the places between hold nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.io.dicom.grid import LPS_TO_RAS, axes_of
from voxcam.io.dicom.steps import EVEN, usual_gap
from voxcam.io.study import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.dicom.grid import Grid

_ROUNDED_MM = 0.01
# What segments share a place for, and lack places for, is no finding; steps are looked at here.
_OF_IMAGES = (
    *("missing-slices", "uneven-steps", "nearly-even", "thickness"),
    *("fourth-axis", "duplicates", "copies"),
)


def sparse_grid(grid: Grid) -> tuple[Geometry, tuple[int, ...]] | None:
    """Return the grid from the first stored position to the last, and the slice of each position.

    The step is SpacingBetweenSlices (0018,0088) where all positions are whole numbers of it apart, else the
    usual distance. None if the positions are on no even steps, or several frames lie nowhere.
    """
    first = grid.slices[0][0]
    axes = axes_of(first.orientation) if first.placed and first.orientation else None
    if axes is None or len(grid.slices) == 1:
        alone = len(grid.slices[0]) == 1 or axes is not None
        return (grid.geometry, (0,)) if alone else None
    origins = np.array([here[0].position for here in grid.slices], dtype=np.float64)
    steps = _steps(origins @ axes[2], first.between_slices_mm)
    if steps is None:
        return None
    at = [0, *(int(k) for k in np.cumsum(steps))]
    affine = grid.geometry.affine.copy()
    affine[:3, 2] = LPS_TO_RAS[:3, :3] @ (origins[-1] - origins[0]) / at[-1]
    shape = (*grid.geometry.shape[:2], at[-1] + 1)
    return Geometry(shape, affine, grid.geometry.frame), tuple(at)


def sparse_findings(grid: Grid) -> tuple[Finding, ...]:
    """Return what is odd about a segmentation."""
    kept = tuple(finding for finding in grid.findings if finding.kind not in _OF_IMAGES)
    if sparse_grid(grid) is not None:
        return kept
    text = "expected segments on slices at even steps in the patient, found others: export it again"
    return (*kept, Finding("uneven-segments", text, stops=True))


def _steps(places: NDArray[np.float64], stated_mm: float | None) -> NDArray[np.int_] | None:
    for usual in (stated_mm, usual_gap(places)):
        if usual is not None and usual > 0 and (steps := _whole(np.diff(places), usual)) is not None:
            return steps
    return None


def _whole(gaps: Sequence[float] | NDArray[np.float64], usual: float) -> NDArray[np.int_] | None:
    """Return how many steps the gaps are, if they are whole numbers of them."""
    steps = np.maximum(1, np.round(np.asarray(gaps) / usual))
    off = np.abs(gaps - steps * usual)
    return steps.astype(int) if (off <= EVEN * usual + _ROUNDED_MM * steps).all() else None
