"""What Qt's views are told of the classes, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt

from voxcam.plugin.docks.evidence.class_model import (
    COLOUR,
    EVIDENCE,
    NAME,
    SCORE,
    SHOW,
    ClassModel,
    ClassOrder,
    Role,
)
from voxcam.plugin.review.look import ClassRow

ROW = ClassRow("", "0.50", 0.5, 0.5, None, True, False, False, 1.0, "inferno", "up to 1 logit units")


def rows(*given):
    """Rows of (name, score, largest evidence)."""
    return tuple(replace(ROW, name=n, value=v, share=v, score=f"{v:.2f}", largest=e) for n, v, e in given)


@pytest.fixture
def model(qapp):
    model = ClassModel()
    model.show_rows(rows(("liver", 0.9, 2.0), ("Spleen", 0.5, float("nan")), ("aorta", 0.2, 3.0)))
    return model


def shown(order):
    return [order.index(n, NAME).data() for n in range(order.rowCount())]


def changes(model):
    """What the model tells from now on: "reset", or (first row, last row)."""
    told = []
    model.dataChanged.connect(lambda first, last, *_: told.append((first.row(), last.row())))
    model.modelReset.connect(lambda: told.append("reset"))
    return told


def test_cells_say_what_the_row_holds(model):
    assert [model.index(0, column).data() for column in (NAME, EVIDENCE, SCORE)] == [
        "liver",
        "up to 1 logit units",
        "0.90",
    ]
    assert model.index(0, NAME).data(Role.ROW) is model.rows[0]
    assert (model.rowCount(), model.columnCount()) == (3, 5)
    assert model.rowCount(model.index(0, 0)) == 0


def test_only_rows_that_changed_are_told(model):
    told = changes(model)
    model.show_rows(tuple(replace(row) for row in model.rows))
    assert told == []
    first, second, third = model.rows
    model.show_rows((first, second, replace(third, shown=True)))
    assert told == [(2, 2)]
    model.show_rows((replace(first, shown=True), replace(second, colours="sky"), model.rows[2]))
    assert told == [(2, 2), (0, 1)]
    model.show_rows((model.rows[0], second, replace(third, evidence="none")))
    assert told[2:] == [(1, 2)]


def test_other_classes_are_a_new_table(model):
    told = changes(model)
    model.show_rows(rows(("liver", 0.9, 1.0)))
    assert told == ["reset"]
    assert model.rowCount() == 1


def test_a_check_asks_and_changes_nothing(model, qtbot):
    cell = model.index(0, SHOW)
    with qtbot.waitSignal(model.toggled) as asked:
        assert model.setData(cell, Qt.Checked, Qt.CheckStateRole)
    assert asked.args == ["liver", True]
    assert Qt.CheckState(cell.data(Qt.CheckStateRole)) == Qt.Unchecked
    assert not model.setData(model.index(0, NAME), "other", Qt.EditRole)


def test_a_class_without_a_map_has_no_box(model):
    model.show_rows((replace(model.rows[0], explained=False, evidence="not explained"),))
    cell = model.index(0, SHOW)
    assert cell.data(Qt.CheckStateRole) is None
    assert not cell.flags() & Qt.ItemIsUserCheckable
    assert not model.setData(cell, Qt.Checked, Qt.CheckStateRole)
    assert cell.data(Qt.ToolTipRole) == "not explained"


def test_classes_are_sorted_by_score_name_and_evidence_and_those_without_a_map_are_last(model):
    order = ClassOrder(model)
    assert shown(order) == ["liver", "Spleen", "aorta"]
    order.sort(NAME, Qt.AscendingOrder)
    assert shown(order) == ["aorta", "liver", "Spleen"]
    order.sort(EVIDENCE, Qt.DescendingOrder)
    assert shown(order) == ["aorta", "liver", "Spleen"]
    order.sort(SCORE, Qt.AscendingOrder)
    assert shown(order) == ["aorta", "Spleen", "liver"]


def test_evidence_that_is_no_number_does_not_upset_the_order(qapp):
    model, nan = ClassModel(), float("nan")
    given = [("a", nan), ("b", 1.0), ("c", nan), ("d", 3.0), ("e", nan), ("f", 2.0), ("g", 4.0)]
    model.show_rows(rows(*((name, 0.5, largest) for name, largest in given)))
    order = ClassOrder(model)
    order.sort(EVIDENCE, Qt.DescendingOrder)
    assert shown(order) == ["g", "d", "f", "b", "a", "c", "e"]


def test_the_order_follows_new_scores(model):
    order = ClassOrder(model)
    liver, spleen, aorta = model.rows
    model.show_rows((liver, spleen, replace(aorta, value=0.95)))
    assert shown(order) == ["aorta", "liver", "Spleen"]


def test_a_search_keeps_names_that_hold_the_letters(model):
    order = ClassOrder(model)
    order.setFilterFixedString("LE")
    assert shown(order) == ["Spleen"]
    order.setFilterFixedString("(")
    assert shown(order) == []


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (None, "probability 0.9000"),
        (0.9, "probability 0.9000: called, the model calls liver from 0.9 on"),
        (0.91, "probability 0.9000: not called, the model calls liver from 0.91 on"),
    ],
)
def test_a_score_says_whether_it_is_called(model, threshold, words):
    model.show_rows((replace(model.rows[0], threshold=threshold),))
    assert model.index(0, SCORE).data(Qt.ToolTipRole) == words


def test_signed_colours_say_that_they_draw_both(model):
    assert "Only what speaks for it is drawn" in model.index(0, NAME).data(Qt.ToolTipRole)
    model.show_rows((replace(model.rows[0], colours="signed"),))
    assert "Blue speaks against the class, orange for it." in model.index(0, NAME).data(Qt.ToolTipRole)
    assert "signed" in model.index(0, COLOUR).data(Qt.ToolTipRole)


def test_scores_that_are_no_probabilities_are_called_by_their_name(model):
    heads = [model.headerData(n, Qt.Horizontal) for n in range(5)]
    assert heads == ["", "", "Class", "by evidence", "Probability"]
    model.name_scores("value")
    assert model.headerData(SCORE, Qt.Horizontal) == "Value"
    model.show_rows((replace(model.rows[0], share=None, score="63.2 years"),))
    assert model.index(0, SCORE).data(Qt.ToolTipRole) == "63.2 years"
