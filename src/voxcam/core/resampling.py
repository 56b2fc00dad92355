"""One grid seen on another, computed only where somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from voxcam.core.geometry import Geometry


class Resampled:
    """An array-like view of voxels on another geometry, linear between voxel centres.

    Slices are computed when asked for, so a map of a thousand cells over a full CT costs
    nothing until it is drawn. Within half a voxel of the border, or as far as `within` reaches,
    the outermost voxel is held, as ``align_corners=False`` does; beyond it lies nothing: NaN.

    Parameters
    ----------
    voxels
        Shape ``source.shape``.
    source, target
        Where the voxels lie, and where they are asked.
    nearest
        Take the nearest voxel (for labels and masks) instead of interpolating; outside is 0.
    within
        A grid with axes parallel to the source's: its box bounds what is seen, in place of the source's own.
    """

    ndim = 3

    def __init__(
        self,
        voxels: NDArray[Any],
        source: Geometry,
        target: Geometry,
        *,
        nearest: bool = False,
        within: Geometry | None = None,
    ) -> None:
        self.voxels, self.nearest = voxels, nearest
        self._low, self._high = _bounds(source, within or source)
        self.shape = target.shape
        self.dtype: np.dtype[Any] = voxels.dtype if nearest else np.dtype(np.float32)
        self._map = np.linalg.inv(source.affine) @ target.affine
        self._axes = _aligned_axes(self._map, source.shape, target.shape)

    @property
    def size(self) -> int:
        """Number of voxels of the target."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the asked part, by numpy's basic indexing: whole numbers, slices, ellipsis."""
        picks, dropped = _picks(key, self.shape)
        part = self._oblique(picks) if self._axes is None else self._separable(picks, self._axes)
        return part.reshape([len(p) for axis, p in enumerate(picks) if axis not in dropped])

    def _separable(self, picks: list[NDArray[np.intp]], axes: list[int]) -> NDArray[Any]:
        """Interpolate axis by axis: the grids' axes are parallel."""
        wheres = {
            source_axis: self._map[source_axis, axis] * picks[axis] + self._map[source_axis, 3]
            for axis, source_axis in enumerate(axes)
        }
        # Only the planes that matter: one slice along k then costs no more than one along i.
        needed = [_needed(wheres[axis], count) for axis, count in enumerate(self.voxels.shape)]
        part, inside = self.voxels[tuple(needed)], []
        for axis, source_axis in enumerate(axes):
            where = wheres[source_axis]
            part = _along(part, where - needed[source_axis].start, source_axis, nearest=self.nearest)
            within = (where >= self._low[source_axis]) & (where <= self._high[source_axis])
            inside.append(within.reshape([-1 if a == axis else 1 for a in range(3)]))
        return self._outside_is_nothing(np.transpose(part, axes), tuple(inside))

    def _oblique(self, picks: list[NDArray[np.intp]]) -> NDArray[Any]:
        """Interpolate at arbitrary points: the grids are turned against each other."""
        index = np.stack(np.meshgrid(*picks, indexing="ij"))
        where = np.tensordot(self._map[:3, :3], index, axes=1) + self._map[:3, 3].reshape(3, 1, 1, 1)
        order = 0 if self.nearest else 1
        voxels = self.voxels if self.nearest else self.voxels.astype(np.float32, copy=False)
        part = ndimage.map_coordinates(voxels, where, order=order, mode="nearest")
        low, high = (bound.reshape(3, 1, 1, 1) for bound in (self._low, self._high))
        inside = ((where >= low) & (where <= high)).all(axis=0)
        return self._outside_is_nothing(part, (inside,))

    def _outside_is_nothing(self, part: NDArray[Any], inside: tuple[Any, ...]) -> NDArray[Any]:
        whole = inside[0]
        for more in inside[1:]:
            whole = whole & more
        if whole.all():
            return part.astype(self.dtype, copy=False)
        nothing = 0 if self.nearest else np.nan
        return np.where(whole, part, nothing).astype(self.dtype, copy=False)


def _bounds(source: Geometry, within: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of a box in the source's indices, a hair further out for rounding."""
    corners = np.array([(-0.5,) * 3, np.array(within.shape) - 0.5])
    index = source.to_index(within.to_world(corners))
    return index.min(axis=0) - 1e-6, index.max(axis=0) + 1e-6


def _aligned_axes(index_map: NDArray[np.float64], source: tuple[int, ...], target: tuple[int, ...]) -> Any:
    """Source axis of each target axis, or None if the far corner would move by over 1e-3 voxel."""
    turn = index_map[:3, :3]
    axes = [int(np.abs(turn[:, axis]).argmax()) for axis in range(3)]
    if sorted(axes) != [0, 1, 2]:
        return None
    rest = turn.copy()
    rest[axes, range(3)] = 0
    return axes if np.abs(rest @ np.diag(target)).max() < 1e-3 else None


def _needed(where: NDArray[np.float64], count: int) -> slice:
    held = np.clip(where, 0, count - 1)
    return slice(int(held.min(initial=count - 1)), int(np.ceil(held.max(initial=0))) + 1)


def _along(voxels: NDArray[Any], where: NDArray[np.float64], axis: int, *, nearest: bool) -> NDArray[Any]:
    last = voxels.shape[axis] - 1
    held = np.clip(where, 0, last)
    if nearest:
        # Halves go up, as in ndimage; rint would send them to the even voxel.
        at = np.minimum(np.floor(held + 0.5), last).astype(np.intp)
        return np.asarray(np.take(voxels, at, axis=axis))
    # On a centre, but for rounding, the neighbour has no say: it may be NaN.
    held = np.where(np.abs(held - np.rint(held)) < 1e-6, np.rint(held), held)
    low, high = np.floor(held).astype(np.intp), np.ceil(held).astype(np.intp)
    weight = (held - low).astype(np.float32)
    weight = weight.reshape([-1 if a == axis else 1 for a in range(3)])
    below = np.take(voxels, low, axis=axis).astype(np.float32, copy=False)
    above = np.take(voxels, high, axis=axis).astype(np.float32, copy=False)
    return np.asarray(below + weight * (above - below))


def _picks(key: Any, shape: tuple[int, ...]) -> tuple[list[NDArray[np.intp]], set[int]]:
    """Spell an index out: the asked positions per axis, and the axes a whole number drops."""
    keys = list(key) if isinstance(key, tuple) else [key]
    for at in [at for at, one in enumerate(keys) if one is Ellipsis][:1]:
        keys[at : at + 1] = [slice(None)] * (3 - len(keys) + 1)
    keys += [slice(None)] * (3 - len(keys))
    if len(keys) != 3:
        raise IndexError(f"too many indices for three axes: {key}")
    picks, dropped = [], set()
    for axis, one in enumerate(keys):
        if isinstance(one, bool) or not isinstance(one, int | np.integer | slice):
            raise IndexError(f"an index here is a whole number, a slice or an ellipsis, found {one!r}")
        if not isinstance(one, slice):
            dropped.add(axis)
            if not -shape[axis] <= one < shape[axis]:
                raise IndexError(f"index {one} is out of bounds for axis {axis} of {shape[axis]}")
        picks.append(np.atleast_1d(np.arange(shape[axis], dtype=np.intp)[one]))
    return picks, dropped
