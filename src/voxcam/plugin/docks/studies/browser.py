"""The study browser: what was scanned, what of it is open, and the way to more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from voxcam.plugin.docks.parts import button_for, in_colour, quiet
from voxcam.plugin.docks.studies.drops import accept_drops
from voxcam.plugin.docks.studies.foldout import Foldout
from voxcam.plugin.docks.studies.placeless import Placeless
from voxcam.plugin.docks.studies.scan_progress import ScanProgress
from voxcam.plugin.docks.studies.search_box import SearchBox
from voxcam.plugin.docks.studies.series_rows import ROW
from voxcam.plugin.docks.studies.series_tree import SeriesTree
from voxcam.plugin.review.badges import texts_of
from voxcam.plugin.review.catalogue import marks
from voxcam.plugin.review.left_out import left_out_lines, left_out_words, nothing_found_words
from voxcam.plugin.review.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtGui import QImage

    from voxcam.io import Study
    from voxcam.plugin.review.catalogue import Row
    from voxcam.plugin.review.review import Review

TITLE, WIDTH = "Studies", 260
EMPTY = (
    "Drop files, folders or zips here, or press File… or Folder…\n\nSeries open with Enter or a double click."
)
NOTHING_FOUND = "No series has these words.\nEsc in the search box shows all."


class Browser(QWidget):  # type: ignore[misc]
    """Places that were scanned, their studies and series.

    Signals: `file_asked`, `folder_asked`, `places_asked` (list of paths to scan), `cancel_asked`;
    `series_asked` (place, list of Series: the first to be shown, the others to be kept open),
    `show_asked` (Reading: open, and of no place), `close_asked` (Reading), `forget_asked` (place),
    `thumbnails_wanted` (list of Series).
    """

    file_asked = Signal()
    folder_asked = Signal()
    places_asked = Signal(object)
    cancel_asked = Signal()
    series_asked = Signal(object, object)
    show_asked = Signal(object)
    close_asked = Signal(object)
    forget_asked = Signal(object)
    thumbnails_wanted = Signal(object)

    _open_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._review: Review | None = None
        self.file = button_for("F&ile…", "Scan one file, or a zip archive", self.file_asked)
        self.folder = button_for("Fol&der…", "Scan a folder and all below it", self.folder_asked)
        self.search, self.tree = SearchBox(), SeriesTree()
        self.pages = _pages(self.tree, _notice(EMPTY), _notice(NOTHING_FOUND))
        self.placeless = Placeless()
        self.open = button_for("&Open", "Show the chosen series (Enter)", self._open_pressed)
        self.findings, self.left_out = Foldout(), Foldout()
        self.progress, self.failure = ScanProgress(self.cancel_asked), _failure()
        self._lay_out()
        self._listen()
        self._show_choice()
        self._show_page()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Ask for a narrow column beside the picture."""
        return QSize(WIDTH, super().sizeHint().height())

    # --- showing

    def show_review(self, review: Review) -> None:
        """Show the places that were scanned, which of their series are open, and which is on the screen."""
        self._review = review
        self.tree.show_places(review.places)
        self.tree.show_marks(marks(review.readings, review.reading))
        self.placeless.show_review(review)
        words = left_out_words(review.places.values())
        self.left_out.show_lines(f"Left out: {words}" if words else "", left_out_lines(self.tree.rows.shown))
        self._show_page()

    def show_progress(self, done: int, total: int) -> None:
        """Show how far a scan is: files done of those met; 0 done while folders are still walked."""
        self.progress.show_files(done, total)

    def show_failure(self, line: str, place: Path | None = None) -> None:
        """Say in a line that a place could not be scanned."""
        named = f"{place.name}: {line}" if place is not None else line
        self.failure.setText("\n".join(filter(None, [self.failure.text(), named])))
        self.failure.show()

    def show_found(self, place: Path, study: Study) -> None:
        """Say of a place that was scanned if nothing was found there."""
        words = nothing_found_words(place.name, study)
        if words:
            self.show_failure(words)

    def show_ended(self) -> None:
        """Show that nothing is scanned any more."""
        self.progress.hide()

    def show_thumbnail(self, key: str, picture: QImage | None) -> None:
        """Show the picture of a series, by `Series.key`; None if it has none."""
        self.tree.show_picture(key, picture)

    def find(self) -> None:
        """Take the keyboard for the search."""
        self.search.setFocus(Qt.ShortcutFocusReason)
        self.search.selectAll()

    # --- steps

    def _lay_out(self) -> None:
        self.setMinimumWidth(200)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(6)
        row.addWidget(self.file)
        row.addWidget(self.folder)
        column.addLayout(row)
        column.addWidget(self.search)
        column.addWidget(self.pages, 1)
        column.addWidget(self.placeless)
        for widget in (self.open, self.findings, self.left_out, self.failure, self.progress):
            column.addWidget(widget)

    def _listen(self) -> None:
        shortcut = QShortcut(QKeySequence(QKeySequence.Find), self)
        shortcut.setContext(Qt.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.find)
        self.search.textChanged.connect(self._search)
        self.search.left.connect(self.tree.go_to_first)
        self.tree.open_asked.connect(self.series_asked)
        self.tree.close_asked.connect(self._ask_close)
        self.placeless.show_asked.connect(self.show_asked)
        self.placeless.close_asked.connect(self.close_asked)
        self.tree.forget_asked.connect(self.forget_asked)
        self.tree.findings_asked.connect(self._unfold_findings)
        self.tree.pictures_wanted.connect(self.thumbnails_wanted)
        self.tree.chosen_changed.connect(self._show_choice)
        self._open_pressed.connect(self.tree.open_chosen)
        for asked in (self.file_asked, self.folder_asked, self.places_asked):
            asked.connect(self._forget_failure)
        accept_drops(self, self.places_asked.emit)

    def _search(self, words: str) -> None:
        self.tree.search(words)
        self._show_page()

    def _show_page(self) -> None:
        known, found = self.tree.rows.rowCount(), self.tree.found.rowCount()
        self.pages.setCurrentIndex(0 if found else 2 if known else 1)
        self.search.setEnabled(bool(known))

    def _show_choice(self) -> None:
        """Show what is said of the chosen row, and what Open would do."""
        count = len(self.tree.chosen)
        self.open.setEnabled(count > 0)
        self.open.setText(f"&Open {counted(count, 'series', 'series')}" if count > 1 else "&Open")
        self._show_findings(self.tree.currentIndex().data(ROW))

    def _unfold_findings(self, row: Row) -> None:
        self._show_findings(row)
        self.findings.head.setChecked(True)

    def _show_findings(self, row: Row | None) -> None:
        texts = texts_of(row.badges) if row is not None else []
        self.findings.show_lines(counted(len(texts), "finding") if texts else "", texts)

    def _ask_close(self, key: str) -> None:
        # The review's own, as it is now: a reading is a value, and another with every step of the reader.
        reading = self._review.opened(key) if self._review is not None else None
        if reading is not None:
            self.close_asked.emit(reading)

    def _forget_failure(self) -> None:
        self.failure.clear()
        self.failure.hide()


def _pages(*pages: QWidget) -> QStackedWidget:
    stack = QStackedWidget()
    for page in pages:
        stack.addWidget(page)
    return stack


def _notice(words: str) -> QLabel:
    notice = quiet(words)
    notice.setAlignment(Qt.AlignCenter)
    notice.setMargin(12)
    return notice


def _failure() -> QLabel:
    failure = QLabel()
    failure.setWordWrap(True)
    failure.setTextFormat(Qt.PlainText)
    in_colour(failure, "error")
    failure.hide()
    return failure
