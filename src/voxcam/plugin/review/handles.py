"""Drawing by hand, in a slice's two axes: which part of a drawing is held, and what it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from voxcam.plugin.review.regions import Kind

    Points = NDArray[np.float64]

# What is held when it is no corner: the line itself, which moves the whole.
WHOLE = -1
_ROUND = 48  # corners of an ellipse's outline


def box(first: ArrayLike, last: ArrayLike) -> Points:
    """Return the four corners (4, 2), in turn, of the upright box between two opposite ones."""
    (y0, x0), (y1, x1) = np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64)
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])


def outline(kind: Kind, points: ArrayLike) -> Points:
    """Return the line (n, 2) that is seen of a drawing; of a region it ends where it began."""
    corners = np.asarray(points, dtype=np.float64)
    if kind == "ellipse":
        middle, one, other = _axes(corners)
        turn = np.linspace(0, 2 * np.pi, _ROUND + 1)[:, None]
        return np.asarray(middle + np.cos(turn) * one + np.sin(turn) * other)
    return corners if kind in ("distance", "angle") else np.concatenate([corners, corners[:1]])


def held(kind: Kind, points: ArrayLike, at: ArrayLike, reach: float) -> int | None:
    """Return what of a drawing is held at a place: the number of a corner, `WHOLE`, or None.

    Parameters
    ----------
    points, at
        (n, 2) and (2,), in one unit.
    reach
        How far off a corner or a line may be.
    """
    corners, here = np.asarray(points, dtype=np.float64), np.asarray(at, dtype=np.float64)
    away = np.linalg.norm(corners - here, axis=1)
    # A region drawn by hand has too many corners to pull each.
    if kind != "freehand" and away.min() <= reach:
        return int(away.argmin())
    line = outline(kind, corners)
    return WHOLE if _distance(line, here) <= reach else None


def pulled(kind: Kind, points: ArrayLike, part: int, start: ArrayLike, to: ArrayLike) -> Points:
    """Return the points after `part`, held at `start`, was pulled `to` somewhere else."""
    corners, end = np.array(points, dtype=np.float64), np.asarray(to, dtype=np.float64)
    by = end - np.asarray(start, dtype=np.float64)
    if part == WHOLE:
        return np.asarray(corners + by)
    if kind in ("ellipse", "rectangle"):
        return np.roll(box(corners[(part + 2) % 4], corners[part] + by), part + 2, axis=0)
    corners[part] += by
    return corners


def _axes(corners: Points) -> tuple[Points, Points, Points]:
    return corners.mean(axis=0), (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2


def _distance(line: Points, at: Points) -> float:
    """Return how far a point is from the nearest stretch of a line."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum((step * step).sum(axis=1), 1e-12)
    along = np.clip(((at - start) * step).sum(axis=1) / length, 0, 1)[:, None]
    return float(np.linalg.norm(start + along * step - at, axis=1).min())
