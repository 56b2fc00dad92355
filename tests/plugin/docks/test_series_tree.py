"""The tree by real Qt events: what it lists, draws, finds and asks for, also of thousands of series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QImage,
    QKeySequence,
    QPainter,
    QShortcut,
)
from qtpy.QtWidgets import QApplication, QStyleOptionViewItem, QToolTip

from voxcam.io import Finding, Series, Study
from voxcam.plugin.docks.series_tree import ROW, SeriesTree
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.review.catalogue import SeriesRow

pytestmark = pytest.mark.gui

PLACE = Path("here") / "scans"
ODD = Finding("overlap", "slices <b>overlap</b>")
GAP = Finding("missing-slices", "2 slices are missing", 2, stops=True)
LOST = Finding("incomplete", "a file is damaged", 1, stops=True)


def series(number, modality="CT", description="", study="1.1", **changes):
    header = SimpleNamespace(study_uid=study, patient="p")
    made = Series(
        f"1.2.{number}", f"key{number}", modality, description, (512, 512, 3), (0.7, 0.7, 1.25), (), "dicom"
    )
    return replace(made, headers=(header,) * 3, **changes)


def study_of(*found):
    return Study(tuple(found), (), len(found), len(found), 0, 0)


@pytest.fixture
def tree(qtbot):
    tree = SeriesTree()
    qtbot.addWidget(tree)
    tree.resize(260, 640)
    tree.show()
    qtbot.waitExposed(tree)
    return tree


@pytest.fixture
def three(tree):
    """A tree of one place with CT, MR and PT of one study."""
    tree.show_places({PLACE: study_of(series(1, "CT"), series(2, "MR", "T2 axial"), series(3, "PT"))})
    return tree


def listed(tree, parent=None):
    """What is in the tree, as nested lists of titles."""
    model = tree.model()
    parent = model.index(-1, -1) if parent is None else parent
    rows = [model.index(number, 0, parent) for number in range(model.rowCount(parent))]
    return [(row.data(), listed(tree, row)) if model.rowCount(row) else row.data() for row in rows]


def index_of(tree, key):
    seen = list(tree._from(tree.model().index(0, 0)))
    return next(i for i in seen if isinstance(i.data(ROW), SeriesRow) and i.data(ROW).key == key)


def picture_of(tree, index):
    """The pixels of a row as drawn: (rows, columns, 3)."""
    return pixels_of(tree.viewport().grab(tree.visualRect(index)).toImage())


def pixels_of(image):
    image = image.convertToFormat(QImage.Format_RGB888)
    bits = image.constBits()
    if not isinstance(bits, memoryview):  # PyQt
        bits = bits.asarray(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    return rows.reshape(image.height(), image.width(), 3).astype(int)


def shows(pixels, colour, least=20):
    rgb = np.array(QColor(colour).getRgb()[:3])
    return int((np.abs(pixels - rgb).max(-1) <= 3).sum()) >= least


def ink_of(tree, key):
    """How much ink the title of a row takes, on the theme's ground."""
    ground, text = (
        np.array(QColor(getattr(colours(), name)).getRgb()[:3]) for name in ("background", "text")
    )
    image = QImage(300, 60, QImage.Format_RGB888)
    image.fill(QColor(*ground.tolist()))
    option = QStyleOptionViewItem()
    option.rect = image.rect()
    painter = QPainter(image)
    tree.lines.paint(painter, option, index_of(tree, key))
    painter.end()
    title = pixels_of(image)[:22, 70:]
    return (np.abs(title - ground).sum(-1) / np.abs(text - ground).sum()).sum()


def press(qtbot, tree, key, modifier=Qt.NoModifier):
    qtbot.keyClick(tree, key, modifier)


def heard(signal):
    said = []
    signal.connect(lambda *what: said.append(what))
    return said


