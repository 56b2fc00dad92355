"""What was drawn on a slice, on the study's grid: lengths, areas, and which voxels lie inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from voxcam.export.planes import DISPLAY, PLANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume
    from voxcam.plugin.review.reading import Point

Kind = Literal["distance", "angle", "ellipse", "rectangle", "freehand"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REGIONS: tuple[Kind, ...] = ("ellipse", "rectangle", "freehand")


@dataclass(frozen=True)
class Measurement:
    """What was drawn on one slice.

    Parameters
    ----------
    kind
        What it measures.
    points_mm
        World points (RAS+ mm): two ends; an arm's end, the vertex, the other arm's end; the four corners
        of a rectangle or of the box round an ellipse, in turn; the corners of a region drawn by hand.
    through
        The display axis (0 axial, 1 coronal, 2 sagittal) that its slice is across.
    """

    kind: Kind
    points_mm: tuple[Point, ...]
    through: int


class Drawn:
    """A measurement on the study's grid, its axes in display order."""

    def __init__(self, what: Measurement, volume: Volume) -> None:
        self.what, self.volume, self.seen = what, volume, volume.reordered(DISPLAY)
        self.geometry: Geometry = self.seen.geometry
        self.index = self.geometry.to_index(what.points_mm)
        self.plane = [axis for axis in range(3) if axis != what.through]

    @property
    def unit(self) -> str:
        """Of lengths: mm, or pixels where the file states no size."""
        return "px" if self.geometry.frame == "unknown" else "mm"

    @cached_property
    def slice_index(self) -> int:
        """The slice along the display axis it is on, from 0."""
        at = int(np.floor(np.mean(self.index[:, self.what.through]) + 0.5))
        return min(max(at, 0), self.geometry.shape[self.what.through] - 1)

    @property
    def where(self) -> str:
        """Plane and slice, counted from 1 as the screen does."""
        plane = PLANES[self.what.through] if self.geometry.frame == "patient" else "slice"
        return f"{plane} {self.slice_index + 1}"

    @property
    def points(self) -> NDArray[np.float64]:
        """The points in the unit of length: where no size is stated, indices, so that a pixel is 1 long."""
        return np.asarray(self.what.points_mm if self.unit == "mm" else self.index)

    @property
    def length(self) -> float:
        """From the first point to the second."""
        return float(np.linalg.norm(self.points[1] - self.points[0]))

    @property
    def angle_deg(self) -> float:
        """Between the arms that meet in the second point, 0 to 180."""
        # From the affine also where no size is stated: it may state how long a pixel is for its width.
        first, vertex, second = np.asarray(self.what.points_mm)
        one, other = first - vertex, second - vertex
        across = np.linalg.norm(np.cross(one, other))
        return float(np.degrees(np.arctan2(across, one @ other)))

    @property
    def area(self) -> float:
        """Of the shape as drawn, not of the voxels inside."""
        points = self.points
        if self.what.kind == "freehand":
            arms = points - points[0]
            return float(np.linalg.norm(np.cross(arms[1:-1], arms[2:]).sum(axis=0))) / 2
        box = float(np.linalg.norm(np.cross(points[1] - points[0], points[3] - points[0])))
        return box * np.pi / 4 if self.what.kind == "ellipse" else box

    @cached_property
    def key(self) -> tuple[int | slice, ...]:
        """The part of the slice round the shape, as an index of the display grid."""
        key: list[int | slice] = [self.slice_index] * 3
        for axis in self.plane:
            reach = self._reach(axis)
            key[axis] = slice(reach.start, reach.stop)
        return tuple(key)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether the centre of each voxel of that part lies in the shape."""
        rows, columns = (self._reach(axis) for axis in self.plane)
        down, across = np.meshgrid(rows, columns, indexing="ij")
        corners = self.index[:, self.plane]
        if self.what.kind == "freehand":
            return _within(np.stack([down, across], axis=-1), corners)
        # In the shape's own axes a box, or the circle in it, whatever its turn.
        axes = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / 2
        if abs(np.linalg.det(axes)) < 1e-12:
            return np.zeros(down.shape, dtype=bool)
        middle = (corners[0] + corners[2]) / 2
        a, b = np.tensordot(np.linalg.inv(axes), np.stack([down - middle[0], across - middle[1]]), axes=1)
        if self.what.kind == "ellipse":
            return np.asarray(a * a + b * b <= 1 + 1e-9)
        return np.asarray((np.abs(a) <= 1 + 1e-9) & (np.abs(b) <= 1 + 1e-9))

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Whether each voxel of that part was measured: those put into a gap were not."""
        # Which display axis the stored slices lie along, and from which end, as `reordered` turns them.
        axes, flips = self.volume.geometry.towards(DISPLAY)
        along = axes.index(2)
        empty = [self.volume.shape[2] - 1 - k if flips[along] else k for k in self.volume.empty]
        taken = np.ones(self.geometry.shape[along], dtype=bool)
        taken[empty] = False
        shape = [-1 if axis == along else 1 for axis in range(3)]
        return np.asarray(np.broadcast_to(taken.reshape(shape), self.geometry.shape)[self.key])

    def _reach(self, axis: int) -> range:
        """Return the indices of the grid that the shape spans along a display axis."""
        ends, last = self.index[:, axis], self.geometry.shape[axis]
        low = min(max(int(np.floor(ends.min())), 0), last)
        return range(low, max(min(int(np.ceil(ends.max())) + 1, last), low))


def _within(points: NDArray[Any], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points (..., 2) lie in a polygon, by the number of edges crossed on the way out."""
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        between = (points[..., 0] >= min(y0, y1)) & (points[..., 0] < max(y0, y1))
        inside ^= between & (points[..., 1] < x0 + (points[..., 0] - y0) * (x1 - x0) / (y1 - y0))
    return inside
