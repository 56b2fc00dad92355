"""The tree of places, studies and series: what was scanned, each series with its picture and its findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QItemSelectionModel, QPoint, Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QAbstractItemView, QMenu, QTreeView

from voxcam.plugin.docks.studies.series_lines import RowLines
from voxcam.plugin.docks.studies.series_rows import ROW, Found, Places
from voxcam.plugin.docks.theme import follow
from voxcam.plugin.review.catalogue import PlaceRow
from voxcam.plugin.review.series_row import SeriesRow
from voxcam.plugin.review.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from qtpy.QtGui import QImage

    from voxcam.io import Study
    from voxcam.plugin.review.catalogue import Mark, Row

MARK_WORDS: dict[Mark, str] = {"open": "Open", "shown": "On the screen"}
# Pictures kept; beyond, the oldest are made again when they are looked at.
_MOST_PICTURES = 2000
_INDENT = 10
# Between drawing and asking for pictures: who scrolls past is not waited for.
_PICTURES_AFTER_MS = 60
_OWN_KEYS = (Qt.Key_Return, Qt.Key_Enter, Qt.Key_Delete)


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
        self.rows = Places(self, self.spoken)
        self.marks: dict[str, Mark] = {}
        self.pictures: dict[str, QImage | None] = {}
        self.found, self.lines = Found(self.rows), RowLines(self)
        self._folded: set[str] = set()
        self._picture_timer = QTimer(self, singleShot=True, interval=_PICTURES_AFTER_MS)
        self._lay_out()
        self._listen()

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
        first = next(
            (one for one in self._unfolded_from(self.found.index(0, 0)) if _series_of([one.data(ROW)])), None
        )
        if not self.chosen and first is not None:
            self.selectionModel().setCurrentIndex(first, QItemSelectionModel.ClearAndSelect)

    @property
    def chosen(self) -> list[SeriesRow]:
        """The selected series, from the top."""
        rows = _series_of([index.data(ROW) for index in self.selectedIndexes()])
        return sorted(rows, key=lambda row: self.rows.order.get(row, 0))

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
        if event.type() == QEvent.ShortcutOverride and event.key() in _OWN_KEYS:
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
        if not self._picture_timer.isActive():
            self._picture_timer.start()

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

    def _listen(self) -> None:
        self._picture_timer.timeout.connect(self._want_pictures)
        self.doubleClicked.connect(lambda index: self._open([index.data(ROW)]))
        self.collapsed.connect(lambda index: self._folded.add(index.data(ROW).key))
        self.expanded.connect(lambda index: self._folded.discard(index.data(ROW).key))
        self.selectionModel().selectionChanged.connect(lambda *_: self.chosen_changed.emit())
        follow(self, self._restyle)

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
        series = _series_of(rows)
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
        if folded and not self.found.words:
            self._fold_again(folded)

    def _fold_again(self, keys: set[str]) -> None:
        # A list: below what is folded, the walk would miss what is in it.
        for index in list(self._unfolded_from(self.found.index(0, 0))):
            if index.data(ROW).key in keys:
                self.collapse(index)

    def _unfolded_from(self, index: Any) -> Iterator[Any]:
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
        for index in self._unfolded_from(self.indexAt(QPoint(1, 1))):
            if self.visualRect(index).top() >= height:
                break
            seen.append(index)
        return seen

    def _restyle(self) -> None:
        self.lines.restyle()
        # The row left of the words, too, is in the colour that the words are drawn on.
        self.setStyleSheet(f"QTreeView {{ selection-background-color: {self.lines.chosen_ground.name()} }}")
        self.viewport().update()


def _series_of(rows: Sequence[Row]) -> list[SeriesRow]:
    return [row for row in rows if isinstance(row, SeriesRow)]