def test_places_hold_studies_and_studies_series(tree):
    tree.show_places(
        {
            PLACE: study_of(series(1), series(2, "MR", "T2"), series(3, study="1.2"), series(4, study="1.2")),
            Path("single"): study_of(series(5, "CR"), series(6, "CT")),
        }
    )
    assert listed(tree) == [
        ("scans", [("Study 1", ["CT", "MR T2"]), ("Study 2", ["CT", "CT"])]),
        ("single", ["CR", "CT"]),
    ]


def test_a_place_more_leaves_selection_and_folding_as_they_were(three):
    three.setCurrentIndex(index_of(three, "key2"))
    known = {PLACE: three.rows.shown[0].study}
    three.show_places({**known, Path("more"): study_of(series(7))})
    assert [row.key for row in three.chosen] == ["key2"]
    three.collapse(three.model().index(0, 0))
    three.show_places({**known, Path("more"): study_of(series(7)), Path("third"): study_of(series(8))})
    assert not three.isExpanded(three.model().index(0, 0))
    assert three.isExpanded(three.model().index(2, 0))
    three.show_places({Path("third"): study_of(series(8))})
    assert listed(three) == [("third", ["CT"])]
    three.show_places({})
    assert listed(three) == []


def test_a_place_scanned_anew_is_replaced_where_it_was(tree):
    tree.show_places({PLACE: study_of(series(1)), Path("b"): study_of(series(2))})
    tree.show_places({PLACE: study_of(series(3, "MR")), Path("b"): tree.rows.shown[1].study})
    assert listed(tree) == [("scans", ["MR"]), ("b", ["CT"])]


def test_enter_opens_the_selected_from_the_top(three, qtbot):
    asked = heard(three.open_asked)
    three.setCurrentIndex(index_of(three, "key3"))
    press(qtbot, three, Qt.Key_Up, Qt.ShiftModifier)
    press(qtbot, three, Qt.Key_Return)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key2", "key3"])]


def test_all_are_selected_by_ctrl_a_and_opened_by_enter(three, qtbot):
    asked = heard(three.open_asked)
    three.setFocus()
    press(qtbot, three, Qt.Key_A, Qt.ControlModifier)
    press(qtbot, three, Qt.Key_Enter)
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
    press(qtbot, three, Qt.Key_Return)
    assert not three.isExpanded(place)
    press(qtbot, three, Qt.Key_Return)
    assert three.isExpanded(place)
    assert asked == []


def test_series_of_several_places_are_asked_for_one_place_at_a_time(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1)), Path("b"): study_of(series(2))})
    asked = heard(tree.open_asked)
    tree.selectAll()
    press(qtbot, tree, Qt.Key_Return)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key1"])]


def test_what_cannot_be_read_shows_its_findings_instead_and_gaps_open(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, findings=(LOST,)), series(2, findings=(GAP,)), series(3))})
    asked, findings = heard(tree.open_asked), heard(tree.findings_asked)
    tree.setCurrentIndex(index_of(tree, "key1"))
    press(qtbot, tree, Qt.Key_Return)
    assert asked == []
    assert findings[0][0].key == "key1"
    tree.selectAll()
    press(qtbot, tree, Qt.Key_Return)
    assert [one.key for one in asked[0][1]] == ["key2", "key3"]


def test_delete_asks_to_close_what_is_open(three, qtbot):
    asked = heard(three.close_asked)
    three.show_marks({"key1": "shown", "key3": "open"})
    three.selectAll()
    press(qtbot, three, Qt.Key_Delete)
    assert asked == [("key1",), ("key3",)]


def test_the_windows_own_shortcuts_leave_the_tree_its_keys(three, qtbot):
    taken = []
    for key in ("Return", "Del"):
        QShortcut(QKeySequence(key), three).activated.connect(lambda: taken.append(1))
    opened, closed = heard(three.open_asked), heard(three.close_asked)
    three.show_marks({"key1": "shown"})
    qtbot.waitActive(three)
    three.go_to_first()
    press(qtbot, three, Qt.Key_Return)
    press(qtbot, three, Qt.Key_Delete)
    assert (len(opened), len(closed), len(taken)) == (1, 1, 0)


