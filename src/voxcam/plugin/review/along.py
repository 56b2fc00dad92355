"""Scores along the slices: where the windows a network was run on lie on the axis that is stepped through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from voxcam.export.planes import DISPLAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.core.explanation import Windows
    from voxcam.core.geometry import Geometry
    from voxcam.plugin.review.reading import Point, Reading

# Classes that are drawn when no heatmap is on.
TOP = 3
# Every second slice read is still a curve along the slices.
_CLOSE = 2.5


@dataclass(frozen=True, eq=False)
class Along:
    """The windows' scores along one display axis.

    Parameters
    ----------
    display
        The study's grid with its axes in display order, nearest to I, P, L.
    through
        The display axis that is stepped through: 0 axial, 1 coronal, 2 sagittal.
    names
        The classes, one for each column of `scores`.
    at
        Shape (n,): the slice each window's centre lies on, 0 the first; whole numbers are slice centres.
    scores
        Shape (n, classes).
    """

    display: Geometry
    through: int
    names: tuple[str, ...]
    at: NDArray[np.float64]
    scores: NDArray[np.float32]

    @property
    def count(self) -> int:
        """How many slices there are."""
        return self.display.shape[self.through]

    @property
    def is_spread(self) -> bool:
        """Whether the windows lie on different slices: across axial slices only axial ones differ."""
        return len(self.positions) > 1

    @property
    def has_windows(self) -> bool:
        """Whether several windows share a slice, so that the line is the highest of them."""
        return len(self.at) > len(self.positions)

    @property
    def is_sparse(self) -> bool:
        """Whether the windows lie so far apart that nothing is known of most slices between them."""
        return len(self.positions) > 1 and self.apart > _CLOSE

    @property
    def apart(self) -> float:
        """How many slices lie from a window to the next, as a rule."""
        return float(np.median(np.diff(self.positions)))

    @property
    def positions(self) -> NDArray[np.float64]:
        """Shape (m,), growing: the slices that windows are centred on, those of one slice as one."""
        return self._highest[0]

    @property
    def highest(self) -> NDArray[np.float64]:
        """Shape (m, classes): of each class the highest score of the windows there."""
        return self._highest[1]

    @cached_property
    def _highest(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        slices, which = np.unique(np.rint(self.at), return_inverse=True)
        tops = np.full((len(slices), len(self.names)), -np.inf)
        np.maximum.at(tops, which, np.nan_to_num(self.scores.astype(np.float64), nan=-np.inf))
        sums = np.bincount(which, weights=self.at)
        return sums / np.bincount(which), np.where(np.isneginf(tops), np.nan, tops)

    def nearest(self, position: float) -> int:
        """Return which of `positions` is nearest to a slice."""
        return int(np.abs(self.positions - position).argmin())

    def slice_of(self, point_mm: Point) -> float:
        """Return the slice a world point lies on."""
        return float(self.display.to_index(point_mm)[self.through])

    def point_on(self, number: float, point_mm: Point) -> Point:
        """Return `point_mm` moved along the axis, onto a slice."""
        index = self.display.to_index(point_mm)
        index[self.through] = min(max(number, 0), self.count - 1)
        x, y, z = self.display.to_world(index)
        return float(x), float(y), float(z)


def along(windows: Windows, names: Sequence[str], geometry: Geometry, through: int) -> Along:
    """Return the scores of `windows` along the axis stepped through.

    Parameters
    ----------
    names
        The classes, in the order of the columns of ``windows.scores``.
    geometry
        The study's grid.
    through
        Display axis: 0 axial, 1 coronal, 2 sagittal.
    """
    display = geometry.reordered(*geometry.towards(DISPLAY))
    at = np.asarray(display.to_index(windows.centres_mm))[:, through]
    return Along(display, through, tuple(names), at, windows.scores)


def classes_along(reading: Reading) -> tuple[str, ...]:
    """Return the classes to draw: those whose heatmap is on, hidden or not, else the highest-scored few."""
    shown = [
        name for name in reading.ranked if name in reading.look.shown and reading.heatmap(name) is not None
    ]
    return tuple(shown) or reading.ranked[:TOP]
