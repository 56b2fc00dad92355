"""The table of classes, by real clicks and keys, and by the pixels it paints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from voxcam.export.style import COLOURS, colour_table
from voxcam.plugin.docks.evidence.class_model import COLOUR, EVIDENCE, NAME, SCORE
from voxcam.plugin.docks.evidence.class_table import ClassTable
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.review.look import ClassRow

pytestmark = pytest.mark.gui
ROW = ClassRow("", "0.50", 0.5, 0.5, None, True, False, False, 1.0, "inferno", "up to 1 logit units")


def row(name, value, **other):
    return replace(ROW, **{"name": name, "value": value, "share": value, "score": f"{value:.2f}"} | other)


def pixels(widget):
    """What a widget paints, (rows, columns, 3)."""
    image = widget.grab().toImage()
    seen = [[image.pixelColor(x, y) for x in range(image.width())] for y in range(image.height())]
    return np.array([[(c.red(), c.green(), c.blue()) for c in line] for line in seen])


def rgb(colour):
    return np.array(QColor(colour).getRgb()[:3])


@pytest.fixture
def table(qtbot):
    table = ClassTable()
    qtbot.addWidget(table)
    table.resize(302, 260)
    table.show_rows(
        [
            row("liver", 0.9, shown=True),
            row("spleen", 0.5, largest=3.0),
            row("aorta", 0.2, largest=2.0, explained=False, evidence="not explained"),
        ]
    )
    with qtbot.waitExposed(table):
        table.show()
    table.view.setFocus()
    return table


@pytest.fixture
def many(table):
    table.show_rows([row(f"class {n:03d}", 1 - n / 1000, largest=float(n)) for n in range(1000)])
    return table


def click(qtbot, table, rect, button=Qt.LeftButton):
    qtbot.mouseClick(table.view.viewport(), button, pos=rect.center())


def test_a_click_on_the_box_asks_for_the_evidence(table, qtbot):
    for name, asked in (("spleen", ["spleen", True]), ("liver", ["liver", False])):
        with qtbot.waitSignal(table.toggled) as told:
            click(qtbot, table, table.check_rect(name))
        assert told.args == asked
    with qtbot.assertNotEmitted(table.toggled):
        click(qtbot, table, table.check_rect("aorta"))


def test_arrows_choose_and_space_asks_for_the_evidence(table, qtbot):
    assert table.chosen_class == "liver"
    with qtbot.waitSignal(table.chosen) as told:
        qtbot.keyClick(table.view, Qt.Key_Down)
    assert told.args == ["spleen"]
    with qtbot.waitSignal(table.toggled) as told:
        qtbot.keyClick(table.view, Qt.Key_Space)
    assert told.args == ["spleen", True]
    qtbot.keyClick(table.view, Qt.Key_Down)
    with qtbot.assertNotEmitted(table.toggled):
        qtbot.keyClick(table.view, Qt.Key_Space)


def test_a_class_without_a_map_has_no_palette(table, qtbot):
    table.choose("aorta")
    qtbot.keyClick(table.view, Qt.Key_Return)
    click(qtbot, table, table.cell_rect("aorta", COLOUR))
    assert table.menu is None


def test_the_menu_key_is_about_the_chosen_class_and_the_mouse_about_the_one_below_it(table):
    from qtpy.QtGui import QContextMenuEvent
    from qtpy.QtWidgets import QApplication

    table.choose("spleen")
    at = table.cell_rect("liver", NAME).center()
    for reason, first in (
        (QContextMenuEvent.Keyboard, "Only spleen"),
        (QContextMenuEvent.Mouse, "Only liver"),
    ):
        event = QContextMenuEvent(reason, at, table.view.viewport().mapToGlobal(at))
        QApplication.sendEvent(table.view.viewport(), event)
        assert table.menu.actions()[0].text() == first
        table.menu.close()


def test_rows_grow_with_the_font(table):
    before = table.check_rect("spleen").height()
    font = table.font()
    font.setPointSizeF(2 * font.pointSizeF())
    table.view.setFont(font)
    assert table.check_rect("spleen").height() > 1.5 * before


def test_letters_find_a_name_whichever_cell_was_clicked(table, qtbot):
    click(qtbot, table, table.cell_rect("liver", SCORE))
    qtbot.keyClick(table.view, "s")
    assert table.chosen_class == "spleen"


def test_showing_rows_again_keeps_the_choice_and_tells_nothing(table, qtbot):
    table.choose("spleen")
    with qtbot.assertNotEmitted(table.chosen):
        table.show_rows([row("kidney", 0.95), row("spleen", 0.5)])
        assert table.chosen_class == "spleen"
        table.show_rows([row("kidney", 0.95)])
    assert table.chosen_class == "kidney"
    table.show_rows([])
    assert table.chosen_class is None


@pytest.mark.parametrize("by_key", [True, False])
def test_the_palette_offers_every_colour_and_jet_last(table, qtbot, by_key):
    table.choose("spleen")
    if by_key:
        qtbot.keyClick(table.view, Qt.Key_Return)
    else:
        click(qtbot, table, table.cell_rect("spleen", COLOUR))
    offered = [action.text().split(":")[0] for action in table.menu.actions()]
    assert offered[-1] == "jet (not perceptual)"
    assert [text.removesuffix(" (not perceptual)") for text in sorted(offered)] == sorted(COLOURS)
    with qtbot.waitSignal(table.coloured) as told:
        table.menu.actions()[offered.index("viridis")].trigger()
    assert told.args == ["spleen", "viridis"]
    table.menu.close()


def test_swatches_in_the_palette_run_from_the_low_to_the_high_colour(table):
    table.open_palette("liver")
    icon = next(action.icon() for action in table.menu.actions() if action.text() == "viridis")
    image = icon.pixmap(40, 14).toImage()
    for x, end in ((0, 0), (image.width() - 1, -1)):
        found = np.array(image.pixelColor(x, image.height() // 2).getRgb()[:3])
        assert np.abs(found - 255 * colour_table("viridis")[end, :3]).max() < 12
    table.menu.close()


def test_headers_sort_and_sort_the_other_way_round(table, qtbot):
    header = table.view.horizontalHeader()

    def press(column):
        x = header.sectionViewportPosition(column) + 12
        qtbot.mouseClick(header.viewport(), Qt.LeftButton, pos=QPoint(x, header.height() // 2))
        return table.names()

    assert table.names() == ("liver", "spleen", "aorta")
    assert press(NAME) == ("aorta", "liver", "spleen")
    assert press(NAME) == ("spleen", "liver", "aorta")
    assert press(EVIDENCE) == ("spleen", "aorta", "liver")
    assert press(SCORE) == ("liver", "spleen", "aorta")
    assert press(SCORE) == ("aorta", "spleen", "liver")
    assert table.chosen_class == "liver"
    assert table.row_of("liver") == 2


def test_top_three_none_and_only_one_are_asked_for(table, qtbot):
    table.show_rows([row(name, 0.1 * n, explained=name != "e") for n, name in enumerate("abcde")])
    table.open_menu("b", QPoint(5, 5))
    actions = {action.text(): action for action in table.menu.actions()}
    for words, names in (("Show the top 3", ("d", "c", "b")), ("Show none", ()), ("Only b", ("b",))):
        with qtbot.waitSignal(table.shown_asked) as told:
            actions[words].trigger()
        assert told.args == [names]
    table.menu.close()


def test_a_thousand_classes_are_searched(many, qtbot):
    assert many.sought.isVisible()
    assert len(many.names()) == 1000
    told = []
    many.chosen.connect(told.append)
    qtbot.keyClicks(many.sought, "77")
    assert many.names() == tuple(f"class {n:03d}" for n in range(1000) if "77" in f"{n:03d}")
    assert told == ["class 007", "class 077"]  # the first that holds what was typed so far
    many.sought.clear()
    assert len(many.names()) == 1000
    assert many.chosen_class == "class 077"


def test_few_classes_are_not_searched_and_a_search_does_not_outlive_them(many):
    many.sought.setText("99")
    many.show_rows([row("liver", 0.9), row("spleen", 0.5)])
    assert not many.sought.isVisible()
    assert many.names() == ("liver", "spleen")


def test_of_a_thousand_classes_only_those_on_the_screen_are_painted(many, qtbot, monkeypatch):
    cells = many.view.itemDelegate()
    painted = []
    check = cells._paint_check
    monkeypatch.setitem(
        cells._painters, 0, lambda painter, cell: (painted.append(cell), check(painter, cell))
    )
    rows = list(many.model.rows)
    many.show_rows([*rows[:1], replace(rows[1], shown=True), *rows[2:]])
    many.view.viewport().repaint()
    assert 0 < len(painted) < 12


def test_control_f_goes_to_the_search(many, qtbot):
    many.activateWindow()
    many.view.setFocus()
    qtbot.keyClick(many.view, Qt.Key_F, Qt.ControlModifier)
    qtbot.waitUntil(many.sought.hasFocus, timeout=2000)


def test_the_bar_is_as_long_as_the_probability_and_the_tick_is_at_the_threshold(table):
    table.show_rows([row("liver", 0.25, threshold=0.75), row("spleen", 0.5, threshold=0.5)])
    table.choose("spleen")  # the bars of the other row lie on the plain ground
    table.view.setStyleSheet(f"background: {colours().background}")  # as in the dock
    box, theme = table.cell_rect("liver", SCORE), colours()
    line = pixels(table.view.viewport())[:, box.left() + 5 : box.right() - 4][
        box.top() + box.height() * 3 // 4 - 1
    ]
    near = {name: np.abs(line - rgb(getattr(theme, name))).max(axis=1) < 40 for name in ("quiet", "text")}
    assert near["quiet"][: len(line) // 4 - 2].all()  # below its threshold: quiet
    at = np.flatnonzero(near["text"])
    assert at.mean() / len(line) == pytest.approx(0.75, abs=0.02)
    filled = np.flatnonzero(near["quiet"] & (np.arange(len(line)) < len(line) / 2))
    assert filled.max() / len(line) == pytest.approx(0.25, abs=0.03)


def test_a_called_class_has_its_bar_in_the_accent_colour(table):
    table.show_rows([row("liver", 0.8, threshold=0.75), row("spleen", 0.5)])
    table.choose("spleen")
    box = table.cell_rect("liver", SCORE)
    line = pixels(table.view.viewport())[
        box.top() + box.height() * 3 // 4 - 1, box.left() + 8 : box.left() + 40
    ]
    assert np.abs(line - rgb(colours().accent)).max() < 10


def test_a_class_that_is_off_has_faint_colours(table):
    def strength(name):
        box = table.cell_rect(name, COLOUR)
        seen = pixels(table.view.viewport())[box.center().y(), box.left() + 4 : box.right() - 4]
        return (seen.max(axis=1) - seen.min(axis=1)).mean()

    table.show_rows([row("on", 0.9, shown=True), row("off", 0.5), row("chosen", 0.1)])
    table.choose("chosen")
    assert strength("on") > 2 * strength("off")


def test_scores_that_are_values_have_no_bar(table):
    table.show_rows([row("age", 63.2, share=None, score="63.2 years"), row("b", 0.1)], noun="value")
    table.choose("b")
    box = table.cell_rect("age", SCORE)
    seen = pixels(table.view.viewport())[box.top() + box.height() // 2 + 4 : box.bottom() - 2, box.left() + 8]
    assert np.ptp(seen, axis=0).max() == 0


def test_the_track_of_a_bar_is_an_outline_so_that_an_empty_bar_looks_empty(table):
    table.show_rows([row("liver", 0.001), row("spleen", 0.999)])
    table.choose("spleen")
    box, shown = table.cell_rect("liver", SCORE), pixels(table.view.viewport())
    cell = shown[box.top() : box.bottom(), box.left() + 5 : box.right() - 4]
    middle = cell[:, cell.shape[1] // 2]
    ground, lower = middle[2], middle[len(middle) // 2 :]
    drawn = np.flatnonzero(np.abs(lower - ground).max(axis=1) > 12)
    assert drawn.size >= 2  # above and below
    inside = lower[drawn[0] : drawn[-1] + 1]
    assert np.abs(inside - ground).max(axis=1).min() < 12
