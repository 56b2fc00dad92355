"""The controls of the evidence: what they ask by clicks and keys, and what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.qt import get_stylesheet
from phantoms import explanation_of
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QCheckBox, QVBoxLayout, QWidget

from voxcam.model.statement import Statement
from voxcam.plugin.docks.evidence.evidence_panel import EvidencePanel
from voxcam.plugin.review.look import Own
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui
DOCK_WIDTH = 318


@pytest.fixture
def review(scan, explained):
    review = Review()
    review.open(scan)
    review.adopt(explained)
    return review


@pytest.fixture
def panel(qtbot, review):
    """The panel as the room joins it, in a dock of the narrowest width."""
    panel, dock = EvidencePanel(), QWidget()
    column = QVBoxLayout(dock)
    column.setContentsMargins(8, 4, 8, 6)
    column.addWidget(panel)
    dock.setStyleSheet(get_stylesheet("dark"))
    qtbot.addWidget(dock)
    panel.dock = dock
    panel.adjusted.connect(
        lambda name, threshold, opacity: review.adjust(name, threshold=threshold, opacity=opacity)
    )
    panel.alike_asked.connect(review.adjust_alike)
    panel.drawn_asked.connect(lambda drawn: review.set_look(drawn=drawn))
    panel.shared_asked.connect(lambda on: review.set_look(shared_range=on))
    panel.layered_asked.connect(lambda on: review.set_look(layered=on))
    panel.hide_asked.connect(lambda on: review.set_look(hidden=on))
    panel.table.toggled.connect(review.show_class)
    review.look_changed.connect(lambda: panel.show_review(review))
    review.explanation_changed.connect(lambda: panel.show_review(review))
    panel.show_review(review)
    dock.resize(DOCK_WIDTH, 480)
    with qtbot.waitExposed(dock):
        dock.show()
    return panel


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.LeftButton, pos=QPoint(8, button.height() // 2))


def test_sliders_act_on_all_classes(panel, review):
    panel.threshold.setValue(0.4)
    panel.opacity.setValue(0.25)
    assert review.look.of("nodule") == review.look.of("effusion") == Own(0.4, 0.25)
    assert review.look.own == {}


def test_with_only_this_class_they_act_on_the_chosen_one(panel, review, qtbot):
    panel.threshold.setValue(0.1)
    panel.table.choose("effusion")
    assert panel.only.text() == "only effusion"
    press(qtbot, panel.only)
    assert review.look.own == {"effusion": Own(0.1, 0.8)}
    panel.threshold.setValue(0.5)
    assert review.look.of("effusion").threshold == 0.5
    assert review.look.of("nodule").threshold == 0.1
    panel.table.choose("nodule")
    assert not panel.only.isChecked()
    assert panel.threshold.value() == pytest.approx(0.1)
    panel.opacity.setValue(0.3)
    assert review.look.of("effusion") == Own(0.5, 0.8)
    panel.table.choose("effusion")
    assert panel.only.isChecked()
    assert panel.threshold.value() == pytest.approx(0.5)


def test_without_it_the_class_has_all_classes_values_again(panel, review, qtbot):
    press(qtbot, panel.only)
    panel.threshold.setValue(0.5)
    press(qtbot, panel.only)
    assert review.look.own == {}
    assert panel.threshold.value() == pytest.approx(0.0)


def test_a_long_name_leaves_the_sliders_their_room(panel, review, scan):
    width = panel.threshold.width()
    name = "nodule of the posterior basal segment & its surroundings"
    review.adopt(explanation_of(scan, {name: (0.9, np.ones(scan.shape))}))
    assert panel.only.text() == "this class only"
    assert panel.only.toolTip().startswith(name)
    assert panel.threshold.width() == width


def test_the_ways_of_drawing_are_asked_for_and_shown(panel, review, qtbot):
    buttons = {button.text(): button for button in panel.drawn.buttons()}
    assert list(buttons) == ["Smooth", "Cells", "Contours"]
    assert buttons["Smooth"].isChecked()
    press(qtbot, buttons["Contours"])
    assert review.look.drawn == "contours"
    review.set_look(drawn="cells")
    assert [text for text, button in buttons.items() if button.isChecked()] == ["Cells"]


def test_peaks_are_asked_for_by_their_distance(panel, qtbot):
    for button, by in ((panel.jump, 0), (panel.next, 1), (panel.before, -1)):
        with qtbot.waitSignal(panel.peak_asked) as told:
            press(qtbot, button)
        assert told.args == [by]
    assert [key in button.toolTip() for key, button in (("(J)", panel.jump), ("(N)", panel.next))] == [
        True,
        True,
    ]


def test_all_evidence_is_hidden_and_shown_again(panel, review, qtbot):
    press(qtbot, panel.hide_all)
    assert review.look.hidden
    assert panel.hide_all.text() == "Show"
    assert panel.bars.faint
    press(qtbot, panel.hide_all)
    assert not review.look.hidden
    assert panel.hide_all.text() == "Hide"


def test_depth_is_asked_for_and_shown_without_asking(panel, qtbot):
    with qtbot.waitSignal(panel.depth_asked) as told:
        press(qtbot, panel.depth)
    assert told.args == [True]
    with qtbot.assertNotEmitted(panel.depth_asked):
        panel.show_depth(False)
    assert not panel.depth.isChecked()


def test_layers_and_quick_choices_are_in_the_menu(panel, review, qtbot):
    actions = {action.text(): action for action in panel.more.menu().actions()}
    actions["One napari layer for each class"].trigger()
    assert review.look.layered
    review.set_look(layered=False)
    assert not panel.layered.isChecked()
    with qtbot.waitSignal(panel.table.shown_asked) as told:
        actions["Show the top 3"].trigger()
    assert told.args == [("nodule", "effusion", "clear")]


def test_the_range_is_shared_or_not(panel, review, qtbot):
    press(qtbot, panel.shared)
    assert not review.look.shared_range
    assert "every class reaches its full colour" in panel.shared.toolTip()


def test_showing_the_review_asks_nothing(panel, review, qtbot):
    asked = [panel.adjusted, panel.alike_asked, panel.shared_asked, panel.layered_asked, panel.drawn_asked]
    told = []
    for signal in (*asked, panel.hide_asked, panel.table.toggled):
        signal.connect(lambda *given: told.append(given))
    review.set_look(
        threshold=0.3,
        opacity=0.1,
        shared_range=False,
        layered=True,
        drawn="cells",
        own={"nodule": Own(0.2, 0.9)},
    )
    review.show_class("effusion")
    assert told == []
    assert panel.threshold.value() == pytest.approx(0.2)
    assert panel.opacity.value() == pytest.approx(0.9)


def test_methods_that_were_not_computed_are_marked(panel, review, qtbot):
    review.know_choices(["layer3", "layer4"], ["grad-cam", "occlusion"])
    panel.show_review(review)
    assert [panel.methods.itemText(n) for n in range(3)] == ["grad-cam", "layer-cam", "occlusion (not run)"]
    assert [panel.layers.itemText(n) for n in range(2)] == ["layer3", "layer4 (not run)"]
    with qtbot.waitSignal(panel.method_asked) as told:
        panel.methods.textActivated.emit("occlusion (not run)")
    assert told.args == ["occlusion"]


def test_a_note_is_told_in_full_at_its_place(panel, review, explained):
    warnings = ["the scan is thicker than those the model was trained on and was resampled to half of it"] * 3
    review.adopt(replace(explained, provenance={"warnings": warnings}))
    assert panel.note.isVisible()
    assert panel.note.toolTip() == review.reading.note
    assert panel.note.height() <= 2 * panel.note.fontMetrics().lineSpacing() + 4
    review.adopt(explained)
    assert not panel.note.isVisible()


def test_nothing_can_be_asked_before_there_is_an_explanation(panel, review, scan):
    review.open(scan)
    panel.show_review(review)
    assert not panel.isEnabled()
    assert panel.table.names() == ()
    assert panel.bars.isHidden()


def test_in_a_narrow_dock_nothing_is_cut_and_four_classes_are_seen(panel, review, scan):
    classes = {f"organ number {n} of the abdomen": (0.1 * n, np.ones(scan.shape)) for n in range(9)}
    review.adopt(explanation_of(scan, classes))
    review.set_look(shown=frozenset(list(classes)[:4]))
    panel.dock.resize(DOCK_WIDTH, 440)
    panel.dock.layout().activate()
    assert panel.dock.width() == DOCK_WIDTH
    view = panel.table.view
    assert view.viewport().height() >= 4 * view.rowHeight(0)
    for button in panel.findChildren(QAbstractButton):
        if button.isVisible() and button.text():
            beside = 22 if isinstance(button, QCheckBox) else 4  # the box itself, or the frame
            assert button.width() >= button.fontMetrics().horizontalAdvance(button.text()) + beside
            assert panel.rect().contains(button.mapTo(panel, button.rect().bottomRight()))


def test_every_control_can_be_reached_by_the_tab_key(panel, qtbot):
    panel.dock.activateWindow()
    panel.methods.setFocus()
    reached = set()
    for _ in range(30):
        reached.add(panel.dock.focusWidget())
        qtbot.keyClick(panel.dock.focusWidget(), Qt.Key_Tab)
    wanted = [panel.layers, panel.table.view, panel.more, panel.depth, panel.only, panel.shared, panel.jump]
    assert set(wanted) | {panel.next, panel.before, panel.hide_all, panel.export} <= reached


def test_evidence_of_another_model_than_the_chosen_one_is_said_to_be(panel, review, explained):
    made = {"classifier": {"name": "Lung nodules", "version": "1.0"}}
    review.adopt(replace(explained, provenance=made))
    assert not panel.other_model.isVisible()
    panel.show_chosen_model(Statement(name="Lung nodules", version="1.0"))
    assert not panel.other_model.isVisible()
    panel.show_chosen_model(Statement(name="Organs", version="1.0"))
    assert panel.other_model.isVisible()
    assert panel.other_model.text() == (
        "This evidence is of Lung nodules; the model chosen now is Organs: run it."
    )
    panel.show_chosen_model(Statement(name="Lung nodules", version="1.1"))
    whole = panel.other_model.toolTip()
    assert "Lung nodules version 1.0; the model chosen now is version 1.1" in whole
    panel.show_chosen_model(Statement(name="Organs in axial slices of CT, in two dimensions"))
    assert panel.other_model.text().endswith(": run it.")
    assert panel.other_model.heightForWidth(300) < 3 * panel.other_model.fontMetrics().lineSpacing()
    panel.show_chosen_model(None)  # not described yet
    assert not panel.other_model.isVisible()
    panel.show_chosen_model(Statement(name="Organs", version="2.1"))
    review.adopt(replace(explained, provenance={"classifier": {"name": "Organs", "version": "2.1"}}))
    assert not panel.other_model.isVisible()
