"""A volume computed on another grid, slab by slab: memory for the result and one slab, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.resampling import Resampled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume

# Voxels of a slab: interpolation takes some 10 bytes for each where grids are parallel, 70 where turned.
_ALIGNED_SLAB = 1 << 22
_OBLIQUE_SLAB = 1 << 20


def regridded(volume: Volume, geometry: Geometry, *, whole: bool, fill: float | None) -> NDArray[Any]:
    """Return the voxels of `volume` on `geometry`, (i, j, k) or (i, j, k, time).

    Parameters
    ----------
    whole
        Keep the integer type of the voxels, values rounded.
    fill
        What lies outside and in empty slices; None is NaN, or 0 of labels and colour.

    Raises
    ------
    ValueError
        If `whole` is asked of voxels that are no whole numbers, or `fill` is none where one is needed.
    """
    kept = volume.is_colour or volume.unit == "label"
    if whole and not kept and volume.voxels.dtype.kind not in "iu":
        raise ValueError(f"expected whole numbers to keep whole, found {volume.voxels.dtype}")
    moments = volume.voxels.shape[3] if len(volume.voxels.shape) == 4 else 0
    together: NDArray[Any] | None = None
    for place in range(max(moments, 1)):
        still = volume.moment(place)
        nearest = volume.unit == "label"
        seen = Resampled(
            still.voxels, volume.geometry, geometry, nearest=nearest, empty=volume.empty, fill=fill
        )
        if together is None:
            axis = seen.slice_axis
            dtype = volume.voxels.dtype if whole else seen.dtype
            together = _room(seen.shape, axis, max(moments, 1), dtype)
        for slab in _slabs(seen):
            together[(*slab, slice(place, place + 1))] = _of_type(seen[slab], together.dtype)[..., None]
    assert together is not None
    return together if moments else together[..., 0]


def _room(shape: tuple[int, ...], axis: int, moments: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return room for (i, j, k, moment) in which slabs along `axis` follow one another in memory."""
    across = [a for a in range(3) if a != axis]
    order = [3, axis, *reversed(across)]
    room = np.empty([(*shape, moments)[a] for a in order], dtype)
    return room.transpose(np.argsort(order))


def _slabs(seen: Resampled) -> Iterator[tuple[slice, slice, slice]]:
    axis = seen.slice_axis
    most = _ALIGNED_SLAB if seen.is_aligned else _OBLIQUE_SLAB
    thick = max(1, most * seen.shape[axis] // seen.size)
    for start in range(0, seen.shape[axis], thick):
        slab = [slice(None)] * 3
        slab[axis] = slice(start, start + thick)
        yield slab[0], slab[1], slab[2]


def _of_type(slab: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind not in "iu" or slab.dtype.kind != "f":
        return slab
    info = np.iinfo(dtype)
    rounded = np.rint(slab)
    if not (rounded >= info.min).all() or not (rounded <= info.max).all():
        raise ValueError(f"expected a fill that is a value of {dtype}: something lies outside the volume")
    return np.asarray(rounded.astype(dtype))
