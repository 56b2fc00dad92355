"""One grid seen on another, computed only where somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.lazy import Lazy, spelled_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry


class Resampled(Lazy):
    """An array-like view of voxels on another geometry, linear between voxel centres.

    Slices are computed when asked for, so a map of a thousand cells over a full CT costs
    nothing until it is drawn. Within half a voxel of the border, or as far as `within` reaches,
    the outermost voxel is held, as ``align_corners=False`` does; beyond it lies nothing: NaN.
    Colour is interpolated channel by channel and rounded; outside it is black.

    Parameters
    ----------
    voxels
        Shape ``source.shape``; an array, or array-like of which only the needed box is read.
    source, target
        Where the voxels lie, and where they are asked.
    nearest
        Take the nearest voxel (for labels and masks) instead of interpolating; outside is 0.
    within
        A grid with axes parallel to the source's: its box bounds what is seen, in place of the source's own.
    empty
        Slices k of the source at which nothing was measured: as outside, up to the next slices' centres.
        Labels have none.
    fill
        What lies outside, in place of NaN or 0.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        voxels: Any,
        source: Geometry,
        target: Geometry,
        *,
        nearest: bool = False,
        within: Geometry | None = None,
        empty: Sequence[int] = (),
        fill: float | None = None,
    ) -> None:
        self.voxels, self.nearest = voxels, nearest
        self._low, self._high = _bounds(source, within or source)
        self._measured = np.ones(source.shape[2], dtype=bool)
        self._measured[[] if nearest else list(empty)] = False
        self.shape = target.shape
        own_type = nearest or bool(voxels.dtype.names)
        self.dtype: np.dtype[Any] = voxels.dtype if own_type else np.dtype(np.float32)
        self._nothing = fill if fill is not None else 0 if own_type else np.nan
        self._map = np.linalg.inv(source.affine) @ target.affine
        self._axes = _aligned_axes(self._map, source.shape, target.shape)

    @property
    def slice_axis(self) -> int:
        """The axis of ours that crosses the source's slices fastest."""
        theirs = getattr(self.voxels, "slice_axis", 2)
        return int(np.abs(self._map[theirs, :3]).argmax())

    @property
    def is_aligned(self) -> bool:
        """Whether the grids' axes are parallel, so that interpolation goes axis by axis."""
        return self._axes is not None

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the asked part, by numpy's basic indexing: whole numbers, slices, ellipsis."""
        asked = spelled_out(key, self.shape)
        picks = [np.atleast_1d(np.asarray(one, dtype=np.intp)) for one in asked]
        if min(len(pick) for pick in picks) == 0:
            part = np.empty([len(pick) for pick in picks], self.dtype)
        else:
            part = self._oblique(picks) if self._axes is None else self._separable(picks, self._axes)
        return part.reshape([len(one) for one in asked if isinstance(one, range)])

    def _separable(self, picks: list[NDArray[np.intp]], axes: list[int]) -> NDArray[Any]:
        """Interpolate axis by axis: the grids' axes are parallel."""
        wheres = {
            source_axis: self._map[source_axis, axis] * picks[axis] + self._map[source_axis, 3]
            for axis, source_axis in enumerate(axes)
        }
        # Only the planes that matter: one slice along k then costs no more than one along i.
        needed = [_needed(wheres[axis], count) for axis, count in enumerate(self.voxels.shape)]

        def interpolated(part: NDArray[Any]) -> NDArray[Any]:
            for source_axis, where in wheres.items():
                part = _along(part, where - needed[source_axis].start, source_axis, nearest=self.nearest)
            return np.transpose(part, axes)

        inside = [
            self._reaches(wheres[source_axis], source_axis).reshape(
                [-1 if a == axis else 1 for a in range(3)]
            )
            for axis, source_axis in enumerate(axes)
        ]
        part = _each_channel(np.asarray(self.voxels[tuple(needed)]), interpolated)
        return self._outside_is_nothing(part, inside)

    def _oblique(self, picks: list[NDArray[np.intp]]) -> NDArray[Any]:
        """Interpolate at arbitrary points: the grids are turned against each other."""
        from scipy import ndimage  # a quarter of a second, which a window that opens need not wait

        index = np.stack(np.meshgrid(*picks, indexing="ij"))
        where = np.tensordot(self._map[:3, :3], index, axes=1) + self._map[:3, 3].reshape(3, 1, 1, 1)
        inside = [self._reaches(where[axis], axis) for axis in range(3)]
        needed = [_needed(where[axis], count) for axis, count in enumerate(self.voxels.shape)]
        where -= np.array([one.start for one in needed]).reshape(3, 1, 1, 1)

        def interpolated(part: NDArray[Any]) -> NDArray[Any]:
            if self.nearest:
                return np.asarray(ndimage.map_coordinates(part, where, order=0, mode="nearest"))
            known = part.dtype.isnative and part.dtype != np.float16
            part = part if known else part.astype(np.float32)
            return np.asarray(ndimage.map_coordinates(part, where, np.float32, order=1, mode="nearest"))

        part = _each_channel(np.asarray(self.voxels[tuple(needed)]), interpolated)
        return self._outside_is_nothing(part, inside)

    def _reaches(self, where: NDArray[np.float64], axis: int) -> NDArray[np.bool_]:
        """Whether places along a source axis lie in the box, and along k between measured slices."""
        inside = (where >= self._low[axis]) & (where <= self._high[axis])
        if axis != 2 or self._measured.all():
            return np.asarray(inside)
        held = _on_centres(np.clip(where, 0, len(self._measured) - 1))
        below, above = np.floor(held).astype(np.intp), np.ceil(held).astype(np.intp)
        return np.asarray(inside & self._measured[below] & self._measured[above])

    def _outside_is_nothing(self, part: NDArray[Any], inside: list[NDArray[np.bool_]]) -> NDArray[Any]:
        whole = inside[0] & inside[1] & inside[2]
        part = part.astype(self.dtype, copy=False)
        if not whole.all():
            part[~whole] = self._nothing
        return part


def _each_channel(part: NDArray[Any], work: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """Return `work` done on grey voxels, or on red, green and blue by themselves and rounded."""
    if not part.dtype.names:
        return work(part)
    channels = {name: np.rint(work(part[name])) for name in part.dtype.names}
    together = np.empty(next(iter(channels.values())).shape, part.dtype)
    for name, channel in channels.items():
        together[name] = channel
    return together


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
    held = _on_centres(held)
    low, high = np.floor(held).astype(np.intp), np.ceil(held).astype(np.intp)
    weight = (held - low).astype(np.float32)
    below = np.take(voxels, low, axis=axis).astype(np.float32, copy=False)
    if not weight.any():
        return np.asarray(below)
    weight = weight.reshape([-1 if a == axis else 1 for a in range(3)])
    above = np.take(voxels, high, axis=axis).astype(np.float32, copy=False)
    return np.asarray(below + weight * (above - below))


def _on_centres(where: NDArray[np.float64]) -> NDArray[np.float64]:
    """On a centre, but for rounding, the neighbour has no say: it may be NaN."""
    return np.where(np.abs(where - np.rint(where)) < 1e-6, np.rint(where), where)
