"""Parts the docks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from voxcam.plugin.docks.theme import colours, follow

if TYPE_CHECKING:
    from collections.abc import Sequence


def column_of(widget: QWidget, title: str) -> QVBoxLayout:
    """Return a widget's column, under its title."""
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
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


def slider_over(low: float, high: float) -> QLabeledDoubleSlider:
    """Return a slider with a number beside it, in hundredths."""
    slider = QLabeledDoubleSlider(Qt.Horizontal)
    slider.setRange(low, high)
    slider.setSingleStep(0.01)
    slider.setDecimals(2)
    return slider


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
