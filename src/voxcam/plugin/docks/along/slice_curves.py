"""The strokes of the plot of scores along the slices."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.plugin.docks.theme import Colours

_AT_RIGHT = Qt.AlignRight | Qt.AlignVCenter
MARGIN = 8


@dataclass(frozen=True)
class Scale:
    """Where a slice and a score are drawn."""

    box: QRect
    count: int
    low: float
    high: float

    def x(self, position: float) -> float:
        """Return where a slice is: half a slice is left free at either end."""
        return float(self.box.left() + (position + 0.5) / self.count * self.box.width())

    def y(self, score: float) -> float:
        """Return where a score is."""
        share = (score - self.low) / (self.high - self.low)
        return float(self.box.bottom() - share * self.box.height())

    def slice_at(self, x: float) -> int:
        """Return the slice drawn there."""
        share = float((x - self.box.left()) / max(self.box.width(), 1))
        return min(max(math.floor(share * self.count), 0), self.count - 1)


@dataclass(frozen=True)
class Curve:
    """One class's scores: where and how high, the windows they are the highest of, and its threshold.

    `half` of windows that lie far apart: how many slices to either side a score is drawn for, and not joined.

    Of one explanation and axis, curves of the same class, colour and threshold are equal.
    """

    name: str
    colour: str
    threshold: float | None
    positions: NDArray[np.float64] = field(compare=False)
    scores: NDArray[np.float64] = field(compare=False)
    dots: tuple[NDArray[np.float64], NDArray[np.float32]] | None = field(compare=False)
    half: float = 0.0


def draw_axes(painter: QPainter, scale: Scale, colours: Colours) -> None:
    """Draw low, middle and high with a line across, and the numbers of slices below."""
    height = painter.fontMetrics().height()
    for value in (scale.low, (scale.low + scale.high) / 2, scale.high):
        y = scale.y(value)
        painter.setPen(QPen(QColor(colours.line), 1))
        _draw_across(painter, scale, value)
        painter.setPen(QColor(colours.quiet))
        painter.drawText(QRectF(0, y - height / 2, scale.box.left() - 4, height), _AT_RIGHT, tick(value))
    for number in slice_ticks(
        scale.count, scale.box.width() / (6 * painter.fontMetrics().averageCharWidth())
    ):
        x = scale.x(number - 1)
        painter.drawLine(QPointF(x, scale.box.bottom()), QPointF(x, scale.box.bottom() + 3))
        half = painter.fontMetrics().horizontalAdvance(str(number)) / 2 + 1
        middle = min(x, scale.box.right() + MARGIN - half)
        painter.drawText(
            QRectF(middle - half, scale.box.bottom() + 3, 2 * half, height), Qt.AlignCenter, str(number)
        )


def draw_curve(painter: QPainter, scale: Scale, curve: Curve) -> None:
    """Draw a class's line, the dots of its windows, and the threshold it is called from."""
    colour = QColor(curve.colour)
    if curve.threshold is not None and scale.low <= curve.threshold <= scale.high:
        painter.setPen(QPen(colour, 1, Qt.DashLine))
        _draw_across(painter, scale, curve.threshold)
    if curve.dots is not None:
        faint = QColor(colour)
        faint.setAlphaF(0.45)
        painter.setPen(QPen(faint, 3, Qt.SolidLine, Qt.RoundCap))
        painter.drawPoints(_polygon(scale, *curve.dots))
    painter.setPen(QPen(colour, 1.8, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
    if curve.half:
        _draw_steps(painter, scale, curve)
        return
    for first, last in _unbroken(curve.scores):
        points = _polygon(scale, curve.positions[first:last], curve.scores[first:last])
        painter.drawPolyline(points) if last - first > 1 else painter.drawPoints(points)


def _draw_steps(painter: QPainter, scale: Scale, curve: Curve) -> None:
    """Draw a level stroke over the slices next to each window: nothing is said of those between."""
    for at, score in zip(curve.positions.tolist(), curve.scores.tolist(), strict=True):
        if math.isfinite(score):
            ends = (max(at - curve.half, -0.5), min(at + curve.half, scale.count - 0.5))
            painter.drawLine(*(QPointF(scale.x(end), scale.y(score)) for end in ends))


def draw_place(painter: QPainter, scale: Scale, number: int, colour: str) -> None:
    """Mark a slice with an upright line."""
    painter.setPen(QPen(QColor(colour), 1))
    x = scale.x(number)
    _draw_sharp(painter, QPointF(x, scale.box.top()), QPointF(x, scale.box.bottom()))


def draw_head(painter: QPainter, scale: Scale, parts: Sequence[tuple[str, str]]) -> None:
    """Write words above the plot, each in its colour; of those that do not fit the number is told."""
    metrics, x = painter.fontMetrics(), scale.box.left()
    gap = 2 * metrics.averageCharWidth()
    widths = [metrics.horizontalAdvance(words) for words, _ in parts]
    for words, colour in fitting(parts, widths, scale.box.width(), gap, metrics.horizontalAdvance("+ 99")):
        painter.setPen(QColor(colour))
        painter.drawText(QRect(x, 2, scale.box.right() - x, metrics.height()), Qt.AlignVCenter, words)
        x += metrics.horizontalAdvance(words) + gap


def fitting(
    parts: Sequence[tuple[str, str]], widths: Sequence[int], room: int, gap: int, more: int
) -> list[tuple[str, str]]:
    """Return as many of `parts` (words, colour) as fit whole, and in place of the others "+ n"."""
    if sum(widths) + gap * (len(parts) - 1) <= room:
        return list(parts)
    count, taken = 0, more
    while count < len(parts) and taken + widths[count] + gap <= room:
        taken += widths[count] + gap
        count += 1
    left = len(parts) - max(count, 1)
    kept = list(parts[: max(count, 1)])
    return [*kept, (f"+ {left}", parts[0][1])] if left else kept


def draw_focus(painter: QPainter, box: QRect, colours: Colours) -> None:
    """Outline what the keys act on."""
    painter.setPen(QPen(QColor(colours.accent), 1))
    painter.setBrush(Qt.NoBrush)
    painter.drawRect(box.adjusted(0, 0, -1, -1))


def tick(value: float) -> str:
    """Return the number at a line across."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def slice_ticks(count: int, most: float) -> list[int]:
    """Return the numbers of slices to name: the first, round ones, the last; about `most` at the most."""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    step = next((one for one in steps if count / one <= max(most, 1)), count)
    round_ones = [
        number for number in range(step, count, step) if 1 + 0.7 * step <= number <= count - 0.7 * step
    ]
    return sorted({1, *round_ones, count})


def _draw_across(painter: QPainter, scale: Scale, score: float) -> None:
    y = scale.y(score)
    _draw_sharp(painter, QPointF(scale.box.left(), y), QPointF(scale.box.right(), y))


def _draw_sharp(painter: QPainter, start: QPointF, end: QPointF) -> None:
    """Draw an upright or level line onto whole pixels, where it is not smeared over two."""
    painter.setRenderHint(painter.RenderHint.Antialiasing, False)
    painter.drawLine(start, end)
    painter.setRenderHint(painter.RenderHint.Antialiasing)


def _polygon(scale: Scale, positions: NDArray[np.float64], scores: NDArray[np.floating]) -> QPolygonF:
    seen = np.isfinite(scores)
    pairs = zip(positions[seen].tolist(), scores[seen].tolist(), strict=True)
    return QPolygonF([QPointF(scale.x(at), scale.y(score)) for at, score in pairs])


def _unbroken(scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return where scores are numbers without a gap, as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.r_[False, np.isfinite(scores), False].astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
