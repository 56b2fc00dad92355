"""Width and level, typed by real keys."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from voxcam.core.windows import Window
from voxcam.plugin.docks.scan.window_fields import WindowFields

pytestmark = pytest.mark.gui


@pytest.fixture
def fields(qtbot):
    fields, asked = WindowFields(), []
    qtbot.addWidget(fields)
    fields.window_asked.connect(asked.append)
    fields.show()
    fields.show_window(Window(40, 400), "HU")
    return fields, asked


def typed(qtbot, field, text, key=Qt.Key_Return):
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, key)


def test_enter_takes_negative_numbers_and_those_beyond_the_voxels(fields, qtbot):
    panel, asked = fields
    typed(qtbot, panel.level_field, "-32000")
    assert asked == [Window(-32000, 400)]
    panel.show_window(asked[-1], "HU")
    typed(qtbot, panel.width_field, "90000.5")
    assert asked[-1] == Window(-32000, 90000.5)


@pytest.mark.parametrize("text", ["2.75", "2,75"])
def test_fractions_with_a_point_or_a_comma(fields, qtbot, text):
    panel, asked = fields
    panel.show_window(Window(3.5, 7), "SUV")
    typed(qtbot, panel.level_field, text)
    assert asked == [Window(2.75, 7)]
    assert panel.unit.text() == "SUV"


@pytest.mark.parametrize(
    ("text", "words"),
    [("0", "over 0"), ("-5", "over 0"), ("wide", "no number"), ("", "missing"), ("1000001", "1,000,000")],
)
def test_what_is_no_window_is_refused_in_words_and_stays_to_be_mended(fields, qtbot, text, words):
    panel, asked = fields
    if text:
        typed(qtbot, panel.width_field, text)
    else:
        panel.width_field.clear()
        qtbot.keyClick(panel.width_field, Qt.Key_Return)
    assert asked == []
    assert words in panel.refusal.text()
    assert panel.refusal.isVisible()
    assert panel.width_field.text() == text
    qtbot.keyClick(panel.width_field, Qt.Key_Escape)
    assert (panel.width_field.text(), panel.refusal.isVisible()) == ("400", False)


def test_arrows_step_as_the_unit_needs(fields, qtbot):
    panel, asked = fields
    qtbot.keyClick(panel.level_field, Qt.Key_Up)
    assert asked[-1].centre == 41
    panel.show_window(Window(3.5, 7), "SUV")
    qtbot.keyClick(panel.level_field, Qt.Key_Down)
    assert asked[-1].centre == pytest.approx(3.49)
    qtbot.keyClick(panel.width_field, Qt.Key_PageUp)
    assert asked[-1].width == pytest.approx(7.1)


def test_a_window_dragged_meanwhile_does_not_take_away_what_is_being_typed(fields, qtbot):
    panel, asked = fields
    panel.activateWindow()
    panel.level_field.setFocus()
    qtbot.waitUntil(panel.level_field.hasFocus, timeout=3_000)
    panel.level_field.selectAll()
    qtbot.keyClicks(panel.level_field, "12")
    panel.show_window(Window(60, 500), "HU")
    assert (panel.level_field.text(), panel.width_field.text()) == ("12", "500")
    qtbot.keyClick(panel.level_field, Qt.Key_Return)
    assert asked == [Window(12, 500)]


def test_without_a_study_there_is_nothing_to_type(fields):
    panel, _ = fields
    panel.show_window(None)
    assert not panel.isEnabled()
    assert panel.width_field.text() == ""


def test_what_was_refused_is_not_left_behind_in_the_field(fields, qtbot):
    panel, asked = fields
    panel.activateWindow()
    for text, key in (("wide", Qt.Key_Return), ("wider", Qt.Key_Tab), ("2000000", Qt.Key_Return)):
        panel.width_field.setFocus()
        qtbot.waitUntil(panel.width_field.hasFocus, timeout=3_000)
        typed(qtbot, panel.width_field, text, key)
        panel.level_field.setFocus()
        qtbot.waitUntil(panel.level_field.hasFocus, timeout=3_000)
        assert (panel.width_field.text(), panel.refusal.isVisible()) == ("400", False)
    typed(qtbot, panel.width_field, "350", Qt.Key_Tab)  # a number may wait for the other one
    assert panel.width_field.text() == "350"
    assert asked == []


def test_a_scan_that_is_shown_wider_may_be(fields, qtbot):
    panel, asked = fields
    panel.show_window(Window(0, 3e6), "Bq/ml")
    typed(qtbot, panel.width_field, "2000000")
    assert asked == [Window(0, 2e6)]
