"""What one plane of a study looks like: its pixels, its letters, and where a world point lies on it.

Rows and columns are those of the screen: row 0 at the top, column 0 at the left, whole numbers at pixel
centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.lazy import Stacked
from voxcam.core.volume import luminance
from voxcam.export.planes import DISPLAY, PLANES, Letters, Slice, stated_letters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.plugin.review.reading import Point

# The planes whose left and right the neurological convention exchanges.
_MIRRORED = (0, 1)
_MAGNITUDES = (1, 2, 5)


@dataclass(frozen=True, eq=False)
class Plane:
    """One of a study's three planes, at any slice.

    Parameters
    ----------
    volume
        The study.
    through
        The display axis that is stepped through: 0 axial, 1 coronal, 2 sagittal.
    neurological
        The patient's left at the left of the screen, in the planes that show it.
    """

    volume: Volume
    through: int
    neurological: bool = False

    # --- what the screen says of it

    @property
    def name(self) -> str:
        """``axial``, ``coronal`` or ``sagittal``; ``first``, ... in an unknown frame."""
        return (
            PLANES[self.through]
            if self.grid.frame == "patient"
            else ("first", "second", "third")[self.through]
        )

    @property
    def letters(self) -> Letters | None:
        """The anatomical direction at each edge; None if neither frame nor file tells."""
        letters = self._slice(0).letters
        return letters._replace(left=letters.right, right=letters.left) if letters and self.flips else letters

    def words(self, index: int) -> str:
        """Return which slice it is: ``coronal, y = -12.3 mm (RAS), slice 12 of 26``."""
        known = self.grid.frame == "patient"
        words = [] if known else [f"{self.name} plane"]
        words += [self._slice(index).words, *(["nothing was measured here"] if self._is_empty(index) else [])]
        return ", ".join(words)

    def where(self, index: int) -> str:
        """Return the same without the slice's number: ``coronal, y = -12.3 mm (RAS)``."""
        return self.words(index).replace(f", {self._slice(index).number}", "")

    @property
    def has_mm(self) -> bool:
        """Whether distances on it are in millimetres."""
        return self.grid.frame != "unknown"

    # --- where things lie

    @cached_property
    def grid(self) -> Geometry:
        """The study's grid with its axes in display order."""
        return self._upright.geometry

    @property
    def count(self) -> int:
        """How many slices there are."""
        return self.grid.shape[self.through]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        down, across = self._axes
        return self.grid.shape[down], self.grid.shape[across]

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel, down and across."""
        return self._slice(0).pixel_mm

    @property
    def flips(self) -> bool:
        """Whether left and right are exchanged against the radiological display."""
        return self.neurological and self.through in _MIRRORED

    def index_at(self, point_mm: Point) -> int:
        """Return the slice a world point lies on, or the nearest one."""
        return min(max(round(float(self.grid.to_index(point_mm)[self.through])), 0), self.count - 1)

    def place_of(self, point_mm: Point) -> tuple[float, float]:
        """Return row and column of a world point, or of its foot on the plane."""
        down, across = (float(self.grid.to_index(point_mm)[axis]) for axis in self._axes)
        return down, self._turned(across)

    def moved(self, point_mm: Point, row: float, column: float) -> Point:
        """Return the world point brought to a row and column; across the plane it stays."""
        index = self.grid.to_index(point_mm)
        down, across = self._axes
        index[down], index[across] = row, self._turned(column)
        return self._point(index)

    def stepped(self, point_mm: Point, by: int) -> Point:
        """Return the world point brought `by` slices on, to a slice's middle; on the plane it stays."""
        index = self.grid.to_index(point_mm)
        index[self.through] = min(max(self.index_at(point_mm) + by, 0), self.count - 1)
        return self._point(index)

    def holds(self, row: float, column: float) -> bool:
        """Whether a row and column are on the picture."""
        rows, columns = self.shape
        return -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5

    def divided(self, rows: int, columns: int) -> Geometry:
        """Return `grid` with as many rows and columns over the same box."""
        shape = list(self.grid.shape)
        for axis, count in zip(self._axes, (rows, columns), strict=True):
            shape[axis] = count
        return self.grid.coarsened(shape)

    # --- pixels

    @property
    def is_slow(self) -> bool:
        """Whether a slice needs the whole series read from its files, which is too large for memory."""
        root = self.volume.voxels
        while hasattr(root, "voxels"):
            root = root.voxels
        return isinstance(root, Stacked) and self._upright.voxels.slice_axis != self.through

    def grey(self, index: int, window: Window, moment: int = 0) -> NDArray[np.uint8]:
        """Return a slice's brightness, (rows, columns); of colour the luminance; what is not there is black.

        Parameters
        ----------
        moment
            Place along the fourth axis, where there is one.
        """
        voxels = self._upright.voxels
        key: list[Any] = [slice(None)] * 3
        key[self.through] = index
        if len(voxels.shape) == 4:
            key.append(min(moment, voxels.shape[3] - 1))
        values = np.asarray(voxels[tuple(key)])
        bright = window.apply(luminance(values) if self.volume.is_colour else values)
        bright = 1 - bright if self.volume.inverted else bright
        return self.turned(np.rint(255 * np.nan_to_num(bright)).astype(np.uint8))

    def cut(self, seen: Any, index: int) -> NDArray[Any]:
        """Return a slice of an array that lies on `grid`, or on it `divided` otherwise."""
        key = [slice(None) if axis != self.through else index for axis in range(3)]
        return self.turned(np.asarray(seen[tuple(key)]))

    def turned(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the radiological picture as this plane shows it."""
        return pixels[:, ::-1] if self.flips else pixels

    # --- steps

    @cached_property
    def _upright(self) -> Volume:
        return self.volume.reordered(DISPLAY)

    @property
    def _axes(self) -> tuple[int, int]:
        down, across = (axis for axis in range(3) if axis != self.through)
        return down, across

    def _slice(self, index: int) -> Slice:
        return Slice(np.empty((0, 0)), PLANES[self.through], index, self.grid, stated_letters(self.volume))

    def _is_empty(self, index: int) -> bool:
        axes, flips = self.volume.geometry.towards(DISPLAY)
        k = self.count - 1 - index if flips[self.through] else index
        return axes[self.through] == 2 and k in self.volume.empty

    def _turned(self, column: float) -> float:
        return self.shape[1] - 1 - column if self.flips else column

    def _point(self, index: NDArray[np.float64]) -> Point:
        x, y, z = self.grid.to_world(index)
        return float(x), float(y), float(z)


@dataclass(frozen=True)
class Sight:
    """Where a picture lies in a view, in the view's own pixels.

    Parameters
    ----------
    width, height
        Of the view.
    shape, pixel_mm
        Rows and columns of the picture, and their size: a millimetre is as long down as across.
    zoom
        1 is as large as fits.
    shift
        Of the picture's middle from the view's, right and down.
    """

    width: float
    height: float
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def per_mm(self) -> float:
        """View pixels to a millimetre."""
        tall, wide = self._size_mm
        return self.zoom * min(self.width / wide, self.height / tall)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the picture."""
        tall, wide = (size * self.per_mm for size in self._size_mm)
        left = (self.width - wide) / 2 + self.shift[0]
        return left, (self.height - tall) / 2 + self.shift[1], wide, tall

    def to_view(self, row: float, column: float) -> tuple[float, float]:
        """Return x and y of a row and column."""
        left, top, _, _ = self.box
        down, across = (size * self.per_mm for size in self.pixel_mm)
        return left + (column + 0.5) * across, top + (row + 0.5) * down

    def to_plane(self, x: float, y: float) -> tuple[float, float]:
        """Return row and column of an x and y."""
        left, top, _, _ = self.box
        down, across = (size * self.per_mm for size in self.pixel_mm)
        return (y - top) / down - 0.5, (x - left) / across - 0.5

    @property
    def _size_mm(self) -> tuple[float, float]:
        return self.shape[0] * self.pixel_mm[0], self.shape[1] * self.pixel_mm[1]


def outline(inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the border of what is inside as straight lines, shape (lines, 4): x, y to x, y.

    They run between the pixels: (0, 0) is the first pixel's upper left corner.
    """
    wide = np.pad(inside, 1)
    row, left, right = _runs(wide[1:, 1:-1] != wide[:-1, 1:-1])
    column, top, bottom = _runs((wide[1:-1, 1:] != wide[1:-1, :-1]).T)
    across = np.stack([left, row, right, row], axis=1)
    return np.concatenate([across, np.stack([column, top, column, bottom], axis=1)])


def round_length(longest: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20, ... that is no longer than `longest`, which is over 0."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in _MAGNITUDES if step * power <= longest * (1 + 1e-9))


def _runs(
    edges: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return (line, start, stop) of each unbroken run along the lines."""
    change = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    line, start = np.nonzero(change == 1)
    return line, start, np.nonzero(change == -1)[1]
