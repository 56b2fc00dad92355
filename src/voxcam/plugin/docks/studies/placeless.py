"""What is open and was found in no place of the list: handed over, read from a layer, its place forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QLabel, QListWidget, QListWidgetItem, QMenu, QVBoxLayout, QWidget

from voxcam.plugin.canvas.appearance import volume_words
from voxcam.plugin.review.catalogue import placeless

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.plugin.review.reading import Reading
    from voxcam.plugin.review.review import Review

TITLE = "Open, of no place"
_MOST_LINES, _MARGIN = 4, 4
_TIP = "Open, but in no place of this list. Enter or a double click shows it, Delete closes it"
_OPENS, _CLOSES = (Qt.Key_Return, Qt.Key_Enter), (Qt.Key_Delete,)


class Placeless(QWidget):  # type: ignore[misc]
    """A line for each study that is open and of no place; gone where there is none.

    Signals: `show_asked` (Reading), `close_asked` (Reading).
    """

    show_asked = Signal(object)
    close_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._review: Review | None = None
        self._volumes: list[Volume] = []
        self.rows = _Rows()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(QLabel(TITLE))
        column.addWidget(self.rows)
        self.rows.itemDoubleClicked.connect(lambda _: self._ask(self.show_asked))
        self.rows.open_pressed.connect(lambda: self._ask(self.show_asked))
        self.rows.close_pressed.connect(lambda: self._ask(self.close_asked))
        self.hide()

    def show_review(self, review: Review) -> None:
        """Show what is open and of no place, and in bold which of it is on the screen."""
        self._review = review
        readings = placeless(review.readings, review.places)
        volumes = [one.volume for one in readings if one.volume is not None]
        chosen = self._chosen()
        self._volumes = volumes
        self.rows.clear()
        for volume in volumes:
            self.rows.addItem(_item(volume, volume is review.volume))
        self.rows.setCurrentRow(next((n for n, one in enumerate(volumes) if one is chosen), 0))
        self.rows.fit()
        self.setVisible(bool(volumes))

    # --- steps

    def _chosen(self) -> Volume | None:
        row = self.rows.currentRow()
        return self._volumes[row] if 0 <= row < len(self._volumes) else None

    def _ask(self, signal: Any) -> None:
        # The review's own, as it is now: a reading is a value, and another with every step of the reader.
        volume, readings = self._chosen(), self._review.readings if self._review is not None else ()
        reading: Reading | None = next((one for one in readings if one.volume is volume), None)
        if volume is not None and reading is not None:
            signal.emit(reading)


class _Rows(QListWidget):  # type: ignore[misc]
    """Lines as high as they are many, up to some; Enter opens, Delete closes."""

    open_pressed = Signal()
    close_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(TITLE)
        self.setTextElideMode(Qt.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)

    def fit(self) -> None:
        """Take the height of the lines there are."""
        line = max(self.sizeHintForRow(0), self.fontMetrics().height())
        self.setFixedHeight(min(max(self.count(), 1), _MOST_LINES) * line + 2 * _MARGIN)

    def event(self, event: Any) -> bool:
        """Keep the list's own keys from the window's shortcuts."""
        if event.type() == QEvent.ShortcutOverride and event.key() in (*_OPENS, *_CLOSES):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Enter opens, Delete closes."""
        if event.key() in _OPENS:
            self.open_pressed.emit()
        elif event.key() in _CLOSES:
            self.close_pressed.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Offer the same by the mouse."""
        if self.itemAt(event.pos()) is None:
            return
        menu = QMenu(self)
        menu.addAction("&Open\tEnter").triggered.connect(self.open_pressed)
        menu.addAction("&Close\tDel").triggered.connect(self.close_pressed)
        menu.setAttribute(Qt.WA_DeleteOnClose)
        menu.popup(event.globalPos())


def _item(volume: Volume, shown: bool) -> QListWidgetItem:
    item = QListWidgetItem(volume_words(volume))
    item.setToolTip(f"{volume_words(volume)}\n{_TIP}")
    item.setData(Qt.AccessibleTextRole, f"{volume_words(volume)}, {'on the screen' if shown else 'open'}")
    font = item.font()
    font.setBold(shown)
    item.setFont(font)
    return item
