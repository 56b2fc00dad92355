"""The box to search the series in: words, and the way on to what was found."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit


class SearchBox(QLineEdit):  # type: ignore[misc]
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
