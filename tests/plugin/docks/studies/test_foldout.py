"""A line that unfolds: gone without words, as high as its lines, never too high."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from voxcam.plugin.docks.studies.foldout import Foldout

pytestmark = pytest.mark.gui


@pytest.fixture
def foldout(qtbot):
    around, foldout = QWidget(), Foldout()
    QVBoxLayout(around).addWidget(foldout)
    qtbot.addWidget(around)
    around.resize(260, 400)
    around.show()
    qtbot.waitExposed(around)
    foldout.around = around  # Python's, or Qt takes both away
    return foldout


def test_without_words_it_is_gone(foldout):
    foldout.show_lines("2 findings", ["One", "Two"])
    assert foldout.isVisible()
    foldout.show_lines("", [])
    assert not foldout.isVisible()


def test_a_press_unfolds_and_another_folds(foldout, qtbot):
    foldout.show_lines("2 findings", ["One", "Two"])
    assert not foldout.body.isVisible()
    qtbot.mouseClick(foldout.head, Qt.LeftButton)
    assert foldout.body.isVisible()
    assert foldout.body.toPlainText() == "One\nTwo"
    assert foldout.head.arrowType() == Qt.DownArrow
    qtbot.keyClick(foldout.head, Qt.Key_Space)
    assert not foldout.body.isVisible()
    assert foldout.head.arrowType() == Qt.RightArrow


def test_it_is_as_high_as_its_lines_up_to_seven(foldout):
    foldout.head.setChecked(True)
    heights = []
    for count in (1, 2, 7, 8, 200):
        foldout.show_lines("findings", ["One"] * count)
        heights.append(foldout.body.height())
    line = foldout.body.fontMetrics().lineSpacing()
    assert [round((height - heights[0]) / line) for height in heights] == [0, 1, 6, 6, 6]


def test_the_same_lines_again_leave_the_reader_where_they_are(foldout):
    foldout.head.setChecked(True)
    lines = [f"line {number}" for number in range(50)]
    foldout.show_lines("50 findings", lines)
    foldout.body.verticalScrollBar().setValue(20)
    foldout.show_lines("50 findings", lines)
    assert foldout.body.verticalScrollBar().value() == 20
