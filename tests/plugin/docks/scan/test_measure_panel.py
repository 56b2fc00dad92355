"""Tools, and the table of what was measured."""

from __future__ import annotations

import csv
import io

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from voxcam.plugin.docks.scan.measure_panel import MeasurePanel
from voxcam.plugin.review.measures import InRegion, Measured

pytestmark = pytest.mark.gui

LINE = Measured("distance", "axial 11", 154.9, "mm")
REGION = Measured(
    "ellipse",
    "coronal 40",
    78.5,
    "mm²",
    grey=InRegion(100, 45.25, 12.5, -20, 90),
    unit="HU",
    evidence=(("nodule", 1.57, "logit units"), ("effusion", float("nan"), "logit units")),
)


@pytest.fixture
def panel(qtbot):
    panel = MeasurePanel()
    qtbot.addWidget(panel)
    panel.resize(300, 300)
    panel.show()
    return panel


def test_a_tool_is_taken_and_laid_down(panel, qtbot):
    asked = []
    panel.tool_asked.connect(asked.append)
    qtbot.mouseClick(panel.tools["angle"], Qt.LeftButton)
    panel.show_tool("angle")
    assert [kind for kind, button in panel.tools.items() if button.isChecked()] == ["angle"]
    qtbot.mouseClick(panel.tools["angle"], Qt.LeftButton)
    panel.show_tool(None)
    panel.tools["ellipse"].setFocus()
    qtbot.keyClick(panel.tools["ellipse"], Qt.Key_Space)
    assert asked == ["angle", "", "ellipse"]
    panel.show_tool("ellipse")
    assert panel.details.text().startswith("Oval region: drag")
    panel.show_tool(None, available=False)
    assert not panel.details.isVisible()
    assert not any(button.isEnabled() for button in panel.tools.values())


def test_the_numbers_of_each_in_the_order_drawn(panel):
    panel.show_measurements((LINE, REGION), 1)
    table = panel.table
    cells = [[table.item(row, column).text() for column in range(3)] for row in range(2)]
    assert cells[0] == ["1  line", "154.9 mm", "axial 11"]
    words = {button.text().lower() for button in panel.tools.values()}
    assert {cell[0].split()[1] for cell in cells} == {"line", "oval"} <= words
    assert cells[1][1].splitlines() == ["mean 45.2 HU, SD 12.5", "-20 to 90, n = 100", "78.5 mm²"]
    assert {index.row() for index in table.selectedIndexes()} == {1}
    assert panel.details.text() == "mean evidence: nodule 1.57 logit units, effusion not seen"


def test_choosing_asks_and_being_shown_does_not(panel, qtbot):
    chosen, gone_to = [], []
    panel.chosen.connect(chosen.append)
    panel.go_asked.connect(gone_to.append)
    panel.show_measurements((LINE, REGION), None)
    assert chosen == []
    where = panel.table.visualItemRect(panel.table.item(1, 1)).center()
    qtbot.mouseClick(panel.table.viewport(), Qt.LeftButton, pos=where)
    qtbot.mouseDClick(panel.table.viewport(), Qt.LeftButton, pos=where)
    assert (chosen, gone_to) == ([1], [1])


def test_the_chosen_one_is_deleted_and_nothing_without_choice(panel, qtbot):
    asked = []
    panel.delete_asked.connect(asked.append)
    panel.show_measurements((LINE, REGION), None)
    assert not panel.delete.isEnabled()
    panel.show_measurements((LINE, REGION), 1)
    qtbot.mouseClick(panel.delete, Qt.LeftButton)
    qtbot.mouseClick(panel.delete_all, Qt.LeftButton)
    assert asked == [[1], [0, 1]]


def test_keys_of_the_table(panel, qtbot):
    deleted, gone_to, tools = [], [], []
    panel.delete_asked.connect(deleted.append)
    panel.go_asked.connect(gone_to.append)
    panel.tool_asked.connect(tools.append)
    panel.show_measurements((LINE, REGION), 0)
    panel.activateWindow()
    panel.table.setFocus()
    qtbot.waitUntil(panel.table.hasFocus, timeout=3_000)
    for key in (Qt.Key_Delete, Qt.Key_Return, Qt.Key_Escape):
        qtbot.keyClick(panel.table, key)
    assert (deleted, gone_to, tools) == ([[0]], [0], [""])


def test_all_numbers_go_to_the_clipboard(panel, qtbot):
    panel.show_measurements((LINE, REGION), None)
    qtbot.mouseClick(panel.copy, Qt.LeftButton)
    rows = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text())))
    assert [(row["kind"], float(row["size"])) for row in rows] == [("distance", 154.9), ("ellipse", 78.5)]
    assert rows[1]["mean evidence nodule"] == "1.57"
    assert rows[1]["mean evidence effusion"] == ""


def test_with_nothing_measured_there_is_no_empty_table(panel):
    panel.show_measurements((), None)
    assert not panel.table.isVisible()
    assert not panel.copy.isVisible()


def test_it_fits_into_the_dock(panel):
    panel.show_measurements((LINE, REGION), 1)
    assert panel.minimumSizeHint().width() <= 300
