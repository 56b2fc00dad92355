"""The panel of the scan, its windows and its planes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QStyleOptionViewItem

from voxcam.core.volume import Axis
from voxcam.core.windows import PRESETS, Window
from voxcam.plugin.docks.scan.scan_panel import ScanPanel
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(qtbot):
    panel = ScanPanel()
    qtbot.addWidget(panel)
    panel.resize(300, 260)
    panel.show()
    return panel


def showing(panel, volume, **more):
    review = Review()
    review.open(replace(volume, **more))
    panel.show_review(review)
    return review


def entry(panel, number):
    """What the open list shows of an entry."""
    option = QStyleOptionViewItem()
    panel.windows.itemDelegate().initStyleOption(option, panel.windows.model().index(number, 0))
    return option.text


def test_the_open_list_names_the_key_of_each_preset(panel, scan):
    showing(panel, scan, windows=(Window(35, 350),))
    assert entry(panel, 0) == "0  W 350 / L 35"
    assert [entry(panel, n) for n in range(1, 4)] == [f"{n}  {PRESETS['CT'][n - 1]}" for n in range(1, 4)]
    assert panel.windows.currentText() == "W 350 / L 35"
    last = entry(panel, panel.windows.count() - 1)
    assert not last[0].isdigit()


def test_dragging_makes_one_entry_not_hundreds(panel, scan):
    showing(panel, scan)
    count = panel.windows.count()
    for level in range(50):
        panel.show_window(Window(level + 0.5, 333))
    assert panel.windows.count() == count + 1
    assert panel.windows.currentText() == "W 333 / L 49.5"
    assert panel.windows.currentData() == Window(49.5, 333)
    assert (panel.fields.width_field.text(), panel.fields.level_field.text()) == ("333", "49.5")
    panel.show_window(PRESETS["CT"][1])
    assert panel.windows.currentText() == str(PRESETS["CT"][1])


def test_windows_are_asked_for_from_the_list_and_from_the_fields(panel, scan, qtbot):
    showing(panel, scan)
    asked = []
    panel.window_asked.connect(asked.append)
    panel.windows.setFocus()
    panel.windows.activated.emit(2)
    panel.fields.level_field.setText("-77")
    qtbot.keyClick(panel.fields.level_field, Qt.Key_Return)
    assert asked == [panel.windows.itemData(2), Window(-77, scan.window.width)]


def test_findings_are_told_in_a_line_and_on_a_click_all(panel, scan, qtbot):
    showing(panel, scan)
    assert not panel.findings.isVisible()
    found = [f"slice {n} is odd" for n in range(20)]
    showing(panel, scan, source={"findings": found})
    head = panel.findings.head
    assert head.text().startswith("20 findings: slice 0 is odd")
    assert "slice 3 is odd" in head.toolTip()
    assert "and 8 more" in head.toolTip()
    assert not panel.findings.body.isVisible()
    qtbot.mouseClick(head, Qt.LeftButton)
    assert panel.findings.body.isVisible()
    assert panel.findings.body.toPlainText().splitlines()[19] == "Slice 19 is odd"
    long = "the table position and the slices' own positions disagree by up to 3 mm on half of the images"
    showing(panel, scan, source={"findings": [long]})
    assert head.text().startswith("1 finding: the table position")
    assert head.fontMetrics().horizontalAdvance(head.text()) < head.width() <= panel.width()
    assert long in head.toolTip()
    assert not panel.findings.body.isVisible()


def test_planes_convention_and_time(panel, scan, qtbot):
    showing(panel, scan)
    planes, sides = [], []
    panel.plane_asked.connect(planes.append)
    panel.convention_asked.connect(sides.append)
    for button in panel.planes:
        qtbot.mouseClick(button, Qt.LeftButton)
    panel.neurological.click()
    assert (planes, sides) == ([0, 1, 2], [True])
    panel.show_convention(False)
    assert sides == [True]  # it was told, it does not ask
    assert not panel.moment.isVisible()
    moments = np.repeat(np.asarray(scan.voxels)[..., None], 3, axis=-1)
    review = showing(panel, scan, voxels=moments, fourth=Axis("echo time", "ms", (4.9, 9.8, 14.7)))
    panel.show_moment(review.volume, 1)
    assert panel.moment.text() == "echo time 9.8 ms (2 of 3)"
    assert panel.cine.over.isVisible()


def test_a_radiograph_has_one_plane_and_nothing_to_play(panel, scan):
    review = showing(panel, scan)
    assert panel.cine.isEnabled()
    flat = scan.cropped((0, 0, 3), (48, 40, 4))
    review.open(flat)
    panel.show_review(review)
    assert not any(button.isEnabled() for button in panel.planes)
    assert not panel.cine.isEnabled()


def test_an_empty_room(panel):
    panel.show_review(Review())
    assert panel.words.text() == "no scan open"
    assert panel.windows.count() == 0
    assert not panel.fields.isEnabled()


def test_it_fits_into_the_dock(panel, scan):
    showing(panel, scan, windows=(Window(123456.5, 123456.75, "a name far longer than the list is wide"),))
    assert panel.minimumSizeHint().width() <= 300


def test_cine_controls_ask(panel, scan, qtbot):
    showing(panel, scan)
    asked = SimpleNamespace(play=[], rate=[], fro=[])
    panel.cine.play_asked.connect(asked.play.append)
    panel.cine.rate_asked.connect(asked.rate.append)
    panel.cine.back_and_forth_asked.connect(asked.fro.append)
    qtbot.mouseClick(panel.cine.play, Qt.LeftButton)
    panel.cine.show_playing(True)
    assert panel.cine.play.text() == "Stop"
    qtbot.mouseClick(panel.cine.play, Qt.LeftButton)
    panel.cine.rate.setValue(25)
    panel.cine.back_and_forth.click()
    assert (asked.play, asked.rate, asked.fro) == ([True, False], [25], [True])
