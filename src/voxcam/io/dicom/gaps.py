"""Missing slices and uneven steps: their places marked or interpolated, never stretched away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.errors import GridError, ReadError
from voxcam.io import limits
from voxcam.io.dicom.grid import LPS_TO_RAS, axes_of
from voxcam.io.dicom.steps import grid_steps, usual_gap
from voxcam.io.study import GAP_KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.io.dicom.grid import Grid
    from voxcam.io.study import Gaps

# Where neighbours lie further apart than this many usual steps, nothing is known of what lies between.
_TOO_FAR = 1.5
# A grid of this many times the slices there are says more of what was not measured than of what was.
_MOST_TIMES = 20


def closed(volume: Volume, grid: Grid, gaps: Gaps) -> Volume:
    """Return the volume on even steps: what was measured stays, what was not is marked or interpolated.

    Missing slices: the others keep their voxels as they are. Uneven steps: linear between neighbours, on the
    smallest step there is. Places with no measured neighbour near are `Volume.empty` where gaps are marked:
    they hold the lowest value of the volume, or NaN of floats. `source` says what was done.
    """
    kinds = {finding.kind for finding in grid.findings if finding.stops}
    if not kinds & set(GAP_KINDS):
        return volume
    if not isinstance(volume.voxels, np.ndarray):
        raise ReadError("gaps of a series over the memory limit cannot be closed: raise VOXCAM_MOST_BYTES")
    places = _places(grid)
    steps = grid_steps(places)
    if steps is not None:
        at = np.concatenate([[0], np.cumsum(steps)]).astype(float)
        geometry = volume.geometry
    else:
        smallest = float(np.diff(places).min())
        at = (places - places[0]) / smallest
        geometry = _even(grid, volume.geometry, smallest)
    count = int(np.floor(at[-1] + 1e-6)) + 1
    if steps is None and count > _MOST_TIMES * len(at):
        raise GridError(
            f"steps between slices are too uneven for one grid: {len(at)} slices would become {count}; "
            "split the series into stacks first"
        )
    limits.check(count * volume.voxels[:, :, 0].nbytes, "the volume with its gaps closed")
    targets = np.arange(count, dtype=float)
    usual = usual_gap(at)
    empty = _unknown(targets, at, usual) if gaps == "mark" else ()
    voxels = _between(volume.voxels, at, targets, empty)
    geometry = Geometry((*geometry.shape[:2], len(targets)), geometry.affine, geometry.frame)
    source = {**volume.source, "slices": len(targets), "gaps": gaps, "gap_slices": _not_measured(targets, at)}
    return replace(volume, voxels=voxels, geometry=geometry, source=source, empty=tuple(empty))


def _places(grid: Grid) -> NDArray[np.float64]:
    orientation = grid.slices[0][0].orientation
    axes = axes_of(orientation) if orientation is not None else None
    if axes is None:
        raise ReadError("gaps can be closed only where slices lie in the patient")
    positions = np.array([here[0].position for here in grid.slices], dtype=np.float64)
    return np.asarray(positions @ axes[2])


def _even(grid: Grid, geometry: Geometry, step_mm: float) -> Geometry:
    """Return the geometry with steps of `step_mm` along the line from the first position to the last."""
    first, last = (np.array(here[0].position) for here in (grid.slices[0], grid.slices[-1]))
    places = _places(grid)
    affine = geometry.affine.copy()
    affine[:3, 2] = LPS_TO_RAS[:3, :3] @ (last - first) * step_mm / (places[-1] - places[0])
    return Geometry(geometry.shape, affine, geometry.frame)


def _unknown(targets: NDArray[np.float64], at: NDArray[np.float64], usual: float) -> list[int]:
    """Return the places whose two measured neighbours lie too far apart to say anything of them."""
    above = np.clip(np.searchsorted(at, targets - 1e-6), 1, len(at) - 1)
    apart = at[above] - at[above - 1]
    nearest = np.minimum(np.abs(targets - at[above]), np.abs(targets - at[above - 1]))
    return [int(k) for k in np.flatnonzero((apart > _TOO_FAR * usual) & (nearest > 0.5 * usual - 1e-6))]


def _not_measured(targets: NDArray[np.float64], at: NDArray[np.float64]) -> list[int]:
    above = np.clip(np.searchsorted(at, targets), 1, len(at) - 1)
    nearest = np.minimum(np.abs(targets - at[above]), np.abs(targets - at[above - 1]))
    return [int(k) for k in np.flatnonzero(nearest > 1e-3)]


def _between(
    voxels: NDArray[Any], at: NDArray[np.float64], targets: NDArray[np.float64], empty: list[int] | tuple[()]
) -> NDArray[Any]:
    """Return voxels at `targets`, linear between the slices that lie at `at`; the memory order is kept."""
    stack = np.moveaxis(voxels, 2, 0)
    nothing = np.nan if voxels.dtype.kind == "f" else np.zeros((), voxels.dtype)
    if voxels.dtype.kind == "i":
        nothing = voxels.min()
    made = np.empty((len(targets), *stack.shape[1:][::-1]), voxels.dtype)
    made = made.transpose(0, *range(made.ndim - 1, 0, -1))
    missing = set(empty)
    for k, target in enumerate(targets):
        made[k] = nothing if k in missing else _one(stack, at, target)
    return np.moveaxis(made, 0, 2)


def _one(stack: NDArray[Any], at: NDArray[np.float64], target: float) -> NDArray[Any]:
    near = int(np.abs(at - target).argmin())
    if abs(at[near] - target) < 1e-3 or stack.dtype.names:
        return np.asarray(stack[near])
    above = int(np.clip(np.searchsorted(at, target), 1, len(at) - 1))
    weight = np.float32((target - at[above - 1]) / (at[above] - at[above - 1]))
    below = stack[above - 1].astype(np.float32)
    value = below + weight * (stack[above].astype(np.float32) - below)
    return np.asarray(np.rint(value) if stack.dtype.kind == "i" else value)
