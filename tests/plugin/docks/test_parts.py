"""Parts the docks are made of, by real keys."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QPushButton, QVBoxLayout, QWidget

from voxcam.plugin.docks.parts import slider_over

pytestmark = pytest.mark.gui


def test_a_slider_is_moved_by_the_keys_of_the_keyboard_and_left_by_tab(qtbot):
    dock, slider, before, after = QWidget(), slider_over(0, 1), QPushButton(), QPushButton()
    qtbot.addWidget(dock)
    column = QVBoxLayout(dock)
    for widget in (before, slider, after):
        column.addWidget(widget)
    dock.show()
    dock.activateWindow()
    qtbot.waitActive(dock)
    slider.setValue(0.5)
    told = []
    slider.valueChanged.connect(told.append)
    before.setFocus()
    qtbot.waitUntil(before.hasFocus)

    def press(key):
        qtbot.keyClick(QApplication.focusWidget(), key)

    press(Qt.Key_Tab)
    for key, value in (
        (Qt.Key_Right, 0.51),
        (Qt.Key_Up, 0.52),
        (Qt.Key_Left, 0.51),
        (Qt.Key_Down, 0.5),
        (Qt.Key_PageUp, 0.6),
        (Qt.Key_PageDown, 0.5),
        (Qt.Key_Home, 0),
        (Qt.Key_End, 1),
    ):
        press(key)
        assert slider.value() == pytest.approx(value)
        assert told[-1] == pytest.approx(value)
    press(Qt.Key_Tab)
    if QApplication.focusWidget() is not after:  # by the number beside it
        press(Qt.Key_Tab)
    assert after.hasFocus()
    slider.setFocus()
    press(Qt.Key_Left)
    assert slider.value() == pytest.approx(0.99)
