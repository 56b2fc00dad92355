"""The classes, and how their evidence is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from voxcam.plugin.docks.evidence.class_table import ClassTable
from voxcam.plugin.docks.evidence.colour_bars import ColourBars
from voxcam.plugin.docks.evidence.other_model import OtherModel
from voxcam.plugin.docks.parts import button_for, offer, quiet, set_quietly, slider_over
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.look import DRAWN, Look
from voxcam.plugin.review.reading import NO_LAYER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.model.statement import Statement
    from voxcam.plugin.review.review import Review

NOT_RUN = " (not run)"
THIS_ONLY = "this class only"
PRESS_RUN = "Press Run to explain this scan."
# The highest share a slider hides: above it next to nothing would be left to see.
HIGHEST_THRESHOLD = 0.95
# What a check box takes beside its words.
_BOX = 28

_DRAWN_TIPS = {
    "smooth": "Evidence drawn smoothly between the places the network judged",
    "cells": "Evidence drawn as the blocks the network judged: its true resolution",
    "contours": "Lines at the threshold, at half and at four fifths of the range; the image stays free",
}
_SLIDER_TIPS = {
    "threshold": "Share of the range up to which nothing is drawn",
    "opacity": "Opacity of the strongest evidence",
}
_METHOD_TIP = "Those marked need a run, and may ask the network many times"
_LAYER_TIP = "Another than the default needs a run"
_SHARED_TIP = "One range of colours for all classes. Off: every class reaches its full colour, however weak"
_ONLY_TIP = "Threshold and opacity of this class alone; off, it has those of all classes again"


class EvidencePanel(QWidget):  # type: ignore[misc]
    """The classes, and how their evidence is looked at.

    Signals: `adjusted` (class or None for all, threshold or None, opacity or None); `alike_asked` (class
    that shall have all classes' threshold and opacity again); `peak_asked` (0 the hottest, 1 the next,
    -1 the one before); the others say by their name what is asked.
    """

    method_asked = Signal(str)
    layer_asked = Signal(str)
    drawn_asked = Signal(str)
    adjusted = Signal(object, object, object)
    alike_asked = Signal(str)
    shared_asked = Signal(bool)
    layered_asked = Signal(bool)
    depth_asked = Signal(bool)
    peak_asked = Signal(int)
    hide_asked = Signal(bool)
    export_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._look = Look()
        self.table, self.bars = ClassTable(), ColourBars()
        self.hint, self.note, self.other_model = quiet(PRESS_RUN), QElidingLabel(), OtherModel()
        self.note.setWordWrap(True)
        self.note.setMaximumHeight(2 * self.fontMetrics().lineSpacing() + 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._choices())
        column.addWidget(self.hint)
        column.addWidget(self.other_model)
        column.addWidget(self.note)
        column.addWidget(self.table, 1)
        column.addWidget(self.bars)
        column.addLayout(self._ways())
        column.addLayout(self._sliders())
        column.addLayout(self._steps())
        self.table.chosen.connect(self._show_own)
        follow(self, self._restyle)

    # --- what is shown

    def show_review(self, review: Review) -> None:
        """Show classes, method, layer and look."""
        explanation, look = review.explanation, review.look
        self._look = look
        self.setEnabled(explanation is not None)
        self.show_hint(review)
        if explanation is not None:
            layers = [name for name in explanation.layers if name != NO_LAYER]
            _offer_in_full(self.methods, _with_more(explanation.methods, review.more_methods), look.method)
            _offer_in_full(self.layers, _with_more(layers, review.layers), look.layer)
            self.methods.setToolTip(f"Method: {look.method}. {_METHOD_TIP}")
            self.layers.setToolTip(f"Layer of the network: {look.layer}. {_LAYER_TIP}")
        self.other_model.show_evidence(explanation)
        self._show_note(review.reading.note)
        self.table.show_rows(review.rows, explanation.answer.noun if explanation else "probability")
        self.bars.show_reading(review.reading)
        for button in self.drawn.buttons():
            set_quietly(button, "setChecked", button.property("drawn") == look.drawn)
        set_quietly(self.shared, "setChecked", look.shared_range)
        set_quietly(self.layered, "setChecked", look.layered)
        set_quietly(self.hide_all, "setChecked", look.hidden)
        self.hide_all.setText("Show" if look.hidden else "Hide")
        self._show_own()

    def show_chosen_model(self, statement: Statement | None) -> None:
        """Take note of what the model that is chosen now says of itself; None while that is not known."""
        self.other_model.show_chosen(statement)
        self._show_note(self.note.toolTip())

    def show_hint(self, review: Review) -> None:
        """Say that a run is next, where nothing but the run is missing."""
        self.hint.setVisible(review.explanation is None and not review.missing and review.running is None)

    def show_depth(self, on: bool) -> None:
        """Show whether the picture is in three dimensions."""
        set_quietly(self.depth, "setChecked", on)

    def _show_note(self, note: str) -> None:
        self.note.setText(note)
        self.note.setToolTip(note)
        # One of the two: the table needs the room.
        self.note.setVisible(bool(note) and not self.other_model.warns)

    def _show_own(self, _: str = "") -> None:
        """Show threshold and opacity of the chosen class if it has its own, else of all classes."""
        name, look = self.table.chosen_class, self._look
        has_own = name is not None and name in look.own
        set_quietly(self.only, "setChecked", has_own)
        self.only.setEnabled(name is not None)
        length = self.only.fontMetrics().horizontalAdvance
        # As wide whatever the class is called: the sliders shall not jump.
        self.only.setFixedWidth(length(THIS_ONLY) + _BOX)
        fits = length(f"only {name}") <= length(THIS_ONLY)
        self.only.setText(f"only {name.replace('&', '&&')}" if name and fits else THIS_ONLY)
        self.only.setToolTip(f"{name or 'the chosen class'}: {_ONLY_TIP}")
        threshold, opacity = look.threshold, look.opacity
        if name is not None and has_own:
            threshold, opacity = look.of(name).threshold, look.of(name).opacity
        for slider, value in ((self.threshold, threshold), (self.opacity, opacity)):
            set_quietly(slider, "setValue", value)

    # --- what is asked

    def _adjust(self, what: str, value: float) -> None:
        name = self.table.chosen_class if self.only.isChecked() else None
        self.adjusted.emit(name, value if what == "threshold" else None, value if what == "opacity" else None)

    def _own(self, on: bool) -> None:
        """Give the chosen class the threshold and opacity it has now as its own, or take them back."""
        name = self.table.chosen_class
        if name is not None and on:
            self.adjusted.emit(name, self._look.threshold, self._look.opacity)
        elif name is not None:
            self.alike_asked.emit(name)

    # --- putting it together, from above to below

    def _choices(self) -> QHBoxLayout:
        self.methods, self.layers = QComboBox(), QComboBox()
        row = QHBoxLayout()
        for box, asked, stretch in ((self.methods, self.method_asked, 2), (self.layers, self.layer_asked, 3)):
            box.textActivated.connect(lambda text, asked=asked: asked.emit(text.removesuffix(NOT_RUN)))
            box.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
            row.addWidget(box, stretch)
        return row

    def _ways(self) -> QHBoxLayout:
        """Return how evidence is drawn, in depth or not, and what is rare."""
        row = QHBoxLayout()
        row.setSpacing(1)
        self.drawn = QButtonGroup(self)
        for drawn in DRAWN:
            button = _switch(drawn.capitalize(), _DRAWN_TIPS[drawn])
            button.setProperty("drawn", drawn)
            button.clicked.connect(lambda _=False, d=drawn: self.drawn_asked.emit(d))
            self.drawn.addButton(button)
            row.addWidget(button, 1)
        self.depth = _switch("3D", "Turn the study and its evidence in three dimensions; off: slices")
        self.depth.clicked.connect(self.depth_asked)
        row.addSpacing(5)
        row.addWidget(self.depth)
        row.addSpacing(5)
        row.addWidget(self._more())
        return row

    def _more(self) -> QPushButton:
        self.more = QPushButton("More")
        self.more.setToolTip("Rare things: napari layers, which classes are shown, their order")
        menu = QMenu(self.more)
        self.layered = menu.addAction("One napari layer for each class")
        self.layered.setToolTip("With napari's own controls for each, instead of all as one picture")
        self.layered.setCheckable(True)
        self.layered.toggled.connect(self.layered_asked)
        menu.addSeparator()
        self.table.add_actions(menu)
        self.more.setMenu(menu)
        return self.more

    def _sliders(self) -> QGridLayout:
        """Return threshold and opacity, and beside them whose they are and what the range is."""
        self.threshold, self.opacity = slider_over(0, HIGHEST_THRESHOLD), slider_over(0, 1)
        self.only, self.shared = QCheckBox(THIS_ONLY), QCheckBox("one range")
        self.only.toggled.connect(self._own)
        self.shared.toggled.connect(self.shared_asked)
        self.shared.setToolTip(_SHARED_TIP)
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        rows = (("threshold", self.threshold, self.only), ("opacity", self.opacity, self.shared))
        for line, (what, slider, box) in enumerate(rows):
            slider.setToolTip(_SLIDER_TIPS[what])
            slider.setAccessibleName(what)
            slider.valueChanged.connect(lambda value, what=what: self._adjust(what, value))
            grid.addWidget(QLabel(what), line, 0)
            grid.addWidget(slider, line, 1)
            grid.addWidget(box, line, 2)
        return grid

    def _steps(self) -> QHBoxLayout:
        """Return the steps from peak to peak, hiding all, and the figure."""
        row = QHBoxLayout()
        row.setSpacing(3)
        self.jump = QPushButton("Hottest")
        self.before, self.next = QPushButton("‹"), QPushButton("›")
        for button, by, tip in (
            (self.before, -1, "Go to the peak before (Shift+N)"),
            (self.jump, 0, "Go to the highest evidence for the chosen class (J)"),
            (self.next, 1, "Go to the next lower peak (N)"),
        ):
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, by=by: self.peak_asked.emit(by))
            button.setMinimumWidth(22)
            row.addWidget(button, 3 if by == 0 else 1)
        self.hide_all = _switch("Hide", "Hide all evidence, or show it again (E)")
        self.hide_all.clicked.connect(self.hide_asked)
        row.addWidget(self.hide_all, 2)
        self.export = button_for(
            "Export figure…", "Save the slice and its evidence as a PNG", self.export_asked
        )
        row.addWidget(self.export)
        return row

    def _restyle(self) -> None:
        now = colours()
        self.note.setStyleSheet(f"color: {now.quiet}")
        self.setStyleSheet(
            "QPushButton:focus, QComboBox:focus, QCheckBox:focus, QTableView:focus, QSlider:focus"
            f" {{ border: 1px solid {now.accent}; }}"
        )


def _switch(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tip)
    return button


def _with_more(computed: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the computed choices, and those of the others that a run can add, marked so."""
    return [*computed, *(f"{name}{NOT_RUN}" for name in known if name not in computed)]


def _offer_in_full(box: QComboBox, names: Sequence[str], current: str) -> None:
    """Offer names that are longer than the box: its list is as wide as they are."""
    offer(box, names, current)
    view = box.view()
    view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * view.fontMetrics().height())
