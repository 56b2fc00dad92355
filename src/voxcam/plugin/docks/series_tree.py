"""The tree of places, studies and series: what was scanned, each series with its picture and its findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QPainter,
    QPen,
)
from qtpy.QtWidgets import QAbstractItemView, QMenu, QStyle, QStyledItemDelegate, QToolTip, QTreeView

from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.catalogue import PlaceRow, SeriesRow, catalogue, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from qtpy.QtGui import QImage

    from voxcam.io import Study
    from voxcam.plugin.review.catalogue import Badge, Mark, Row

ROW = Qt.UserRole + 1
MARK_WORDS: dict[Mark, str] = {"open": "Open", "shown": "On the screen"}
# Pictures kept; beyond, the oldest are made again when they are looked at.
_MOST_PICTURES = 2000
_INDENT, _PAD = 10, 4
_SOON_MS = 60
_KEYS = (Qt.Key_Return, Qt.Key_Enter, Qt.Key_Delete)
_NOWHERE = QModelIndex()


class SeriesTree(QTreeView):  # type: ignore[misc]
    """Places, their studies, and the series of each.

    Signals: `open_asked` (place, list of Series), `close_asked` (Series.key), `findings_asked` (a row),
    `forget_asked` (place), `pictures_wanted` (list of Series: those on the screen, from the top).
    """

    open_asked = Signal(object, object)
    close_asked = Signal(str)
    findings_asked = Signal(object)
    forget_asked = Signal(object)
    pictures_wanted = Signal(object)
    chosen_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows = Places(self)
        self.marks: dict[str, Mark] = {}
        self.pictures: dict[str, QImage | None] = {}
        self.found, self.lines = Found(self.rows), RowLines(self)
        self._folded: set[str] = set()
        self._soon = QTimer(self, singleShot=True, interval=_SOON_MS)
        self._lay_out()
        self._soon.timeout.connect(self._want_pictures)
        self.doubleClicked.connect(lambda index: self._open([index.data(ROW)]))
        self.collapsed.connect(lambda index: self._folded.add(index.data(ROW).key))
        self.expanded.connect(lambda index: self._folded.discard(index.data(ROW).key))
        self.selectionModel().selectionChanged.connect(lambda *_: self.chosen_changed.emit())
        follow(self, self._restyle)

    # --- showing

    def show_places(self, places: Mapping[Path, Study]) -> None:
        """Show what was scanned; places that are as they were stay as they are."""
        if self.rows.show_places(places):
            self._unfold()

    def show_marks(self, marks: dict[str, Mark]) -> None:
        """Show which series are open, and which is on the screen."""
        self.marks = marks
        self.viewport().update()

    def show_picture(self, key: str, picture: QImage | None) -> None:
        """Show a series' picture; None if it has none, so that it is not asked for again."""
        self.pictures[key] = picture
        while len(self.pictures) > _MOST_PICTURES:
            del self.pictures[next(iter(self.pictures))]
        self.viewport().update()

    def search(self, words: str) -> None:
        """Show only the series in whose words every one of these stands."""
        if words != self.found.words:
            folded = set(self._folded)
            self.collapseAll()  # of what is folded up, rows come and go at no cost
            self._folded = folded
            self.found.search(words)
            self._unfold()

    def go_to_first(self) -> None:
        """Take the keyboard, and choose the first series unless one is chosen."""
        self.setFocus(Qt.ShortcutFocusReason)
        first = next((one for one in self._from(self.found.index(0, 0)) if _series([one.data(ROW)])), None)
        if not self.chosen and first is not None:
            self.selectionModel().setCurrentIndex(first, QItemSelectionModel.ClearAndSelect)

    @property
    def chosen(self) -> list[SeriesRow]:
        """The selected series, from the top."""
        rows = _series([index.data(ROW) for index in self.selectedIndexes()])
        return sorted(rows, key=self.rows.order.__getitem__)

    def mark_words(self, row: Row) -> str:
        """Return whether a series is open, in words; "" if not."""
        mark = self.marks.get(row.key)
        return "" if mark is None else MARK_WORDS[mark]

    def spoken(self, row: Row) -> str:
        """Return a row in one sentence, for those who listen to the screen."""
        findings = sum(badge.count for badge in row.badges)
        told = counted(findings, "finding") if findings else ""
        return ", ".join(filter(None, [row.title, row.words, told, self.mark_words(row)]))

    # --- asking

    def open_chosen(self) -> None:
        """Ask for the selected series; fold or unfold a place or study."""
        index = self.currentIndex()
        if self.chosen:
            self._open(self.chosen)
        elif index.isValid():
            self.setExpanded(index, not self.isExpanded(index))

    def menu_at(self, index: Any) -> QMenu | None:
        """Return what can be done with a row."""
        row = index.data(ROW) if index.isValid() else None
        if row is None:
            return None
        menu = QMenu(self)
        if isinstance(row, SeriesRow):
            self._offer_series(menu, self.chosen if row in self.chosen else [row])
        if row.badges:
            menu.addAction("Show &findings").triggered.connect(lambda: self.findings_asked.emit(row))
        if isinstance(row, PlaceRow):
            menu.addAction("F&orget place").triggered.connect(lambda: self.forget_asked.emit(row.place))
        return menu

    def event(self, event: Any) -> bool:
        """Keep the tree's own keys from the window's shortcuts while the tree has the keyboard."""
        if event.type() == QEvent.ShortcutOverride and event.key() in _KEYS:
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Enter opens, Delete closes."""
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self.open_chosen()
        elif event.key() == Qt.Key_Delete:
            self._close(self.chosen)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Offer what can be done with the row under the mouse."""
        menu = self.menu_at(self.indexAt(event.pos()))
        if menu is not None and menu.actions():
            menu.setAttribute(Qt.WA_DeleteOnClose)
            menu.popup(event.globalPos())

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw, and a moment later ask for the pictures that are missing on the screen."""
        super().paintEvent(event)
        if not self._soon.isActive():
            self._soon.start()

    # --- steps

    def _lay_out(self) -> None:
        self.setModel(self.found)
        self.setItemDelegate(self.lines)
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.setIndentation(_INDENT)
        self.setSelectionMode(QAbstractItemView.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.setAccessibleName("Studies")

    def _offer_series(self, menu: QMenu, rows: list[SeriesRow]) -> None:
        several = f" {len(rows)} series" if len(rows) > 1 else ""
        opening, closing = menu.addAction(f"&Open{several}\tEnter"), menu.addAction(f"&Close{several}\tDel")
        opening.triggered.connect(lambda: self._open(rows))
        opening.setEnabled(any(row.can_be_opened for row in rows))
        closing.triggered.connect(lambda: self._close(rows))
        closing.setEnabled(any(row.key in self.marks for row in rows))
        # Neither names nor free text: what may stand in a message to others.
        words = "\n".join(str(row.series) for row in rows)
        copying = menu.addAction("Cop&y size and spacing")
        copying.triggered.connect(lambda: QGuiApplication.clipboard().setText(words))

    def _open(self, rows: Sequence[Row]) -> None:
        series = _series(rows)
        good = [row for row in series if row.can_be_opened]
        if good:  # one place is read at a time: that of the first
            place = good[0].place
            self.open_asked.emit(place, [row.series for row in good if row.place == place])
        elif series:
            self.findings_asked.emit(series[0])

    def _close(self, rows: Sequence[SeriesRow]) -> None:
        for key in [row.key for row in rows if row.key in self.marks]:
            self.close_asked.emit(key)

    def _unfold(self) -> None:
        """Unfold all but what was folded by hand; a search finds in that too."""
        folded = set(self._folded)
        self.expandAll()
        self._folded = folded
        for index in [] if self.found.words or not folded else list(self._from(self.found.index(0, 0))):
            if index.data(ROW).key in folded:
                self.collapse(index)

    def _from(self, index: Any) -> Iterator[Any]:
        """Give the unfolded rows from `index` down."""
        while index.isValid():
            yield index
            index = self.indexBelow(index)

    def _want_pictures(self) -> None:
        """Ask for the pictures that are missing on the screen."""
        wanted = []
        for index in self._on_screen():
            row = index.data(ROW)
            if isinstance(row, SeriesRow) and row.key not in self.pictures:
                wanted.append(row.series)
        self.pictures_wanted.emit(wanted)

    def _on_screen(self) -> list[Any]:
        """Return the rows that can be seen, from the top."""
        height, seen = self.viewport().height(), []
        for index in self._from(self.indexAt(QPoint(1, 1))):
            if self.visualRect(index).top() >= height:
                break
            seen.append(index)
        return seen

    def _restyle(self) -> None:
        self.lines.restyle()
        # The row left of the words, too, is in the colour that the words are drawn on.
        self.setStyleSheet(f"QTreeView {{ selection-background-color: {self.lines.chosen.name()} }}")
        self.viewport().update()


@dataclass(eq=False)
class _Node:
    row: Row
    above: _Node | None
    number: int = 0
    below: list[_Node] = field(default_factory=list)
    name: int = field(default_factory=count().__next__)


class Places(QAbstractItemModel):  # type: ignore[misc]
    """The rows of places, studies and series, as Qt asks for them; in words for who listens to the screen."""

    def __init__(self, tree: SeriesTree) -> None:
        super().__init__(tree)
        self.tree = tree
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
        for number, top in reversed(list(enumerate(self._tops))):
            if top.row not in now:
                self._remove(number)
        for number, row in enumerate(now):
            if number >= len(self._tops) or self._tops[number].row is not row:
                self._insert(number, row)
        while len(self._tops) > len(now):
            self._remove(len(now))
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
        return self.tree.spoken(node.row) if role == Qt.AccessibleTextRole else None

    # --- steps

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
        self._count()
        self._nodes |= {node.name: node for node in _all_of(top)}
        self.endInsertRows()

    def _remove(self, number: int) -> None:
        self.beginRemoveRows(QModelIndex(), number, number)
        top = self._tops.pop(number)
        self._count()
        for node in _all_of(top):
            del self._nodes[node.name]
        self.endRemoveRows()

    def _count(self) -> None:
        for number, top in enumerate(self._tops):
            top.number = number


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


def mixed(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour between two: `share` of the other."""
    pairs = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))


