"""The classes, and how their evidence is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from voxcam.plugin.docks.class_table import ClassTable
from voxcam.plugin.docks.parts import button_for, column_of, offer, quiet, set_quietly, slider_over
from voxcam.plugin.review.reading import NO_LAYER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.review import Review

NOT_RUN = " (not run)"
PRESS_RUN = "Press Run to explain this scan."


class EvidencePanel(QWidget):  # type: ignore[misc]
    """The classes, and how their evidence is looked at."""

    method_asked = Signal(str)
    layer_asked = Signal(str)
    threshold_asked = Signal(float)
    opacity_asked = Signal(float)
    shared_asked = Signal(bool)
    jump_asked = Signal()
    hide_asked = Signal(bool)
    export_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = column_of(self, "Evidence")
        self.methods, self.layers = QComboBox(), QComboBox()
        self.methods.setToolTip("Method; those marked need a run, and may ask the network many times")
        self.layers.setToolTip("Layer of the network; another than the default needs a run")
        for choices, asked in ((self.methods, self.method_asked), (self.layers, self.layer_asked)):
            choices.textActivated.connect(lambda text, asked=asked: asked.emit(text.removesuffix(NOT_RUN)))
        row = QHBoxLayout()
        for box, stretch in ((self.methods, 2), (self.layers, 3)):
            box.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
            row.addWidget(box, stretch)
        column.addLayout(row)
        self.hint, self.note = quiet(PRESS_RUN), quiet("")
        column.addWidget(self.hint)
        column.addWidget(self.note)
        self.table = ClassTable()
        column.addWidget(self.table, 1)
        self.threshold = slider_over(0, 0.95)
        self.opacity = slider_over(0, 1)
        grid = QGridLayout()
        for line, (text, slider, tip, signal) in enumerate(
            (
                (
                    "threshold",
                    self.threshold,
                    "Share of the range up to which nothing is shown",
                    self.threshold_asked,
                ),
                ("opacity", self.opacity, "Opacity of the strongest evidence", self.opacity_asked),
            )
        ):
            slider.setToolTip(tip)
            slider.valueChanged.connect(signal)
            grid.addWidget(QLabel(text), line, 0)
            grid.addWidget(slider, line, 1)
        column.addLayout(grid)
        self.shared = QCheckBox("one range for all classes")
        self.shared.setToolTip("Off: every class reaches its full colour, however weak its evidence")
        self.shared.toggled.connect(self.shared_asked)
        column.addWidget(self.shared)
        row = QHBoxLayout()
        self.jump = button_for(
            "Hottest slice", "Step to the peak of the chosen class (key J)", self.jump_asked
        )
        self.hide_all = QPushButton("Hide")
        self.hide_all.setCheckable(True)
        self.hide_all.setToolTip("Hide all evidence, or show it again (key E)")
        self.hide_all.clicked.connect(self.hide_asked)
        self.export = button_for(
            "Export figure…", "Save the slice and its evidence as a PNG", self.export_asked
        )
        for widget in (self.jump, self.hide_all, self.export):
            row.addWidget(widget)
        column.addLayout(row)

    def show_review(self, review: Review) -> None:
        """Show classes, method, layer and look."""
        explanation, look = review.explanation, review.look
        self.setEnabled(explanation is not None)
        self.show_hint(review)
        if explanation is not None:
            layers = [name for name in explanation.layers if name != NO_LAYER]
            offer(self.methods, _with_more(explanation.methods, review.more_methods), look.method)
            offer(self.layers, _with_more(layers, review.layers), look.layer)
        self.note.setText(review.reading.note)
        self.note.setVisible(bool(review.reading.note))
        self.table.show_rows(review.rows)
        for slider, value in ((self.threshold, look.threshold), (self.opacity, look.opacity)):
            set_quietly(slider, "setValue", value)
        set_quietly(self.shared, "setChecked", look.shared_range)
        set_quietly(self.hide_all, "setChecked", look.hidden)

    def show_hint(self, review: Review) -> None:
        """Say that a run is next, where nothing but the run is missing."""
        self.hint.setVisible(review.explanation is None and not review.missing and review.running is None)


def _with_more(computed: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the computed choices, and those of the others that a run can add, marked so."""
    return [*computed, *(f"{name}{NOT_RUN}" for name in known if name not in computed)]
