"""The study browser: what was scanned, what of it is open, and the way to more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from voxcam.plugin.docks.parts import button_for, in_colour, quiet
from voxcam.plugin.docks.series_tree import ROW, SeriesTree
from voxcam.plugin.review.catalogue import counted, left_out_lines, left_out_words, marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QImage

    from voxcam.plugin.review.review import Review

    Meant = Callable[[list[Path]], bool]

TITLE, WIDTH = "Studies", 260
EMPTY = (
    "Drop files, folders or zips here, or press File… or Folder…\n\nSeries open with Enter or a double click."
)
NOTHING_FOUND = "No series has these words.\nEsc in the search box shows all."
# Lines of an unfolded list; the rest is scrolled to.
_LINES, _MARGIN = 7, 6


class Browser(QWidget):  # type: ignore[misc]
    """Places that were scanned, their studies and series.

    Signals: `file_asked`, `folder_asked`, `places_asked` (list of paths to scan), `cancel_asked`;
    `series_asked` (place, list of Series: the first to be shown, the others to be kept open),
    `close_asked` (Reading), `forget_asked` (place), `thumbnails_wanted` (list of Series).
    """

    file_asked = Signal()
    folder_asked = Signal()
    places_asked = Signal(object)
    cancel_asked = Signal()
    series_asked = Signal(object, object)
    close_asked = Signal(object)
    forget_asked = Signal(object)
    thumbnails_wanted = Signal(object)

    _open_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._review: Review | None = None
        self.file = button_for("F&ile…", "Scan one file, or a zip archive", self.file_asked)
        self.folder = button_for("Fol&der…", "Scan a folder and all below it", self.folder_asked)
        self.search, self.tree = Search(), SeriesTree()
        self.pages = _pages(self.tree, _notice(EMPTY), _notice(NOTHING_FOUND))
        self.open = button_for("&Open", "Show the chosen series (Enter)", self._open_pressed)
        self.findings, self.left_out = Foldout(), Foldout()
        self.progress, self.failure = ScanProgress(self.cancel_asked), QLabel()
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
        self.failure.setWordWrap(True)
        self.failure.setTextFormat(Qt.PlainText)
        in_colour(self.failure, "error")
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.addWidget(self.file)
        row.addWidget(self.folder)
        column.addLayout(row)
        column.addWidget(self.search)
        column.addWidget(self.pages, 1)
        for widget in (self.open, self.findings, self.left_out, self.failure, self.progress):
            column.addWidget(widget)
        self.failure.hide()

    def _listen(self) -> None:
        shortcut = QShortcut(QKeySequence(QKeySequence.Find), self)
        shortcut.setContext(Qt.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.find)
        self.search.textChanged.connect(self._search)
        self.search.left.connect(self.tree.go_to_first)
        self.tree.open_asked.connect(self.series_asked)
        self.tree.close_asked.connect(self._ask_close)
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
        row = self.tree.currentIndex().data(ROW)
        texts = [text for badge in getattr(row, "badges", ()) for text in badge.texts]
        self.findings.show_lines(counted(len(texts), "finding") if texts else "", texts)

    def _unfold_findings(self, row: Any) -> None:
        texts = [text for badge in row.badges for text in badge.texts]
        self.findings.show_lines(counted(len(texts), "finding"), texts)
        self.findings.head.setChecked(True)

    def _ask_close(self, key: str) -> None:
        # The review's own, as it is now: a reading is a value, and another with every step of the reader.
        reading = self._review.opened(key) if self._review is not None else None
        if reading is not None:
            self.close_asked.emit(reading)

    def _forget_failure(self) -> None:
        self.failure.clear()
        self.failure.hide()


class Search(QLineEdit):  # type: ignore[misc]
    """The words to search for; `left` when the reader goes on to what was found."""

    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Search (Ctrl+F)")
        self.setToolTip("Modality, description, size, findings: every word must be there. Esc clears.")
        self.setClearButtonEnabled(True)
        self.setAccessibleName("Search the series")
        self.setAcceptDrops(False)  # files dropped here are meant for the browser

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Esc clears; Enter and Down go on to the list, as Esc does from an empty box."""
        if event.key() == Qt.Key_Escape and self.text():
            self.clear()
        elif event.key() in (Qt.Key_Escape, Qt.Key_Return, Qt.Key_Enter, Qt.Key_Down):
            self.left.emit()
        else:
            super().keyPressEvent(event)


class Foldout(QWidget):  # type: ignore[misc]
    """A line that unfolds to more lines; gone where there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = QToolButton(), _Lines()
        self.head.setCheckable(True)
        self.head.setToolButtonStyle(Qt.ToolButtonTextBesideIcon)
        self.head.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.head.toggled.connect(self._unfold)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.head)
        column.addWidget(self.body)
        self._unfold(False)

    def show_lines(self, words: str, lines: Sequence[str]) -> None:
        """Show these words, and the lines when unfolded."""
        self.head.setText(words)
        text = "\n".join(lines)
        if text != self.body.toPlainText():
            self.body.setPlainText(text)
        self.setVisible(bool(words))

    def _unfold(self, on: bool) -> None:
        self.head.setArrowType(Qt.DownArrow if on else Qt.RightArrow)
        self.body.setVisible(on)


class _Lines(QPlainTextEdit):  # type: ignore[misc]
    """Lines to read, as high as they are up to some; the rest is scrolled to."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.textChanged.connect(self._fit)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Break the lines anew, and take their height."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        lines = min(max(self.document().size().height(), 1), _LINES)  # a plain text counts in lines
        self.setFixedHeight(round(lines * self.fontMetrics().lineSpacing()) + 2 * _MARGIN)


class ScanProgress(QWidget):  # type: ignore[misc]
    """How far a scan is, in words, and its end."""

    def __init__(self, cancel_asked: Signal) -> None:
        super().__init__()
        self.words, self.bar = quiet(""), QProgressBar()
        self.cancel: QPushButton = button_for("Cancel", "Stop scanning; what was found stays", cancel_asked)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row.addWidget(self.words, 1)
        row.addWidget(self.cancel)
        column.addLayout(row)
        column.addWidget(self.bar)
        self.hide()

    def show_files(self, done: int, total: int) -> None:
        """Show how many files are done; while folders are walked, how many were met."""
        self.words.setText(
            f"{done:,} of {counted(total, 'file')}" if done else f"{counted(total, 'file')} met"
        )
        self.bar.setRange(0, total if done else 0)
        self.bar.setValue(done)
        self.show()


class _Drops(QObject):  # type: ignore[misc]
    def __init__(self, widget: QWidget, take: Callable[[list[Path]], object], meant: Meant) -> None:
        super().__init__(widget)
        self._take, self._meant = take, meant

    def eventFilter(self, _: QObject, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() not in (QEvent.DragEnter, QEvent.DragMove, QEvent.Drop):
            return False
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths or not self._meant(paths):
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Drop:
            self._take(paths)
        return True


def accept_drops(
    widget: QWidget, take: Callable[[list[Path]], object], meant: Meant = lambda paths: True
) -> None:
    """Call `take` with the files, folders and zips that are dropped on a widget.

    Parameters
    ----------
    meant
        Whether dropped paths are for us; of others the widget does what it did.
    """
    widget.setAcceptDrops(True)
    widget.installEventFilter(_Drops(widget, take, meant))


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
