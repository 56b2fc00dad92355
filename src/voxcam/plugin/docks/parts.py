"""Parts the docks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractSlider,
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from voxcam.plugin.docks.theme import colours, follow

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = {
    **{Qt.Key_Right: 0.01, Qt.Key_Up: 0.01, Qt.Key_Left: -0.01, Qt.Key_Down: -0.01},
    **{Qt.Key_PageUp: 0.1, Qt.Key_PageDown: -0.1},
}


def column_of(widget: QWidget, title: str = "") -> QVBoxLayout:
    """Return a widget's column, under its title if it has one."""
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    if title:
        heading = QLabel(title)
        heading.setStyleSheet("font-weight: bold")
        column.addWidget(heading)
    return column


def quiet(text: str) -> QLabel:
    """Return a line of text that steps back."""
    label = QLabel(text)
    label.setWordWrap(True)
    in_colour(label, "quiet")
    return label


def told(colour: str) -> QLabel:
    """Return a line of text in one of the theme's colours, that can be copied."""
    label = quiet("")
    in_colour(label, colour)
    label.setTextFormat(Qt.PlainText)
    label.setTextInteractionFlags(Qt.TextSelectableByMouse)
    return label


def in_colour(label: QWidget, name: str) -> None:
    """Give words one of the theme's `colours`, in this theme and in the next; again to give another."""
    followed = label.property("colour") is not None
    label.setProperty("colour", name)

    def restyle() -> None:
        label.setStyleSheet(f"color: {getattr(colours(), label.property('colour'))}")

    if followed:
        restyle()
    else:
        follow(label, restyle)


def button_for(text: str, tip: str, signal: Signal) -> QPushButton:
    """Return a button that asks by a signal."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(lambda _=False: signal.emit())
    return button


def without_icons(buttons: QDialogButtonBox) -> None:
    """Take the icons off: the desktop's are dark, and gone on a dark ground."""
    for button in buttons.buttons():
        button.setIcon(QIcon())


def resize_to_letters(window: QWidget, columns: int, lines: int) -> None:
    """Make a window as wide and high as a page of text, but no larger than its screen."""
    letter, room = window.fontMetrics(), window.screen().availableGeometry()
    window.resize(
        min(letter.averageCharWidth() * columns, room.width() * 9 // 10),
        min(letter.height() * lines, room.height() * 9 // 10),
    )


def page_style() -> str:
    """Return the style of a page of text in a dialog: on the dialog's own ground."""
    look = colours()
    return f"background-color: {look.background}; color: {look.text}; border: 1px solid {look.line}"


def slider_over(low: float, high: float) -> QLabeledDoubleSlider:
    """Return a slider with a number beside it, in hundredths."""
    slider = QLabeledDoubleSlider(Qt.Horizontal)
    slider.setRange(low, high)
    slider.setSingleStep(0.01)
    slider.setDecimals(2)
    # What holds the slider takes the focus and drops its keys: the slider within shall have both.
    within = next(iter(slider.findChildren(QAbstractSlider)))
    slider.setFocusPolicy(Qt.NoFocus)  # before the proxy, to which it would be handed on
    slider.setFocusProxy(within)
    within.setFocusPolicy(Qt.StrongFocus)
    within.installEventFilter(_Steps(slider))
    return slider


class _Steps(QObject):  # type: ignore[misc]
    """Steps a slider by keys, which act on whole numbers in Qt's own and so on none of hundredths."""

    def __init__(self, slider: QLabeledDoubleSlider) -> None:
        super().__init__(slider)
        self._slider = slider

    def eventFilter(self, _: QObject, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() != QEvent.KeyPress or event.modifiers() & ~Qt.KeypadModifier:
            return False
        slider, ends = self._slider, {Qt.Key_Home: "minimum", Qt.Key_End: "maximum"}
        if event.key() in ends:
            slider.setValue(getattr(slider, ends[event.key()])())
        elif event.key() in _STEPS:
            stepped = round(slider.value() + _STEPS[event.key()], 2)
            slider.setValue(min(max(stepped, slider.minimum()), slider.maximum()))
        else:
            return False
        return True


def offer(box: QComboBox, names: Sequence[str], current: str) -> None:
    """Offer names in a box, one of them chosen; a list that is the same stays."""
    if [box.itemText(n) for n in range(box.count())] != list(names):
        box.clear()
        box.addItems(list(names))
    box.setCurrentText(current)


def set_quietly(widget: QWidget, setter: str, value: object) -> None:
    """Set without the widget telling: it was told."""
    widget.blockSignals(True)
    getattr(widget, setter)(value)
    widget.blockSignals(False)
