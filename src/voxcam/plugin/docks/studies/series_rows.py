"""The rows of the series tree as Qt asks for them, and those of them that a search finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QSortFilterProxyModel, Qt

from voxcam.plugin.review.catalogue import catalogue
from voxcam.plugin.review.series_row import SeriesRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from qtpy.QtCore import QObject

    from voxcam.io import Study
    from voxcam.plugin.review.catalogue import PlaceRow, Row

# The role under which an index gives its row itself.
ROW = Qt.UserRole + 1
_NOWHERE = QModelIndex()


class Places(QAbstractItemModel):  # type: ignore[misc]
    """The rows of places, studies and series, as Qt asks for them; in words for who listens to the screen."""

    def __init__(self, tree: QObject, spoken: Callable[[Row], str]) -> None:
        super().__init__(tree)
        self.spoken = spoken
        self.shown: tuple[PlaceRow, ...] = ()
        self.order: dict[Row, int] = {}  # from the top
        self._tops: list[_Node] = []
        # Qt knows a node by its name alone: of one that is gone it learns nothing.
        self._nodes: dict[int, _Node] = {}

    def show_places(self, places: Mapping[Path, Study]) -> bool:
        """Show these places, in order; whether anything changed. What is as it was stays selected."""
        now = catalogue(places, self.shown)
        if now == self.shown:
            return False
        self.shown = now
        self._bring_to(now)
        nodes = (node for top in self._tops for node in _all_of(top))
        self.order = {node.row: number for number, node in enumerate(nodes)}
        return True

    def index(self, number: int, column: int = 0, parent: Any = _NOWHERE) -> Any:
        """Return where a row is."""
        below = self._below(parent)
        return self._at(below[number]) if 0 <= number < len(below) and column == 0 else QModelIndex()

    def parent(self, index: Any = None) -> Any:
        """Return what a row is under."""
        if index is None:
            return super().parent()
        node = self._nodes.get(index.internalId()) if index.isValid() else None
        return QModelIndex() if node is None or node.above is None else self._at(node.above)

    def rowCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return how many rows are under one."""
        return len(self._below(parent))

    def columnCount(self, parent: Any = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return 1: a row is drawn as one."""
        return 1

    def data(self, index: Any, role: int = Qt.DisplayRole) -> Any:
        """Return the row itself, its title, or all of it in words."""
        node = self._nodes.get(index.internalId()) if index.isValid() else None
        if node is None:
            return None
        if role == ROW:
            return node.row
        if role == Qt.DisplayRole:
            return node.row.title
        return self.spoken(node.row) if role == Qt.AccessibleTextRole else None

    # --- steps

    def _bring_to(self, now: Sequence[PlaceRow]) -> None:
        """Take away and put in place by place: Qt keeps selection and folding of those that stay."""
        for number, top in reversed(list(enumerate(self._tops))):
            if top.row not in now:
                self._remove(number)
        for number, row in enumerate(now):
            if number >= len(self._tops) or self._tops[number].row is not row:
                self._insert(number, row)
        while len(self._tops) > len(now):
            self._remove(len(now))

    def _below(self, parent: Any) -> list[_Node]:
        if not parent.isValid():
            return self._tops
        node = self._nodes.get(parent.internalId())
        return [] if node is None else node.below

    def _at(self, node: _Node) -> Any:
        return self.createIndex(node.number, 0, node.name)

    def _insert(self, number: int, row: PlaceRow) -> None:
        top = _place_node(row)
        self.beginInsertRows(QModelIndex(), number, number)
        self._tops.insert(number, top)
        self._renumber()
        self._nodes |= {node.name: node for node in _all_of(top)}
        self.endInsertRows()

    def _remove(self, number: int) -> None:
        self.beginRemoveRows(QModelIndex(), number, number)
        top = self._tops.pop(number)
        self._renumber()
        for node in _all_of(top):
            del self._nodes[node.name]
        self.endRemoveRows()

    def _renumber(self) -> None:
        for number, top in enumerate(self._tops):
            top.number = number


class Found(QSortFilterProxyModel):  # type: ignore[misc]
    """The series that a search finds, under their studies and places."""

    def __init__(self, rows: Places) -> None:
        super().__init__(rows.parent())
        self.words = ""
        self.setRecursiveFilteringEnabled(True)
        self.setSourceModel(rows)

    def search(self, words: str) -> None:
        """Find the series in whose words every one of these stands; all if there are none."""
        self.words = words
        self.setFilterFixedString(words)  # looks through all rows anew

    def filterAcceptsRow(self, number: int, parent: Any) -> bool:  # noqa: N802 - Qt's name
        """Whether a row is found by itself; its places and studies come with it."""
        row = self.sourceModel().index(number, 0, parent).data(ROW)
        return not self.words.strip() or (isinstance(row, SeriesRow) and row.matches(self.words))


@dataclass(eq=False)
class _Node:
    """A row, what it is under, which one of those it is, and what is under it."""

    row: Row
    above: _Node | None
    number: int = 0
    below: list[_Node] = field(default_factory=list)
    name: int = field(default_factory=count().__next__)


def _place_node(row: PlaceRow) -> _Node:
    """Return the node of a place; its only study, and a study of one series, take no row of their own."""
    top = _Node(row, None)
    for study in row.studies:
        alone = 1 in (len(row.studies), len(study.rows))
        above = top if alone else _put(study, top)
        for series in study.rows:
            _put(series, above)
    return top


def _put(row: Row, above: _Node) -> _Node:
    node = _Node(row, above, len(above.below))
    above.below.append(node)
    return node


def _all_of(node: _Node) -> Iterator[_Node]:
    yield node
    for below in node.below:
        yield from _all_of(below)
