"""What the next run is asked beyond the usual: network, moment, mirrored views, more methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from voxcam.plugin.docks.parts import in_colour, quiet, resize_to_letters, without_icons
from voxcam.plugin.work.options import AXES, MORE_METHODS, RunOptions, network_mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

_NETWORK_TIP = "Of a file of weights: the network they belong to, as DenseNet121(spatial_dims=3, ...)"
_MOMENT_TIP = "Of a study in time: which of its volumes is explained"
_MIRROR_TIP = (
    "Each is one more view of the scan, mirrored along an axis of the network's input; scores and maps are "
    "the means of all views, and their spread is told. Each view takes as long as the first."
)
# Of the network's input: i runs along a row, j down a column, k through the slices.
_MIRRORS = {"i": "across (i)", "j": "up and down (j)", "k": "through the slices (k)"}
_ALL_MOMENTS = "score all, explain the clearest"


class RunOptionsDialog(QDialog):  # type: ignore[misc]
    """Ask what the next run is to do beyond the usual."""

    chosen = Signal(object)  # RunOptions

    def __init__(
        self,
        options: RunOptions,
        *,
        weights: bool = False,
        moments: int = 1,
        methods: Sequence[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Options of the run")
        column = QVBoxLayout(self)
        form = QFormLayout()
        column.addLayout(form, 1)
        self.network = self._add_network(form, options, weights)
        self.moment = self._add_moment(form, options, moments)
        self.mirrors = self._add_mirrors(form, options)
        self.methods = self._add_methods(form, options, methods)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.Ok | QDialogButtonBox.Cancel | QDialogButtonBox.RestoreDefaults
        )
        self.buttons.accepted.connect(self._choose)
        self.buttons.rejected.connect(self.reject)
        self.buttons.button(QDialogButtonBox.RestoreDefaults).clicked.connect(self._restore)
        without_icons(self.buttons)
        column.addWidget(self.buttons)
        resize_to_letters(self, 120, 34)
        self._check_network()

    def options(self) -> RunOptions:
        """Return what is asked now."""
        at = self.moment.currentIndex()
        moment = None if self.moment.count() < 2 else "all" if at == self.moment.count() - 1 else at
        return RunOptions(
            self.network.text().strip() if self.network.isEnabled() else "",
            cast("int | None", moment),
            tuple(str(box.property("axis")) for box in self.mirrors if box.isChecked()),
            tuple(name for name, box in self.methods.items() if box.isChecked()),
        )

    def _choose(self) -> None:
        self.chosen.emit(self.options())
        self.accept()

    def _restore(self) -> None:
        self.network.clear()
        self.moment.setCurrentIndex(0)
        for box in (*self.mirrors, *self.methods.values()):
            box.setChecked(False)

    def _add_network(self, form: QFormLayout, options: RunOptions, weights: bool) -> QLineEdit:
        line = QLineEdit(options.network)
        line.setPlaceholderText("DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)")
        line.setToolTip(_NETWORK_TIP)
        line.setEnabled(weights)
        line.textChanged.connect(self._check_network)
        self.mistake = quiet("")
        in_colour(self.mistake, "error")
        form.addRow("&Network", line)
        form.addRow("", self.mistake)
        form.setRowVisible(line, weights)
        return line

    def _check_network(self) -> None:
        wrong = network_mistake(self.network.text()) if self.network.isEnabled() else ""
        self.mistake.setText(wrong)
        self.mistake.setVisible(bool(wrong))
        self.buttons.button(QDialogButtonBox.Ok).setEnabled(not wrong)

    def _add_moment(self, form: QFormLayout, options: RunOptions, moments: int) -> QComboBox:
        box = QComboBox()
        box.setToolTip(_MOMENT_TIP)
        if moments > 1:
            box.addItems([f"{n + 1} of {moments}" for n in range(moments)])
        box.addItem(_ALL_MOMENTS if moments > 1 else "the only one")
        box.setCurrentIndex(box.count() - 1 if options.moment == "all" else options.moment or 0)
        form.addRow("&Moment", box)
        form.setRowVisible(box, moments > 1)
        return box

    def _add_mirrors(self, form: QFormLayout, options: RunOptions) -> list[QCheckBox]:
        row, boxes = QHBoxLayout(), []
        for axis in AXES:
            box = QCheckBox(_MIRRORS[axis])
            box.setProperty("axis", axis)
            box.setToolTip(_MIRROR_TIP)
            box.setChecked(axis in options.augment)
            row.addWidget(box)
            boxes.append(box)
        row.addStretch(1)
        form.addRow("Also mirrored", row)
        return boxes

    def _add_methods(
        self, form: QFormLayout, options: RunOptions, known: Sequence[str]
    ) -> dict[str, QCheckBox]:
        listed, boxes = QWidget(), {}
        grid = QGridLayout(listed)
        # What the model was asked it cannot do is left out: without layers, say, few methods are left.
        offered = {name: words for name, words in MORE_METHODS.items() if name in (known or MORE_METHODS)}
        for row, (name, words) in enumerate(offered.items()):
            boxes[name] = QCheckBox(name)
            boxes[name].setChecked(name in options.methods)
            boxes[name].setToolTip(words)
            grid.addWidget(boxes[name], row, 0)
            grid.addWidget(quiet(words), row, 1)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(len(offered), 1)
        scrolled = QScrollArea()
        scrolled.setWidget(listed)
        scrolled.setWidgetResizable(True)
        form.addRow("More methods", scrolled)
        return boxes
