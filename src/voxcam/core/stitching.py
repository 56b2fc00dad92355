"""Maps of overlapping windows joined into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry, Shape

# Of the window's length, as MONAI's sliding window inferer in its "gaussian" mode.
SIGMA = 0.125
HELD = 1e-6


class Stitching:
    """Join window maps, each on its own grid of cells, on one grid over the whole volume.

    Every place takes the weighted mean of the windows that saw it. The weight falls towards a
    window's border as a Gaussian, because a network that pads sees the border worst. Where the
    windows' cells and the whole grid's fall together values are taken over as they are; elsewhere
    they are interpolated linearly between cell centres.

    Parameters
    ----------
    geometry
        The grid that the windows were cut from.
    window
        Voxels of a window along i, j, k.
    cells
        Cells of a window's map along i, j, k.
    count
        How many maps each window has (classes).
    centres
        Where the cells of a window lie: along each axis (stride, offset), cell u having its centre at voxel
        offset + stride * u of the window. None is the half-pixel rule: equal boxes over the window.
    """

    def __init__(
        self,
        geometry: Geometry,
        window: Shape,
        cells: Shape,
        count: int,
        centres: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        self.geometry, self.window, self.cells = geometry, window, cells
        boxes = np.array(window) / np.array(cells)
        self.cell = boxes if centres is None else np.array([stride for stride, _ in centres])
        self.offset = (boxes - 1) / 2 if centres is None else np.array([offset for _, offset in centres])
        self.shape: Shape = tuple(  # type: ignore[assignment]
            int(np.ceil(whole / size - 1e-6))
            if whole < length
            else own + int(np.ceil((whole - length) / size - 1e-6))
            for whole, size, length, own in zip(geometry.shape, self.cell, window, cells, strict=True)
        )
        self._sum = np.zeros((count, *self.shape), dtype=np.float64)
        self._weight = np.zeros(self.shape, dtype=np.float64)

    def add(self, maps: NDArray[np.float32], start: Sequence[int]) -> None:
        """Add the maps (count, *cells) of the window whose first voxel is `start` (may be negative)."""
        places, turns, weights = zip(*[self._along(axis, start[axis]) for axis in range(3)], strict=True)
        if any(place.size == 0 for place in places):
            return
        here = np.einsum("ai,bj,ck,nijk->nabc", *turns, maps.astype(np.float64), optimize=True)
        weight = np.einsum("a,b,c->abc", *weights)
        region = tuple(slice(place[0], place[-1] + 1) for place in places)
        self._sum[(slice(None), *region)] += weight * here
        self._weight[region] += weight

    def joined(self) -> tuple[NDArray[np.float32], Geometry]:
        """Return the maps (count, *shape), NaN where no window lay, and their geometry."""
        with np.errstate(invalid="ignore", divide="ignore"):
            maps = np.where(self._weight > 0, self._sum / self._weight, np.nan)
        start = self.offset - (self.cell - 1) / 2
        return maps.astype(np.float32), self.geometry.window(start, self.cell, self.shape)

    def _along(
        self, axis: int, start: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Return, along one axis, the cells in the window, how they mix the window's, and their weight."""
        size, count, length = self.cell[axis], self.cells[axis], self.window[axis]
        where = np.arange(self.shape[axis]) - start / size  # in the window's cells
        # Every cell that the window reaches into, also the last one, whose middle may lie past the end.
        places = np.flatnonzero((where > -1 + 1e-6) & (where < count - 1e-6))
        where = where[places]
        held = np.clip(where, 0, count - 1)
        mix = np.maximum(0, 1 - np.abs(held[:, None] - np.arange(count)[None, :]))
        # In voxels from the window's border, of which voxel 0 has its centre half a voxel in.
        centres = where * size + self.offset[axis] + 0.5
        weight = np.exp(-0.5 * ((centres - length / 2) / (SIGMA * length)) ** 2)
        # Past a window's outermost unit its value is only held on: any window that interpolates there wins.
        weight[np.abs(where - held) > 1e-6] *= HELD
        return places, mix, weight
