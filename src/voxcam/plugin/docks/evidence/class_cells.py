"""The cells of the table of classes: check box, colours, name over evidence, score over its bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPen, QPolygonF
from qtpy.QtWidgets import QStyle, QStyledItemDelegate

from voxcam.plugin.docks.evidence.class_colours import gradient
from voxcam.plugin.docks.evidence.class_model import COLOUR, EVIDENCE, NAME, SCORE, SHOW, Role
from voxcam.plugin.docks.theme import colours, follow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QTableView

    from voxcam.plugin.review.look import ClassRow

# How much of its colours a class keeps whose heatmap is off.
_FAINT = 0.35
_MARGIN = 5
# Of the text's size: what stands below a name.
_SMALL = 0.9


@dataclass(frozen=True)
class Cell:
    """One cell to be painted: whose, where, and how the row is seen."""

    row: ClassRow
    box: QRect
    font: QFont
    selected: bool


class ClassCells(QStyledItemDelegate):  # type: ignore[misc]
    """Paint the cells of a view of `ClassModel`."""

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self.view = view
        self.colours = colours()
        self._painters = {
            SHOW: self._paint_check,
            COLOUR: self._paint_colours,
            NAME: self._paint_name,
            EVIDENCE: self._paint_name,
            SCORE: self._paint_score,
        }
        follow(view, self._restyle)

    def row_height(self) -> int:
        """Return the height of two lines of text."""
        return 2 * int(self.view.fontMetrics().height()) + 7

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802 - Qt's name
        """Two lines high."""
        return QSize(0, self.row_height())

    def editorEvent(self, event: Any, model: Any, option: Any, index: Any) -> bool:  # noqa: N802 - Qt's name
        """Leave clicks to the view: the whole cell is the check box."""
        return False

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        """Draw a cell."""
        row = index.data(Role.ROW)
        if row is None:
            return
        style = option.widget.style()
        style.drawPrimitive(QStyle.PE_PanelItemViewItem, option, painter, option.widget)
        selected = bool(option.state & QStyle.State_Selected)
        painter.save()
        painter.setClipRect(option.rect)
        painter.setRenderHint(painter.RenderHint.Antialiasing)
        self._painters[index.column()](painter, Cell(row, option.rect, option.font, selected))
        if index.row() == self.view.currentIndex().row() and self.view.hasFocus():
            self._paint_focus(painter, option.rect, index.column())
        painter.restore()

    # --- a cell each

    def _paint_check(self, painter: Any, cell: Cell) -> None:
        if not cell.row.explained:
            return
        side = QFontMetrics(cell.font).height() - 1
        box = QRectF(0, 0, side, side)
        box.moveCenter(QPointF(cell.box.center()))
        ground = self.colours.accent if cell.row.shown else self.colours.background
        painter.setPen(QPen(QColor(self.colours.accent if cell.row.shown else self.colours.quiet), 1))
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(box, 3, 3)
        if cell.row.shown:
            ticked = ((0.22, 0.52), (0.43, 0.73), (0.78, 0.28))
            points = [QPointF(box.left() + x * side, box.top() + y * side) for x, y in ticked]
            painter.setPen(QPen(QColor(self.colours.background), 2, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
            painter.setBrush(Qt.NoBrush)
            painter.drawPolyline(QPolygonF(points))

    def _paint_colours(self, painter: Any, cell: Cell) -> None:
        if not cell.row.explained:
            return
        height = QFontMetrics(cell.font).height() - 1
        box = QRect(cell.box.left() + 2, 0, cell.box.width() - 4, height)
        box.moveTop(cell.box.center().y() - height // 2)
        painter.setOpacity(1.0 if cell.row.shown and not cell.row.empty else _FAINT)
        painter.setPen(Qt.NoPen)
        painter.setBrush(gradient(cell.row.colours, box))
        painter.drawRoundedRect(box, 3, 3)
        painter.setOpacity(1.0)

    def _paint_name(self, painter: Any, cell: Cell) -> None:
        """Draw both lines across the columns of name and evidence, the part that lies in this cell."""
        header = self.view.horizontalHeader()
        left = header.sectionViewportPosition(NAME) + _MARGIN
        right = header.sectionViewportPosition(EVIDENCE) + header.sectionSize(EVIDENCE) - _MARGIN
        upper, lower = _two_lines(QRect(left, cell.box.top(), right - left, cell.box.height()))
        self._write(painter, upper, cell.row.name, self._font(cell, bold=cell.row.called), self.colours.text)
        second = self.colours.text if cell.selected else self.colours.quiet
        self._write(painter, lower, cell.row.evidence, self._font(cell, share=_SMALL), second)

    def _paint_score(self, painter: Any, cell: Cell) -> None:
        upper, lower = _two_lines(cell.box.adjusted(_MARGIN, 0, -_MARGIN, 0))
        self._write(painter, upper, cell.row.score, self._font(cell, bold=cell.row.called), self.colours.text)
        if cell.row.share is None:
            return
        thick = max(5, lower.height() // 3)
        bar = QRectF(lower.left(), lower.center().y() - thick // 2, lower.width(), thick)  # on whole pixels
        # An outline: a filled track looks like a full bar where nothing is.
        painter.setPen(QPen(QColor(self.colours.line), 1))
        painter.setBrush(Qt.NoBrush)
        painter.drawRoundedRect(bar.adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
        painter.setPen(Qt.NoPen)
        filled = QRectF(bar)
        filled.setWidth(bar.width() * min(max(cell.row.share, 0.0), 1.0))
        # A score below its threshold is no call: its bar steps back.
        missed = cell.row.threshold is not None and not cell.row.called
        painter.setBrush(QColor(self.colours.quiet if missed else self.colours.accent))
        painter.drawRoundedRect(filled, 2, 2)
        if cell.row.threshold is not None:
            x = bar.left() + bar.width() * min(max(cell.row.threshold, 0.0), 1.0)
            painter.setPen(QPen(QColor(self.colours.text), 2, Qt.SolidLine, Qt.FlatCap))
            painter.drawLine(QPointF(x, bar.top() - 3), QPointF(x, bar.bottom() + 3))

    def _paint_focus(self, painter: Any, box: QRect, column: int) -> None:
        """Outline the row the keys act on."""
        painter.setRenderHint(painter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(QColor(self.colours.accent), 1))
        painter.drawLine(box.topLeft(), box.topRight())
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        if column == SHOW:
            painter.drawLine(box.topLeft(), box.bottomLeft())
        if column == SCORE:
            painter.drawLine(box.topRight(), box.bottomRight())

    # --- steps

    def _restyle(self) -> None:
        self.colours = colours()
        self.view.viewport().update()

    @staticmethod
    def _font(cell: Cell, *, bold: bool = False, share: float = 1.0) -> QFont:
        font = QFont(cell.font)
        font.setBold(bool(bold))  # numpy's own is none to Qt
        # Either its points or its pixels are known, the other is -1.
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * share)
        else:
            font.setPixelSize(round(font.pixelSize() * share))
        return font

    @staticmethod
    def _write(painter: Any, box: QRect, words: str, font: QFont, colour: str) -> None:
        painter.setFont(font)
        painter.setPen(QColor(colour))
        # Classes of a family differ at the end of their names.
        text = QFontMetrics(font).elidedText(words, Qt.ElideMiddle, box.width())
        painter.drawText(box, Qt.AlignLeft | Qt.AlignVCenter, text)


def _two_lines(box: QRect) -> tuple[QRect, QRect]:
    half = (box.height() - 4) // 2
    upper = QRect(box.left(), box.top() + 2, box.width(), half)
    return upper, upper.translated(0, half)
