"""The rows of the table of classes: columns, clicks and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QContextMenuEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from voxcam.plugin.docks.evidence.class_cells import ClassCells
from voxcam.plugin.docks.evidence.class_model import COLOUR, EVIDENCE, NAME, SCORE, SHOW, Role

if TYPE_CHECKING:
    from voxcam.plugin.docks.evidence.class_model import ClassOrder

_LEAST_ROWS = 2


class ClassView(QTableView):  # type: ignore[misc]
    """The rows: arrows choose one, Space shows its evidence, Enter offers colours, letters find a name."""

    toggle_asked = Signal(str)
    palette_asked = Signal(str)
    menu_asked = Signal(str, object)
    find_asked = Signal()

    def __init__(self, order: ClassOrder, parent: QWidget) -> None:
        super().__init__(parent)
        self.setModel(order)
        self.setItemDelegate(ClassCells(self))
        self.setAccessibleName("Classes")
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectRows)
        self.setSelectionMode(QAbstractItemView.SingleSelection)
        self.setEditTriggers(QAbstractItemView.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollPerPixel)
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.Fixed)
        self._set_header()
        self._fit_font()
        self.clicked.connect(self._on_click)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Space shows or hides, Enter offers colours; else as Qt has it."""
        acts = {
            Qt.Key_Space: self.toggle_asked.emit,
            Qt.Key_Return: self.palette_asked.emit,
            Qt.Key_Enter: self.palette_asked.emit,
        }
        if event.matches(QKeySequence.Find):
            self.find_asked.emit()
            return
        row = self.currentIndex().data(Role.ROW) if self.currentIndex().isValid() else None
        act = acts.get(event.key())
        if act is None or row is None or event.modifiers() & ~Qt.KeypadModifier:
            super().keyPressEvent(event)
        elif row.explained:
            act(row.name)

    def contextMenuEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Offer what can be done with the row under the mouse, or by the menu key with the chosen one."""
        by_key = event.reason() == QContextMenuEvent.Keyboard
        index = self.currentIndex() if by_key else self.indexAt(event.pos())
        row = index.data(Role.ROW) if index.isValid() else None
        at = self.visualRect(index).center() if by_key else event.pos()
        self.menu_asked.emit("" if row is None else row.name, at)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Follow the size of the font, which napari's settings change."""
        super().changeEvent(event)
        is_laid_out = isinstance(self.itemDelegate(), ClassCells)
        if is_laid_out and event.type() in (QEvent.FontChange, QEvent.StyleChange):
            self._fit_font()

    def keyboardSearch(self, letters: str) -> None:  # noqa: N802 - Qt's name
        """Find the name that begins with the letters typed, whichever cell was clicked."""
        self.setCurrentIndex(self.currentIndex().siblingAtColumn(NAME))
        super().keyboardSearch(letters)

    def _set_header(self) -> None:
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.Stretch)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignLeft | Qt.AlignVCenter)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(SCORE, Qt.DescendingOrder)

    def _fit_font(self) -> None:
        """Make rows and columns as large as their words; right of a title is room for the arrow."""
        header, metrics = self.horizontalHeader(), self.fontMetrics()
        header.setMinimumSectionSize(metrics.height() + 4)
        header.setFixedHeight(metrics.height() + 6)
        widths = {
            SHOW: metrics.height() + 10,
            COLOUR: metrics.height() + 14,
            EVIDENCE: metrics.horizontalAdvance("by evidence") + 24,
            SCORE: metrics.horizontalAdvance("Probability") + 26,
        }
        for column, width in widths.items():
            header.resizeSection(column, width)
        row_height = self.itemDelegate().row_height()
        self.verticalHeader().setDefaultSectionSize(row_height)
        self.setMinimumHeight(_LEAST_ROWS * row_height + header.height() + 2 * self.frameWidth())

    def _on_click(self, index: Any) -> None:
        row = index.data(Role.ROW)
        if row is not None and row.explained:
            if index.column() == SHOW:
                self.toggle_asked.emit(row.name)
            elif index.column() == COLOUR:
                self.palette_asked.emit(row.name)
