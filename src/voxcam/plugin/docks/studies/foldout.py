"""A line that unfolds to the lines behind it: findings, files left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPlainTextEdit, QSizePolicy, QToolButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

# Lines of an unfolded list; the rest is scrolled to.
_LINES, _MARGIN = 7, 6


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