def test_a_search_lists_what_has_every_word_and_unfolds_it(three):
    three.collapseAll()
    three.search("mr ax")
    assert listed(three) == [("scans", ["MR T2 axial"])]
    assert three.isExpanded(three.model().index(0, 0))
    three.search("no such")
    assert listed(three) == []
    three.search("")
    assert listed(three) == [("scans", ["CT", "MR T2 axial", "PT"])]
    # What was folded by hand is folded again.
    assert not three.isExpanded(three.model().index(0, 0))


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


def test_badges_say_by_colour_whether_a_series_is_stopped(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, findings=(ODD,)), series(2, findings=(GAP,)), series(3))})
    qtbot.wait(20)
    drawn = {key: picture_of(tree, index_of(tree, key)) for key in ("key1", "key2", "key3")}
    warns = {key: shows(pixels, colours().warning) for key, pixels in drawn.items()}
    stops = {key: shows(pixels, colours().error) for key, pixels in drawn.items()}
    assert warns == {"key1": True, "key2": False, "key3": False}
    assert stops == {"key1": False, "key2": True, "key3": False}


def test_what_is_open_has_a_ring_and_what_is_on_the_screen_a_disc(three, qtbot):
    three.show_marks({"key1": "shown", "key2": "open"})
    qtbot.wait(20)
    good = np.array(QColor(colours().good).getRgb()[:3])
    drawn = [picture_of(three, index_of(three, f"key{n}")) for n in (1, 2, 3)]
    disc, ring, nothing = (int((np.abs(pixels - good).max(-1) <= 3).sum()) for pixels in drawn)
    assert disc > ring > nothing == 0


def test_the_one_on_the_screen_is_in_bold(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, "CT", "Thorax"), series(2, "CT", "Thorax"))})
    tree.show_marks({"key1": "shown", "key2": "open"})
    qtbot.wait(20)
    assert ink_of(tree, "key1") > 1.15 * ink_of(tree, "key2")


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
    assert shows(picture_of(three, index_of(three, "key2")), "#0ac8fa", 1000)
    assert not shows(picture_of(three, index_of(three, "key1")), "#0ac8fa", 1)


def test_the_tooltip_tells_all_a_line_each_and_takes_no_markup(tree, qtbot, monkeypatch):
    tree.show_places({PLACE: study_of(series(1, "CT", "Thorax", findings=(ODD, GAP)), series(2))})
    told = []
    monkeypatch.setattr(QToolTip, "showText", lambda at, text, *more: told.append(text))
    at = tree.visualRect(index_of(tree, "key1")).center()
    QApplication.sendEvent(tree.viewport(), QHelpEvent(QEvent.ToolTip, at, tree.viewport().mapToGlobal(at)))
    lines = told[0].partition(">")[2].removesuffix("</p>").split("<br>")
    assert lines == [
        "CT Thorax",
        "3 images",
        "512 × 512 × 3",
        "0.7 × 0.7 × 1.25 mm",
        "2 slices are missing",
        "Slices &lt;b&gt;overlap&lt;/b&gt;",
    ]


def test_who_listens_to_the_screen_hears_the_row_and_whether_it_is_open(three, qtbot):
    three.show_marks({"key2": "shown"})
    qtbot.waitUntil(lambda: bool(index_of(three, "key3").data(Qt.AccessibleTextRole)), timeout=5000)
    qtbot.waitUntil(
        lambda: index_of(three, "key2").data(Qt.AccessibleTextRole).endswith("On the screen"), timeout=5000
    )
    assert index_of(three, "key2").data(Qt.AccessibleTextRole).startswith("MR T2 axial, 512 × 512, 3 images")
    assert "screen" not in index_of(three, "key1").data(Qt.AccessibleTextRole)


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
