"""The tools to measure with, and a table of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QShortcut,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from voxcam.plugin.docks.parts import quiet
from voxcam.plugin.review.measures import as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.measures import Measured

# The words on the buttons are those of the table, too.
_TOOLS = (
    ("distance", "Line", "Distance: drag from end to end, or click both"),
    ("angle", "Angle", "Angle: click an end, the vertex, the other end"),
    ("ellipse", "Oval", "Oval region: drag from corner to corner of its box"),
    ("rectangle", "Box", "Rectangular region: drag from corner to corner"),
    ("freehand", "Free", "Region drawn by hand: drag round it"),
)
_NOUNS = {kind: text.lower() for kind, text, _ in _TOOLS}
_HINT = "Drag a line or a corner on the picture to change it; Delete drops what is chosen."
_TABLE_TIP = "Enter or a double click goes to the slice; Delete drops the measurement"
_LEAST_LINES, _MOST_LINES = 5, 11


class MeasurePanel(QWidget):  # type: ignore[misc]
    """Asks for a tool, and shows the numbers of what was drawn."""

    tool_asked = Signal(str)  # "" to lay it down
    chosen = Signal(int)  # a row; -1 for none
    go_asked = Signal(int)
    delete_asked = Signal(list)  # rows

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[Measured, ...] = ()
        self.tools = {kind: _tool(text, tip) for kind, text, tip in _TOOLS}
        self.table = QTableWidget(0, 3)
        self.details = quiet("")
        self.copy, self.delete = QPushButton("Copy all"), QPushButton("Delete")
        self.delete_all = QPushButton("Delete all")
        self._lay_out()
        self._listen()
        self.show_measurements((), None)

    def show_tool(self, tool: str | None, available: bool = True) -> None:
        """Show which tool is in hand; without a study there is none to take."""
        for kind, button in self.tools.items():
            button.setChecked(kind == tool)
            button.setEnabled(available)
        self._show_details()

    def show_measurements(self, found: Sequence[Measured], chosen: int | None) -> None:
        """Show the numbers, in the order drawn, and which measurement is chosen."""
        self.found = tuple(found)
        self.table.blockSignals(True)
        self.table.setRowCount(len(self.found))
        for row, one in enumerate(self.found):
            lines = one.lines
            for column, words in enumerate((f"{row + 1}  {_NOUNS[one.kind]}", "\n".join(lines), one.where)):
                self._set(row, column, words, "\n".join([*lines, *one.evidence_lines]))
        self.table.resizeRowsToContents()
        if chosen is None:
            self.table.clearSelection()
            self.table.setCurrentCell(-1, -1)
        else:
            self.table.selectRow(chosen)
        self.table.blockSignals(False)
        self._show_details()
        for widget in (self.table, *self._buttons):
            widget.setVisible(bool(self.found))

    def copy_all(self) -> None:
        """Put all numbers into the clipboard as comma-separated values; nothing tells whose scan it is."""
        QGuiApplication.clipboard().setText(as_table(self.found))

    # --- steps

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return self.copy, self.delete, self.delete_all

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(2)
        group = QButtonGroup(self)
        group.setExclusive(False)
        for button in self.tools.values():
            group.addButton(button)
            row.addWidget(button, 1)
        column.addLayout(row)
        self._lay_out_table()
        column.addWidget(self.table, 1)
        self.details.setTextInteractionFlags(Qt.TextSelectableByMouse)
        column.addWidget(self.details)
        row = QHBoxLayout()
        self.copy.setToolTip("Copy the table as comma-separated values, without names or identifiers")
        self.delete.setToolTip("Drop the chosen measurement (key Delete)")
        self.delete_all.setToolTip("Drop all measurements of this study")
        for button in self._buttons:
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)

    def _lay_out_table(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(["kind", "value", "slice"])
        table.verticalHeader().hide()
        table.setSelectionBehavior(QAbstractItemView.SelectRows)
        table.setSelectionMode(QAbstractItemView.SingleSelection)
        table.setEditTriggers(QAbstractItemView.NoEditTriggers)
        table.setTabKeyNavigation(False)
        table.setWordWrap(False)
        table.setToolTip(_TABLE_TIP)
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.Stretch)
        # As high as it is long, within bounds: the evidence stands below.
        table.setSizeAdjustPolicy(QAbstractItemView.AdjustToContents)
        table.setMinimumHeight(_LEAST_LINES * table.fontMetrics().height())
        table.setMaximumHeight(_MOST_LINES * table.fontMetrics().height())

    def _listen(self) -> None:
        for kind, button in self.tools.items():
            button.clicked.connect(lambda on, kind=kind: self.tool_asked.emit(kind if on else ""))
        self.table.itemSelectionChanged.connect(self._on_selection)
        self.table.cellDoubleClicked.connect(lambda row, _: self.go_asked.emit(row))
        self.copy.clicked.connect(lambda _=False: self.copy_all())
        self.delete.clicked.connect(lambda _=False: self._delete())
        self.delete_all.clicked.connect(lambda _=False: self.delete_asked.emit(list(range(len(self.found)))))
        self._key("Escape", self, lambda: self.tool_asked.emit(""))
        for key in ("Delete", "Backspace"):
            self._key(key, self.table, self._delete)
        for key in ("Return", "Enter"):
            self._key(key, self.table, self._go)
        self._key(QKeySequence.Copy, self.table, self.copy_all)

    def _key(self, key: object, of: QWidget, work: object) -> None:
        shortcut = QShortcut(QKeySequence(key), of)
        shortcut.setContext(Qt.WidgetWithChildrenShortcut)
        shortcut.activated.connect(work)

    def _set(self, row: int, column: int, words: str, tip: str) -> None:
        item = QTableWidgetItem(words)
        item.setToolTip(f"{tip}\n\n{_TABLE_TIP}")
        self.table.setItem(row, column, item)

    def _row(self) -> int:
        rows = {index.row() for index in self.table.selectedIndexes()}
        return min(rows) if rows else -1

    def _on_selection(self) -> None:
        self._show_details()
        self.chosen.emit(self._row())

    def _show_details(self) -> None:
        """Say how the tool in hand works; without one, the evidence in the chosen region, or what to do."""
        row = self._row()
        self.delete.setEnabled(row >= 0)
        in_hand = [f"{tip}." for kind, _, tip in _TOOLS if self.tools[kind].isChecked()]
        evidence = self.found[row].evidence_lines if 0 <= row < len(self.found) else ()
        seen = [f"mean evidence: {', '.join(evidence)}"] if evidence else []
        self.details.setText("\n".join([*in_hand, *seen]) or (_HINT if self.found else ""))
        self.details.setVisible(bool(self.details.text()))

    def _go(self) -> None:
        if self._row() >= 0:
            self.go_asked.emit(self._row())

    def _delete(self) -> None:
        if self._row() >= 0:
            self.delete_asked.emit([self._row()])


def _tool(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(f"{tip}. Esc lays the tool down.")
    button.setMinimumWidth(button.fontMetrics().horizontalAdvance(text) + 12)
    return button
