"""The table of classes: whether its evidence is shown, in which colours, how probable, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from voxcam.export.style import COLOURS, colour_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.look import ClassRow

SHOW, COLOUR, NAME, SCORE = range(4)
ROW_HEIGHT = 36
_SWATCH = QSize(18, 18)
_QUIET = QColor(150, 155, 165)


class ClassTable(QTableWidget):  # type: ignore[misc]
    """The classes, the most probable first.

    Signals: `toggled` (class, on), `coloured` (class, colours), `chosen` (class).
    """

    toggled = Signal(str, bool)
    coloured = Signal(str, str)
    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.horizontalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(_SWATCH)
        self.setSelectionBehavior(QAbstractItemView.SelectRows)
        self.setSelectionMode(QAbstractItemView.SingleSelection)
        self.setEditTriggers(QAbstractItemView.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(NAME, QHeaderView.Stretch)
        for column, width in ((SHOW, 26), (COLOUR, 28), (SCORE, 80)):
            header.setSectionResizeMode(column, QHeaderView.Fixed)
            self.setColumnWidth(column, width)
        self.setItemDelegateForColumn(NAME, TwoLines(self))
        self.setItemDelegateForColumn(SCORE, ProbabilityBar(self))
        self.itemChanged.connect(self._on_item)
        self.cellClicked.connect(self._on_click)
        self.currentCellChanged.connect(self._on_current)

    def show_rows(self, rows: Sequence[ClassRow]) -> None:
        """Show `rows`; the chosen class stays chosen."""
        chosen = self.chosen_class
        self.blockSignals(True)
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)
        names = [row.name for row in rows]
        self.setCurrentCell(names.index(chosen) if chosen in names else (0 if rows else -1), NAME)
        self.blockSignals(False)
        self.viewport().update()

    @property
    def chosen_class(self) -> str | None:
        """The class of the selected row."""
        item = self.item(self.currentRow(), NAME)
        return None if item is None else str(item.text())

    def _fill(self, number: int, row: ClassRow) -> None:
        for column in range(4):
            if self.item(number, column) is None:
                self.setItem(number, column, QTableWidgetItem())
        show, colour, name, score = (self.item(number, column) for column in range(4))
        selectable = Qt.ItemIsEnabled | Qt.ItemIsSelectable
        show.setFlags(selectable | Qt.ItemIsUserCheckable if row.explained else selectable)
        if row.explained:
            show.setCheckState(Qt.Checked if row.shown else Qt.Unchecked)
        else:
            show.setData(Qt.CheckStateRole, None)
        show.setToolTip("Show the evidence for this class")
        colour.setIcon(swatch(row.colours, faint=row.empty or not row.shown))
        colour.setToolTip("Colours: click to choose")
        name.setText(row.name)
        name.setData(Qt.UserRole, row.evidence)
        name.setToolTip(f"{row.name}: {row.evidence}")
        score.setText(row.score)
        score.setData(Qt.UserRole, -1.0 if row.share is None else float(row.share))
        score.setToolTip(row.score if row.share is None else f"probability {row.share:.4f}")

    def _on_item(self, item: Any) -> None:
        if item.column() == SHOW:
            self.toggled.emit(self.item(item.row(), NAME).text(), item.checkState() == Qt.Checked)

    def _on_click(self, row: int, column: int) -> None:
        if column != COLOUR:
            return
        name = self.item(row, NAME).text()
        menu = QMenu(self)
        for colours in COLOURS:
            action = menu.addAction(swatch(colours), colours)
            action.triggered.connect(lambda _=False, c=colours: self.coloured.emit(name, c))
        menu.popup(self.viewport().mapToGlobal(self.visualItemRect(self.item(row, COLOUR)).bottomLeft()))

    def _on_current(self, *_: int) -> None:
        if self.chosen_class is not None:
            self.chosen.emit(self.chosen_class)


class TwoLines(QStyledItemDelegate):  # type: ignore[misc]
    """A class's name, and under it in words what was found."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        """Draw the two lines."""
        option.widget.style().drawPrimitive(
            option.widget.style().PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget
        )
        metrics, box = option.fontMetrics, option.rect.adjusted(4, 2, -2, -2)
        upper = QRect(box.left(), box.top(), box.width(), box.height() // 2)
        lower = QRect(box.left(), box.top() + box.height() // 2, box.width(), box.height() // 2)
        for place, words, colour in (
            (upper, index.data(Qt.DisplayRole), option.palette.text().color()),
            (lower, index.data(Qt.UserRole), _QUIET),
        ):
            painter.setPen(colour)
            text = metrics.elidedText(words or "", Qt.ElideRight, place.width())
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, text)


class ProbabilityBar(QStyledItemDelegate):  # type: ignore[misc]
    """A score in words, over a bar if it is a probability."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        """Draw bar and number."""
        share = index.data(Qt.UserRole)
        if share is None:
            return
        box = option.rect.adjusted(4, 11, -4, -11)
        if share >= 0:
            painter.fillRect(box, QColor(70, 74, 84))
            filled = QRect(box)
            filled.setWidth(round(box.width() * min(share, 1.0)))
            painter.fillRect(filled, QColor(72, 116, 186))
        painter.setPen(QColor(240, 241, 242))
        painter.drawText(box, Qt.AlignCenter, index.data(Qt.DisplayRole) or "")


def swatch(colours: str, *, faint: bool = False) -> QIcon:
    """Return a small strip of the colours, low to high."""
    table = colour_table(colours)[np.linspace(0, 255, _SWATCH.width()).astype(int), :3]
    strip = np.repeat((table * (90 if faint else 255)).astype(np.uint8)[None], _SWATCH.height(), axis=0)
    pixels = np.ascontiguousarray(strip)
    image = QImage(pixels.data, _SWATCH.width(), _SWATCH.height(), 3 * _SWATCH.width(), QImage.Format_RGB888)
    return QIcon(QPixmap.fromImage(image.copy()))
