"""The tree by real Qt events: what it shows, finds and asks for, also of thousands of series."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QGuiApplication, QImage, QKeySequence, QShortcut

from tests.plugin.docks.seen import count_of, heard, index_of, listed, picture_of
from tests.plugin.scanned import GAP, LOST, ODD, PLACE, series, study_of

pytestmark = pytest.mark.gui


def test_enter_opens_the_selected_from_the_top(three, qtbot):
    asked = heard(three.open_asked)
    three.setCurrentIndex(index_of(three, "key3"))
    qtbot.keyClick(three, Qt.Key_Up, Qt.ShiftModifier)
    qtbot.keyClick(three, Qt.Key_Return)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key2", "key3"])]


def test_all_are_selected_by_ctrl_a_and_opened_by_enter(three, qtbot):
    asked = heard(three.open_asked)
    three.setFocus()
    qtbot.keyClick(three, Qt.Key_A, Qt.ControlModifier)
    qtbot.keyClick(three, Qt.Key_Enter)
    assert [one.key for one in asked[0][1]] == ["key1", "key2", "key3"]


def test_a_double_click_opens_one(three, qtbot):
    asked = heard(three.open_asked)
    at = three.visualRect(index_of(three, "key2")).center()
    qtbot.mouseClick(three.viewport(), Qt.LeftButton, pos=at)
    qtbot.mouseDClick(three.viewport(), Qt.LeftButton, pos=at)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key2"])]


def test_enter_on_a_place_folds_it(three, qtbot):
    asked, place = heard(three.open_asked), three.model().index(0, 0)
    three.setCurrentIndex(place)
    qtbot.keyClick(three, Qt.Key_Return)
    assert not three.isExpanded(place)
    qtbot.keyClick(three, Qt.Key_Return)
    assert three.isExpanded(place)
    assert asked == []


def test_series_of_several_places_are_asked_for_one_place_at_a_time(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1)), Path("b"): study_of(series(2))})
    asked = heard(tree.open_asked)
    tree.selectAll()
    qtbot.keyClick(tree, Qt.Key_Return)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key1"])]


def test_what_cannot_be_read_shows_its_findings_instead_and_gaps_open(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, findings=(LOST,)), series(2, findings=(GAP,)), series(3))})
    asked, findings = heard(tree.open_asked), heard(tree.findings_asked)
    tree.setCurrentIndex(index_of(tree, "key1"))
    qtbot.keyClick(tree, Qt.Key_Return)
    assert asked == []
    assert findings[0][0].key == "key1"
    tree.selectAll()
    qtbot.keyClick(tree, Qt.Key_Return)
    assert [one.key for one in asked[0][1]] == ["key2", "key3"]


def test_delete_asks_to_close_what_is_open(three, qtbot):
    asked = heard(three.close_asked)
    three.show_marks({"key1": "shown", "key3": "open"})
    three.selectAll()
    qtbot.keyClick(three, Qt.Key_Delete)
    assert asked == [("key1",), ("key3",)]


def test_the_windows_own_shortcuts_leave_the_tree_its_keys(three, qtbot):
    taken = []
    for key in ("Return", "Del"):
        QShortcut(QKeySequence(key), three).activated.connect(lambda: taken.append(1))
    opened, closed = heard(three.open_asked), heard(three.close_asked)
    three.show_marks({"key1": "shown"})
    qtbot.waitActive(three)
    three.go_to_first()
    qtbot.keyClick(three, Qt.Key_Return)
    qtbot.keyClick(three, Qt.Key_Delete)
    assert (len(opened), len(closed), len(taken)) == (1, 1, 0)


def test_going_to_the_list_chooses_the_first_found(three):
    three.search("pt")
    three.go_to_first()
    assert [row.key for row in three.chosen] == ["key3"]


def test_the_menu_offers_what_fits_the_row(tree):
    tree.show_places({PLACE: study_of(series(1, "MR", "Doe Jane", findings=(ODD,)), series(2))})
    tree.show_marks({"key1": "open"})
    first, second = (tree.menu_at(index_of(tree, key)) for key in ("key1", "key2"))
    place = tree.menu_at(tree.model().index(0, 0))
    offered = [
        {action.text().replace("&", "").partition("\t")[0]: action for action in menu.actions()}
        for menu in (first, second, place)
    ]
    assert list(offered[0]) == ["Open", "Close", "Copy size and spacing", "Show findings"]
    assert [offered[n]["Close"].isEnabled() for n in (0, 1)] == [True, False]
    assert "Show findings" not in offered[1]
    assert list(offered[2]) == ["Forget place"]
    closed, findings, forgotten = (
        heard(tree.close_asked),
        heard(tree.findings_asked),
        heard(tree.forget_asked),
    )
    offered[0]["Close"].trigger()
    offered[0]["Show findings"].trigger()
    offered[2]["Forget place"].trigger()
    offered[0]["Copy size and spacing"].trigger()
    assert closed == [("key1",)]
    assert findings[0][0].key == "key1"
    assert forgotten == [(PLACE,)]
    assert QGuiApplication.clipboard().text() == "MR 512 x 512 x 3 at 0.7 x 0.7 x 1.25 mm"
    assert tree.menu_at(tree.indexAt(QPoint(5, 600))) is None


def test_pictures_are_asked_for_what_is_on_the_screen_and_drawn(three, qtbot):
    with qtbot.waitSignal(three.pictures_wanted, check_params_cb=lambda wanted: len(wanted) == 3):
        three.viewport().update()
    picture = QImage(64, 64, QImage.Format_RGB888)
    picture.fill(QColor(10, 200, 250))
    three.show_picture("key2", picture)
    three.show_picture("key3", None)
    with qtbot.waitSignal(
        three.pictures_wanted, check_params_cb=lambda wanted: [one.key for one in wanted] == ["key1"]
    ):
        three.viewport().update()
    assert count_of(picture_of(three, index_of(three, "key2")), "#0ac8fa") >= 1000
    assert count_of(picture_of(three, index_of(three, "key1")), "#0ac8fa") == 0


def test_two_thousand_series_are_listed_searched_and_drawn_a_screenful_at_a_time(tree, qtbot):
    many = [series(n, ("CT", "MR")[n % 2], f"part p{n}", f"1.{n // 20}") for n in range(2000)]
    tree.show_places({PLACE: study_of(*many)})
    assert sum(len(below) for _, below in listed(tree)[0][1]) == 2000
    assert tree.uniformRowHeights()
    wanted = heard(tree.pictures_wanted)
    drawn = []
    paint = tree.lines.paint
    tree.lines.paint = lambda painter, option, index: (drawn.append(1), paint(painter, option, index))
    tree.scrollToBottom()
    qtbot.waitUntil(lambda: bool(wanted), timeout=5000)
    screenful = tree.viewport().height() // tree.visualRect(tree.model().index(0, 0)).height() + 2
    assert 0 < len(wanted[-1][0]) <= screenful
    assert wanted[-1][0][-1].key == "key1999"
    assert len(drawn) <= 4 * screenful
    tree.search("mr p19")
    found = [row for _, below in listed(tree)[0][1] for row in below]
    assert found == [f"MR part p{n}" for n in range(2000) if n % 2 and str(n).startswith("19")]
    tree.search("")
    tree.selectAll()
    assert len(tree.chosen) == 2000
