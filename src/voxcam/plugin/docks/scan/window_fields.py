"""Width and level, typed: any number in the unit of the scan, taken with Enter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.windows import step_of, typed

if TYPE_CHECKING:
    from voxcam.core.windows import Window

_WIDEST = 1_000_000  # of a scan that is not shown wider already
_UP_DOWN = {Qt.Key_Up: 1, Qt.Key_Down: -1, Qt.Key_PageUp: 10, Qt.Key_PageDown: -10}


class WindowFields(QWidget):  # type: ignore[misc]
    """Two fields for width and level; what is no window is refused in words beneath them."""

    window_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.window: Window | None = None
        self.width_field = _field("Width of the window: the span of values from black to white")
        self.level_field = _field("Level of the window: the value in the middle of the greys")
        self.unit = QLabel("")
        self.refusal = QLabel("")
        self.refusal.setWordWrap(True)
        self.refusal.hide()
        self._lay_out()
        for field in (self.width_field, self.level_field):
            field.returnPressed.connect(self._take)
            field.installEventFilter(self)
        follow(self, self._restyle)
        self.setEnabled(False)

    def show_window(self, window: Window | None, unit: str = "") -> None:
        """Show the width and level of a window, and the unit of the scan."""
        self.window = window
        self.setEnabled(window is not None)
        self.unit.setText(unit)
        self._say("")
        for field, value in self._values():
            # A number being typed is left alone, unless it was just taken.
            if not (field.hasFocus() and field.isModified()):
                field.setText(value)
                field.setModified(False)

    def eventFilter(self, field: QObject, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Step with the arrow keys, and give up with Escape; what was refused is not left behind."""
        if event.type() == QEvent.FocusOut and (self.refusal.text() or not _is_number(field)):
            self._put_back()
            return False
        if event.type() != QEvent.KeyPress or self.window is None:
            return False
        if event.key() == Qt.Key_Escape:
            self._put_back()
            return True
        if event.key() in _UP_DOWN:
            self._step(field, _UP_DOWN[event.key()])
            return True
        return False

    # --- steps

    def _lay_out(self) -> None:
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for letter, field in (("W", self.width_field), ("L", self.level_field)):
            label = QLabel(letter)
            label.setToolTip(field.toolTip())
            label.setBuddy(field)
            row.addWidget(label)
            row.addWidget(field, 1)
        row.addWidget(self.unit)
        column.addLayout(row)
        column.addWidget(self.refusal)

    def _values(self) -> list[tuple[QLineEdit, str]]:
        window = self.window
        width, level = (None, None) if window is None else (window.width, window.centre)
        return [(self.width_field, _words(width)), (self.level_field, _words(level))]

    def _take(self) -> None:
        if self.window is None:
            return
        try:
            width, level = (_number(field.text()) for field in (self.width_field, self.level_field))
            wanted = typed(self.window, width, level)
            if width > max(_WIDEST, self.window.width):
                raise ValueError(f"The width goes up to {_WIDEST:,}.")
        except ValueError as refused:
            self._say(str(refused))
            return
        for field in (self.width_field, self.level_field):
            field.setModified(False)
        self._say("")
        if (wanted.width, wanted.centre) != (self.window.width, self.window.centre):
            self.window_asked.emit(wanted)

    def _step(self, field: Any, steps: int) -> None:
        if self.window is not None:
            try:
                value = _number(field.text()) + steps * step_of(self.window.width)
            except ValueError as refused:
                self._say(str(refused))
                return
            field.setText(_words(value))
            self._take()

    def _put_back(self) -> None:
        self._say("")
        for field, value in self._values():
            field.setText(value)
            field.setModified(False)

    def _say(self, words: str) -> None:
        self.refusal.setText(words)
        self.refusal.setVisible(bool(words))

    def _restyle(self) -> None:
        self.refusal.setStyleSheet(f"color: {colours().error}")
        self.unit.setStyleSheet(f"color: {colours().quiet}")


def _field(tip: str) -> QLineEdit:
    field = QLineEdit()
    field.setToolTip(f"{tip}. Enter takes it, arrow keys step, Esc gives up.")
    field.setAccessibleName(tip)
    field.setMinimumWidth(field.fontMetrics().horizontalAdvance("-0000.00"))
    return field


def _is_number(field: Any) -> bool:
    try:
        _number(field.text())
    except ValueError:
        return False
    return True


def _words(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"


def _number(text: str) -> float:
    """Return a typed number; a comma may stand for the point, and the minus sign of print for a minus."""
    said = text.strip()
    if not said:
        raise ValueError("A number is missing.")
    try:
        return float(said.replace("−", "-").replace(",", "."))
    except ValueError:
        raise ValueError(f"“{said}” is no number.") from None
