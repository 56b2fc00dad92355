"""Places, studies and series as Qt asks for them, and what a search leaves of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from tests.plugin.docks.seen import index_of, listed
from tests.plugin.scanned import PLACE, series, study_of

pytestmark = pytest.mark.gui


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


def test_a_place_less_leaves_what_is_selected_in_the_next(tree):
    tree.show_places({PLACE: study_of(series(1)), Path("b"): study_of(series(2), series(3))})
    tree.setCurrentIndex(index_of(tree, "key3"))
    tree.show_places({Path("b"): tree.rows.shown[1].study})
    assert listed(tree) == [("b", ["CT", "CT"])]
    assert [row.key for row in tree.chosen] == ["key3"]


def test_a_place_scanned_anew_is_replaced_where_it_was(tree):
    tree.show_places({PLACE: study_of(series(1)), Path("b"): study_of(series(2))})
    tree.show_places({PLACE: study_of(series(3, "MR")), Path("b"): tree.rows.shown[1].study})
    assert listed(tree) == [("scans", ["MR"]), ("b", ["CT"])]


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


def test_who_listens_to_the_screen_hears_the_row_and_whether_it_is_open(three, qtbot):
    three.show_marks({"key2": "shown"})
    qtbot.waitUntil(lambda: bool(index_of(three, "key3").data(Qt.AccessibleTextRole)), timeout=5000)
    qtbot.waitUntil(
        lambda: index_of(three, "key2").data(Qt.AccessibleTextRole).endswith("On the screen"), timeout=5000
    )
    assert index_of(three, "key2").data(Qt.AccessibleTextRole).startswith("MR T2 axial, 512 × 512, 3 images")
    assert "screen" not in index_of(three, "key1").data(Qt.AccessibleTextRole)


def test_qt_finds_no_fault_with_the_rows_nor_with_what_is_found(tree, qtmodeltester):
    first = study_of(series(1), series(2), series(3, study="1.2"), series(4, study="1.2"))
    tree.show_places({PLACE: first, Path("b"): study_of(series(5))})
    for model in (tree.rows, tree.found):
        qtmodeltester.check(model)
    tree.search("ct")
    tree.show_places({Path("c"): study_of(series(6)), PLACE: first})
    for model in (tree.rows, tree.found):
        qtmodeltester.check(model)


def test_of_a_row_that_is_gone_nothing_is_known(three):
    series_before = three.rows.index(1, 0, three.rows.index(0, 0))
    assert series_before.data() == "MR T2 axial"
    three.show_places({})
    assert series_before.data() is None
    assert not three.rows.parent(series_before).isValid()
