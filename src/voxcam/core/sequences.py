"""Several series of one study brought onto one grid: T1, T2 and FLAIR as the channels of one volume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.volume import SEQUENCE, Axis, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def together(series: Mapping[str, Volume], onto: str | None = None) -> Volume:
    """Return one volume of several series, the series along its fourth axis, in the order given.

    They are laid over each other by their place in the patient alone, linear between voxels: whoever
    moved between two series is not moved back. The grid is cropped to the box that all series cover; what
    is still outside one of them in a corner, as where grids are oblique to each other, takes the lowest
    value of that series, and ``source["sequences"]`` says how much that is.

    Parameters
    ----------
    series
        Name to volume: three axes, one number a voxel, in the frame of one patient.
    onto
        Whose grid to take; the first one's unless told.

    Raises
    ------
    ValueError
        If a series is colour or has moments, there is none, or they have no place in common.
    """
    names = tuple(series)
    for name in names:
        _require_still(name, series[name])
    first = series[_named(names, onto)]
    box = _common_box(first, series)
    grid = first.cropped(*box)
    layers, outside = [], {}
    for name in names:
        layer, share = _filled(series[name], grid)
        layers.append(layer)
        outside[name] = share
    source = {**grid.source, "sequences": {"onto": _named(names, onto), "outside": outside}}
    return replace(
        grid,
        voxels=np.stack(layers, axis=-1),
        source=source,
        fourth=Axis(SEQUENCE, values=names),
        empty=(),
    )


def _named(names: tuple[str, ...], onto: str | None) -> str:
    if not names:
        raise ValueError("expected at least one series, found none")
    if onto is not None and onto not in names:
        raise ValueError(f"no series is called {onto!r}: there is {', '.join(names)}")
    return onto or names[0]


def _require_still(name: str, volume: Volume) -> None:
    if volume.is_colour:
        raise ValueError(f"series {name!r} is in colour: sequences have one number a voxel")
    if len(volume.voxels.shape) == 4 and volume.voxels.shape[3] > 1:
        raise ValueError(f"series {name!r} has {volume.voxels.shape[3]} moments: choose one of them")
    if volume.empty:
        raise ValueError(f"series {name!r} has missing slices: read it with gaps interpolated")


def _common_box(first: Volume, series: Mapping[str, Volume]) -> tuple[list[int], list[int]]:
    """Return the box of voxels of `first`, start and stop, outside which no voxel is covered by all."""
    covered = np.empty(first.shape, dtype=bool)
    flat = np.indices(first.shape[:2]).reshape(2, -1).T
    for k in range(first.shape[2]):  # slice by slice: the world points of a whole study take gigabytes
        world = first.geometry.to_world(np.column_stack([flat, np.full(len(flat), k)]))
        inside = np.logical_and.reduce([volume.geometry.contains(world) for volume in series.values()])
        covered[:, :, k] = inside.reshape(first.shape[:2])
    if not covered.any():
        raise ValueError("the series have no place in common: they do not lie over each other")
    start, stop = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(covered.any(axis=others))
        start.append(int(places[0]))
        stop.append(int(places[-1]) + 1)
    return start, stop


def _filled(volume: Volume, grid: Volume) -> tuple[NDArray[np.float32], float]:
    """Return a series on the grid, and the share of it that lay outside the series."""
    still = volume.moment(0)
    if still.geometry.same_grid(grid.geometry):
        return np.asarray(still.voxels, dtype=np.float32), 0.0
    values: NDArray[Any] = np.asarray(still.on(grid.geometry).voxels, dtype=np.float32)
    outside = np.isnan(values)
    if outside.any():
        values = np.where(outside, np.nanmin(values), values)
    return values, round(float(outside.mean()), 4)
