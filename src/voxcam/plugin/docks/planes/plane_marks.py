"""What is drawn on a plane: a finding's outline, the crossing point, letters, a length in millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen, QTextOption

from voxcam.export.style import MASK_COLOUR
from voxcam.plugin.review.plane import round_length

if TYPE_CHECKING:
    from voxcam.export.planes import Letters
    from voxcam.plugin.review.plane import Sight

# A picture is read on black whatever the theme, so that what is written on it is light, with a dark edge.
PAPER, INK, EDGE = "#000000", "#f2f3f5", "#000000"
_CROSS_ALPHA, _EDGE_ALPHA = 170, 110
_AROUND = ((1, 1), (-1, -1), (1, -1), (-1, 1))


def draw_outline(painter: QPainter, sight: Sight, path: QPainterPath) -> None:
    """Draw a path between the pixels; its lines are as thin at any zoom."""
    if path.isEmpty():
        return
    left, top = sight.to_view(-0.5, -0.5)
    down, across = (size * sight.per_mm for size in sight.pixel_mm)
    painter.save()
    painter.translate(left, top)
    painter.scale(across, down)
    edge = QColor(EDGE)
    edge.setAlpha(_EDGE_ALPHA)
    for colour, thickness in ((edge, 3.4), (QColor(MASK_COLOUR), 1.4)):
        pen = QPen(colour, thickness)
        pen.setCosmetic(True)  # in the screen's pixels whatever the painter's scale
        painter.strokePath(path, pen)
    painter.restore()


def draw_cross(painter: QPainter, sight: Sight, row: float, column: float) -> None:
    """Draw two lines over the picture that leave out what they point at."""
    x, y = sight.to_view(row, column)
    left, top, wide, tall = sight.box
    right, bottom = left + wide, top + tall
    gap = painter.fontMetrics().height() / 2
    lines = []
    if top <= y <= bottom:
        lines += [QRectF(left, y - 0.5, x - gap - left, 1), QRectF(x + gap, y - 0.5, right - x - gap, 1)]
    if left <= x <= right:
        lines += [QRectF(x - 0.5, top, 1, y - gap - top), QRectF(x - 0.5, y + gap, 1, bottom - y - gap)]
    ink = QColor(INK)
    ink.setAlpha(_CROSS_ALPHA)
    _fill_edged(painter, [line for line in lines if line.isValid()], ink)


def draw_bar(painter: QPainter, room: QRectF, per_mm: float) -> None:
    """Draw a round length at the lower left, a quarter of the room at most."""
    length = round_length(room.width() / 4 / per_mm)
    margin = painter.fontMetrics().height() / 2
    y, left = room.bottom() - margin, room.left() + margin
    wide = length * per_mm
    ends = [QRectF(x - 0.5, y - 3, 1, 7) for x in (left, left + wide)]
    _fill_edged(painter, [*ends, QRectF(left + 1, y, wide - 2, 1)], QColor(INK))
    words = f"{length / 10:g} cm" if length >= 10 else f"{length:g} mm"
    write(painter, room.adjusted(margin, 0, 0, -margin - 4), Qt.AlignLeft | Qt.AlignBottom, words)


def write_letters(painter: QPainter, room: QRectF, letters: Letters | None) -> None:
    """Write the anatomical direction at each edge."""
    if letters is None:
        return
    painter.save()
    font = painter.font()
    font.setBold(True)
    painter.setFont(font)
    inside = room.adjusted(5, 3, -5, -3)
    write(painter, inside, Qt.AlignTop | Qt.AlignHCenter, letters.top)
    write(painter, inside, Qt.AlignBottom | Qt.AlignHCenter, letters.bottom)
    write(painter, inside, Qt.AlignVCenter | Qt.AlignLeft, letters.left)
    write(painter, inside, Qt.AlignVCenter | Qt.AlignRight, letters.right)
    painter.restore()


def write(painter: QPainter, room: QRectF, where: Any, words: str) -> None:
    """Write light words with a dark edge: they are read on any grey."""
    option = QTextOption(where)
    painter.setPen(QColor(EDGE))
    for right, down in _AROUND:
        painter.drawText(room.translated(right, down), words, option)
    painter.setPen(QColor(INK))
    painter.drawText(room, words, option)


def _fill_edged(painter: QPainter, lines: list[QRectF], ink: QColor) -> None:
    """Fill straight lines with a dark edge round them: filling costs a third of stroking."""
    edge = QColor(EDGE)
    edge.setAlpha(_EDGE_ALPHA)
    for line in lines:
        painter.fillRect(line.adjusted(-1, -1, 1, 1), edge)
    for line in lines:
        painter.fillRect(line, ink)
