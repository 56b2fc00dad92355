"""The classes as Qt's views read them: one row a class, sorted and searched by a proxy."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal

from voxcam.export.style import SIGNED
from voxcam.plugin.docks.evidence.class_colours import colour_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxcam.plugin.review.look import ClassRow

SHOW, COLOUR, NAME, EVIDENCE, SCORE = range(5)
# The evidence stands below the name, across both columns: the second title does no more than sort by it.
HEADERS = ("", "", "Class", "by evidence", "Probability")


class Role(IntEnum):
    """What a cell can be asked beside Qt's own roles."""

    ROW = int(Qt.UserRole)  # the ClassRow
    SORT = int(Qt.UserRole) + 1


class ClassModel(QAbstractTableModel):  # type: ignore[misc]
    """The classes, in the order they were given.

    Signals: `toggled` (class, on) asks for a heatmap on or off; the rows change when the review has.
    """

    toggled = Signal(str, bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ClassRow, ...] = ()
        self._ranks: dict[int, list[int]] = {}
        self.score_header = HEADERS[SCORE]

    def show_rows(self, rows: Sequence[ClassRow]) -> None:
        """Show other rows; of the same classes only what changed is told."""
        old, new = self.rows, tuple(rows)
        if [row.name for row in old] != [row.name for row in new]:
            self.beginResetModel()
            self.rows, self._ranks = new, {}
            self.endResetModel()
            return
        self.rows, self._ranks = new, {}
        for first, last in _runs(
            [n for n, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]
        ):
            self.dataChanged.emit(self.index(first, 0), self.index(last, SCORE))

    def name_scores(self, noun: str) -> None:
        """Call the last column "Probability", "Value" or "Output"."""
        if noun.capitalize() != self.score_header:
            self.score_header = noun.capitalize()
            self.headerDataChanged.emit(Qt.Horizontal, SCORE, SCORE)

    # --- what Qt asks

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many classes there are."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(HEADERS)

    def headerData(self, section: int, orientation: Any, role: int = Qt.DisplayRole) -> Any:  # noqa: N802
        """Return a column's title, and what a click on it does."""
        if orientation != Qt.Horizontal:
            return None
        title = self.score_header if section == SCORE else HEADERS[section]
        if role == Qt.DisplayRole:
            return title
        if role == Qt.ToolTipRole:
            if section == EVIDENCE:
                return "Sort by the highest evidence, which stands below each name"
            return f"Sort by {title.lower()}" if title else "Show the top 3, or none"
        return None

    def flags(self, index: QModelIndex) -> Any:
        """Only a class with a map can be shown."""
        selectable = Qt.ItemIsEnabled | Qt.ItemIsSelectable | Qt.ItemNeverHasChildren
        shows = index.column() == SHOW and self.rows[index.row()].explained
        return selectable | Qt.ItemIsUserCheckable if shows else selectable

    def data(self, index: QModelIndex, role: int = Qt.DisplayRole) -> Any:
        """Return what a cell says."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Role.ROW:
            return row
        if role == Role.SORT:
            return self._rank(column)[index.row()]
        if role == Qt.DisplayRole:
            return (None, None, row.name, row.evidence, row.score)[column]
        if role in (Qt.ToolTipRole, Qt.AccessibleTextRole):
            return tip(row, column)
        if role == Qt.CheckStateRole and column == SHOW and row.explained:
            return Qt.Checked if row.shown else Qt.Unchecked
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.EditRole) -> bool:  # noqa: N802
        """Ask for the heatmap of a class to be on or off."""
        row = self.rows[index.row()]
        if role != Qt.CheckStateRole or index.column() != SHOW or not row.explained:
            return False
        self.toggled.emit(row.name, Qt.CheckState(value) == Qt.Checked)
        return True

    def _rank(self, column: int) -> list[int]:
        """Return each row's rank by a column; of equals the row given first has the higher rank."""
        if column not in self._ranks:
            numbers = range(len(self.rows))
            ascending = sorted(numbers, key=lambda number: (_sorted_by(self.rows[number], column), -number))
            self._ranks[column] = sorted(numbers, key=ascending.__getitem__)
        return self._ranks[column]


class ClassOrder(QSortFilterProxyModel):  # type: ignore[misc]
    """The classes sorted by probability, name or evidence; those alone whose name holds what is sought."""

    def __init__(self, source: ClassModel, parent: Any = None) -> None:
        super().__init__(parent)
        self.setSourceModel(source)
        self.setSortRole(Role.SORT)
        self.setFilterKeyColumn(NAME)
        self.setFilterCaseSensitivity(Qt.CaseInsensitive)
        self.setDynamicSortFilter(True)
        self.sort(SCORE, Qt.DescendingOrder)


def tip(row: ClassRow, column: int) -> str:
    """Return what a cell says in full."""
    if column == SHOW:
        shown = "hide" if row.shown else "show"
        return f"Click or Space: {shown} the evidence for {row.name}" if row.explained else row.evidence
    if column == COLOUR:
        return f"Colours: {colour_words(row.colours)}. Click or Enter to choose others"
    if column == SCORE:
        return _score_words(row)
    words = f"{row.name}: {row.evidence}."
    if not row.explained:
        return words
    if row.colours == SIGNED:
        return f"{words} Blue speaks against the class, orange for it."
    return f"{words} Only what speaks for it is drawn; the colours “signed” draw both."


def _score_words(row: ClassRow) -> str:
    score = row.score if row.share is None else f"probability {row.share:.4f}"
    if row.threshold is None:
        return score
    word = "called" if row.called else "not called"
    return f"{score}: {word}, the model calls {row.name} from {row.threshold:g} on"


def _sorted_by(row: ClassRow, column: int) -> Any:
    if column in (SHOW, COLOUR):
        return int(row.shown)
    if column == NAME:
        return row.name.casefold()
    value = row.value if column == SCORE else row.largest
    # NaN compares to nothing: it would leave the order to chance.
    return value if not math.isnan(value) else -math.inf


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return neighbouring numbers as (first, last)."""
    start = None
    for at, number in enumerate(numbers):
        start = number if start is None else start
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield start, number
            start = None
