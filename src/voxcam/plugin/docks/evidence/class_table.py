"""The table of classes: whether its evidence is shown, in which colours, how probable, and what was found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRect, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QVBoxLayout, QWidget

from voxcam.plugin.docks.evidence.class_colours import colour_words, offered, swatch
from voxcam.plugin.docks.evidence.class_model import (
    COLOUR,
    EVIDENCE,
    NAME,
    SCORE,
    SHOW,
    ClassModel,
    ClassOrder,
    Role,
)
from voxcam.plugin.docks.evidence.class_view import ClassView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.look import ClassRow

# More classes than this are searched rather than looked through.
FEW = 12
TOP = 3
SORTED_BY = {"score": SCORE, "name": NAME, "evidence": EVIDENCE}
_ACTS = {SHOW, COLOUR}


class ClassTable(QWidget):  # type: ignore[misc]
    """The classes, the most probable first, and above many of them a field to find one.

    Signals: `toggled` (class, on), `coloured` (class, colours), `chosen` (class), `shown_asked` (names
    whose heatmaps are to be on, and no others).
    """

    toggled = Signal(str, bool)
    coloured = Signal(str, str)
    chosen = Signal(str)
    shown_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ClassModel(self)
        self.order = ClassOrder(self.model, self)
        self.view = ClassView(self.order, self)
        self.sought = QLineEdit()
        self.sought.setPlaceholderText("Find a class (Ctrl+F)")
        self.sought.setClearButtonEnabled(True)
        self.quick = QPushButton("Show…")
        self.quick.setToolTip("Show the top 3, or none; sort the classes")
        self.menu: QMenu | None = None
        self._chosen: str | None = None
        self._telling = True
        self._lay_out()
        self.sought.textChanged.connect(self._seek)
        self.sought.returnPressed.connect(self.view.setFocus)
        self.quick.clicked.connect(self._open_quick)
        self.model.toggled.connect(self.toggled)
        self.view.toggle_asked.connect(self._toggle)
        self.view.palette_asked.connect(self.open_palette)
        self.view.menu_asked.connect(self.open_menu)
        self.view.find_asked.connect(self.sought.setFocus)
        self.view.horizontalHeader().sectionClicked.connect(self._on_header)
        self.view.selectionModel().currentRowChanged.connect(self._on_current)

    def show_rows(self, rows: Sequence[ClassRow], noun: str = "probability") -> None:
        """Show `rows`, their scores called `noun`; the chosen class stays chosen."""
        self._telling = False
        self.model.name_scores(noun)
        self.model.show_rows(rows)
        many = len(rows) > FEW
        if not many:
            self.sought.clear()
        self.sought.setVisible(many)
        self.quick.setVisible(many)
        self._restore()
        self._telling = True

    # --- what is on the screen

    @property
    def chosen_class(self) -> str | None:
        """The class of the selected row."""
        return self._chosen

    def names(self) -> tuple[str, ...]:
        """Return the classes from above to below, those that were sought alone."""
        return tuple(self._row(number).name for number in range(self.order.rowCount()))

    def row_of(self, name: str) -> int:
        """Return which row a class is in, -1 if in none."""
        at = next((number for number, row in enumerate(self.model.rows) if row.name == name), -1)
        return int(self.order.mapFromSource(self.model.index(at, NAME)).row()) if at >= 0 else -1

    def row(self, name: str) -> ClassRow:
        """Return a class as it is shown."""
        return next(row for row in self.model.rows if row.name == name)

    def check_rect(self, name: str) -> QRect:
        """Return the place of a class's check box in the viewport of `view`."""
        return self.cell_rect(name, SHOW)

    def cell_rect(self, name: str, column: int) -> QRect:
        """Return the place of a cell in the viewport of `view`."""
        return self.view.visualRect(self.order.index(self.row_of(name), column))

    # --- what is asked

    def choose(self, name: str) -> None:
        """Select the row of a class."""
        self.view.setCurrentIndex(self.order.index(self.row_of(name), NAME))

    def sort_by(self, column: int, *, descending: bool | None = None) -> None:
        """Sort by a column; by the one it is sorted by already, the other way round."""
        again = self.order.sortColumn() == column
        down = self.order.sortOrder() == Qt.AscendingOrder if again else column != NAME
        order = Qt.DescendingOrder if (down if descending is None else descending) else Qt.AscendingOrder
        self.order.sort(column, order)
        self.view.horizontalHeader().setSortIndicator(column, order)
        self.view.scrollTo(self.view.currentIndex())

    def open_palette(self, name: str) -> None:
        """Offer the colours of a class in a menu at its cell."""
        self._open(self._palette(name, QMenu(self)), self.cell_rect(name, COLOUR).bottomLeft())

    def open_menu(self, name: str, at: Any) -> None:
        """Offer what can be done with a class, and with all."""
        menu = QMenu(self)
        if name and self.row(name).explained:
            menu.addAction(f"Only {name.replace('&', '&&')}", lambda: self.shown_asked.emit((name,)))
            self._palette(name, menu.addMenu("Colours"))
            menu.addSeparator()
        self.add_actions(menu)
        self._open(menu, at)

    def add_actions(self, menu: QMenu) -> None:
        """Add to a menu what can be done with all classes."""
        menu.addAction(f"Show the top {TOP}", self._show_top)
        menu.addAction("Show none", lambda: self.shown_asked.emit(()))
        menu.addSeparator()
        for words, column in SORTED_BY.items():
            menu.addAction(f"Sort by {words}", lambda _=False, c=column: self.sort_by(c))

    # --- steps

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        row = QHBoxLayout()
        row.addWidget(self.sought, 1)
        row.addWidget(self.quick)
        column.addLayout(row)
        column.addWidget(self.view, 1)
        self.sought.hide()
        self.quick.hide()
        self.setFocusProxy(self.view)

    def _row(self, number: int) -> ClassRow:
        row: ClassRow = self.order.index(number, NAME).data(Role.ROW)
        return row

    def _restore(self) -> None:
        """Select the chosen class again, or the first there is."""
        number = self.row_of(self._chosen) if self._chosen else -1
        if number < 0:
            number = 0 if self.order.rowCount() else -1
            self._chosen = self._row(0).name if self.order.rowCount() else None
        if self.view.currentIndex().row() != number:
            self.view.setCurrentIndex(self.order.index(number, NAME))

    def _seek(self, words: str) -> None:
        before = self._chosen
        self._telling = False
        self.order.setFilterFixedString(words.strip())
        self._restore()
        self._telling = True
        if self._chosen is not None and self._chosen != before:
            self.chosen.emit(self._chosen)

    def _on_current(self, current: Any, _: Any = None) -> None:
        row = current.data(Role.ROW) if current.isValid() else None
        if self._telling and row is not None:
            self._chosen = row.name
            self.chosen.emit(row.name)

    def _toggle(self, name: str) -> None:
        shown = self.row(name).shown
        self.order.setData(
            self.order.index(self.row_of(name), SHOW),
            Qt.Unchecked if shown else Qt.Checked,
            Qt.CheckStateRole,
        )

    def _show_top(self) -> None:
        explained = [row for row in self.model.rows if row.explained and not math.isnan(row.value)]
        explained.sort(key=lambda row: -row.value)
        self.shown_asked.emit(tuple(row.name for row in explained[:TOP]))

    def _palette(self, name: str, menu: QMenu) -> QMenu:
        menu.setStyleSheet("QMenu { icon-size: 40px; }")  # strips rather than dots
        for colours in offered():
            action = menu.addAction(swatch(colours), colour_words(colours))
            font = action.font()
            font.setBold(colours == self.row(name).colours)
            action.setFont(font)
            action.triggered.connect(lambda _=False, c=colours: self.coloured.emit(name, c))
        return menu

    def _on_header(self, column: int) -> None:
        if column in _ACTS:
            self._open_quick()
        else:
            self.sort_by(column)

    def _open_quick(self) -> None:
        self.open_menu("", self.view.viewport().rect().topLeft())

    def _open(self, menu: QMenu, at: Any) -> None:
        self.menu = menu
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.view.viewport().mapToGlobal(at))