def _series(rows: Sequence[Row]) -> list[SeriesRow]:
    return [row for row in rows if isinstance(row, SeriesRow)]


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


class RowLines(QStyledItemDelegate):  # type: ignore[misc]
    """Draws a row: picture, badges, and up to three lines of words."""

    def __init__(self, tree: SeriesTree) -> None:
        super().__init__(tree)
        self.tree = tree
        self.restyle()

    def restyle(self) -> None:
        """Take the colours and fonts of the theme, once for all rows."""
        self.colours = {name: QColor(value) for name, value in vars(colours()).items()}
        self.chosen = mixed(self.colours["background"], self.colours["accent"], 0.4)
        self.plain, self.bold = QFont(self.tree.font()), QFont(self.tree.font())
        self.bold.setBold(True)
        self.small = QFont(self.bold)
        self.small.setPointSizeF(max(0.8 * self.bold.pointSizeF(), 6))
        self.line, self.small_line = QFontMetrics(self.bold).height(), QFontMetrics(self.small).height()

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802 - Qt's name
        """Three lines of words: the same for every row."""
        return QSize(20 * self.line, 3 * self.line + 2 * _PAD)

    def paint(self, painter: QPainter, option: Any, index: Any) -> None:
        """Draw the row."""
        row: Row = index.data(ROW)
        box = option.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        painter.save()
        self._draw_ground(painter, option)
        strong = isinstance(row, PlaceRow) or self.tree.marks.get(row.key) == "shown"
        if isinstance(row, SeriesRow):
            picture = QRect(box.topLeft(), QSize(box.height(), box.height()))
            self._draw_picture(painter, picture, row)
            self._draw_mark(painter, picture, self.tree.marks.get(row.key))
            box.setLeft(picture.right() + 2 * _PAD)
            lines = (row.title, row.extent, row.details)
        else:
            self._draw_badges(painter, box, row.badges)
            box.setRight(box.right() - 2 * self.small_line * bool(row.badges))
            lines = (row.title, row.words, row.left_out)
        painter.setFont(self.bold if strong else self.plain)
        painter.setPen(self.colours["text"])
        self._draw_lines(painter, box, lines, self.colours["text" if _is_chosen(option) else "quiet"])
        painter.restore()

    def helpEvent(self, event: Any, view: Any, option: Any, index: Any) -> bool:  # noqa: N802 - Qt's name
        """Tell all there is to say of the row under the mouse."""
        if event.type() != QEvent.ToolTip or index.data(ROW) is None:
            return bool(super().helpEvent(event, view, option, index))
        # Free text of a file is no markup.
        row = index.data(ROW)
        lines = (*row.lines, self.tree.mark_words(row))
        told = "<br>".join(escape(line) for line in lines if line)
        QToolTip.showText(event.globalPos(), f"<p style='white-space:pre'>{told}</p>", view)
        return True

    # --- steps

    def _draw_ground(self, painter: QPainter, option: Any) -> None:
        if _is_chosen(option):
            painter.fillRect(option.rect, self.chosen)
        if option.state & QStyle.State_HasFocus:
            painter.setPen(self.colours["accent"])
            painter.drawRect(option.rect.adjusted(0, 0, -1, -1))

    def _draw_picture(self, painter: QPainter, place: QRect, row: SeriesRow) -> None:
        picture = self.tree.pictures.get(row.key)
        painter.fillRect(place, Qt.black if picture else self.colours["panel"])
        if picture is None:
            painter.setPen(self.colours["quiet"])
            painter.drawText(place, Qt.AlignCenter, row.modality[:4])
        else:
            painter.setRenderHint(QPainter.SmoothPixmapTransform)
            size = picture.size().scaled(place.size(), Qt.KeepAspectRatio)
            inside = QRect(QPoint(0, 0), size)
            inside.moveCenter(place.center())
            painter.drawImage(inside, picture)
        self._draw_badges(painter, place.adjusted(0, 0, _PAD // 2, 0), row.badges)

    def _draw_badges(self, painter: QPainter, box: QRect, badges: Sequence[Badge]) -> None:
        """Draw how many findings there are, in the upper right: those that stop it are marked "!" as well."""
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setFont(self.small)
        top = box.top()
        for badge in badges:
            words = f"!{badge.count}" if badge.stops else str(badge.count)
            width = max(self.small_line, QFontMetrics(self.small).horizontalAdvance(words) + 2 * _PAD)
            place = QRect(box.right() - width, top, width, self.small_line)
            painter.setPen(Qt.NoPen)
            painter.setBrush(self.colours["error" if badge.stops else "warning"])
            painter.drawRoundedRect(place, self.small_line / 2, self.small_line / 2)
            painter.setPen(self.colours["background"])
            painter.drawText(place, Qt.AlignCenter, words)
            top += self.small_line + 2

    def _draw_mark(self, painter: QPainter, picture: QRect, mark: Mark | None) -> None:
        """Draw a dot at the picture's foot: filled of what is on the screen, a ring of what else is open."""
        if mark is None:
            return
        size = self.line // 2 + 1
        place = QRect(picture.left() + 2, picture.bottom() - size - 1, size, size)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colours["background"])
        painter.drawEllipse(place.adjusted(-2, -2, 2, 2))
        painter.setPen(QPen(self.colours["good"], 2))
        painter.setBrush(self.colours["good"] if mark == "shown" else Qt.NoBrush)
        painter.drawEllipse(place)

    def _draw_lines(self, painter: QPainter, box: QRect, lines: Sequence[str], quiet: QColor) -> None:
        """Draw lines in the middle of a box: the first with the painter's pen, the others stepping back."""
        said = [words for words in lines if words]
        place = QRect(box.left(), box.top(), box.width(), self.line)
        place.translate(0, (box.height() - len(said) * self.line) // 2)
        for words in said:
            elided = painter.fontMetrics().elidedText(words, Qt.ElideRight, place.width())
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, elided)
            painter.setFont(self.plain)
            painter.setPen(quiet)
            place.translate(0, self.line)


def _is_chosen(option: Any) -> bool:
    return bool(option.state & QStyle.State_Selected)
