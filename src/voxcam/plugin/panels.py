"""The parts of the dock: scan, classifier, evidence. Thin views: they show the review and ask by signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from voxcam.core.windows import presets
from voxcam.plugin.appearance import volume_words
from voxcam.plugin.class_table import ClassTable
from voxcam.plugin.review import NO_LAYER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from voxcam.core.windows import Window
    from voxcam.plugin.review import Review

DEVICES = ("auto", "cpu", "cuda", "mps")
RUN_TIP = "Score the scan and find the evidence for every class"
NOT_RUN = " (not run)"
PRESS_RUN = "Press Run to explain this scan."
PLANE_KEYS = (("Axial", "A"), ("Coronal", "C"), ("Sagittal", "S"))


class ScanPanel(QWidget):  # type: ignore[misc]
    """Which scan is open, its window, and the plane."""

    file_asked = Signal()
    folder_asked = Signal()
    layer_asked = Signal()
    window_asked = Signal(object)
    plane_asked = Signal(int)
    series_asked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        column = _column(self, "Scan")
        self.words = _quiet("no scan open")
        column.addWidget(self.words)
        row = QHBoxLayout()
        for text, tip, signal in (
            ("File…", "Open one file: DICOM, NIfTI, NRRD, MetaImage, or a zip archive", self.file_asked),
            ("Folder…", "Open a folder of scans (its largest series)", self.folder_asked),
            ("From layer", "Read the scan of the selected layer, opened by VoxCAM", self.layer_asked),
        ):
            row.addWidget(_button(text, tip, signal))
        column.addLayout(row)
        self.series = QComboBox()
        self.series.setToolTip("The series of the open place")
        self.series.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.series.activated.connect(self.series_asked)
        column.addWidget(self.series)
        self.windows = QComboBox()
        self.windows.setToolTip("Window: width and level of the grey values")
        self.windows.activated.connect(lambda n: self.window_asked.emit(self.windows.itemData(n)))
        column.addWidget(self.windows)
        row, self.planes = QHBoxLayout(), []
        for through, (plane, key) in enumerate(PLANE_KEYS):
            button = QPushButton(plane)
            button.setToolTip(f"Show {plane.lower()} slices (key {key})")
            button.clicked.connect(lambda _=False, n=through: self.plane_asked.emit(n))
            row.addWidget(button)
            self.planes.append(button)
        column.addLayout(row)

    def show_review(self, review: Review) -> None:
        """Show the open scan and its windows."""
        volume = review.volume
        self.words.setText("no scan open" if volume is None else volume_words(volume))
        self.windows.setEnabled(volume is not None)
        for button in self.planes:
            button.setEnabled(volume is not None and min(volume.shape) > 1)
        self._show_series(review)
        self.windows.clear()
        if volume is None:
            return
        named = () if volume.is_colour else presets(volume.modality, volume.unit, volume.voxels)
        offered = [*volume.windows, *named]
        for window in _distinct([volume.window, *offered]):
            self.windows.addItem(str(window), window)
        self.show_window(review.window)

    def _show_series(self, review: Review) -> None:
        """List the series of the place, if there is a choice."""
        self.series.clear()
        self.series.addItems(review.series)
        self.series.setCurrentIndex(review.open_series)
        self.series.setVisible(len(review.series) > 1)

    def show_window(self, window: Window | None) -> None:
        """Name the window the grey values are shown in."""
        if window is None:
            return
        number = self.windows.findText(str(window))
        if number < 0:
            self.windows.addItem(str(window), window)
            number = self.windows.count() - 1
        self.windows.setCurrentIndex(number)


# Entries of the list of classifiers that open a dialog, behind the classifiers themselves.
_BROWSING = 2


class ClassifierPanel(QWidget):  # type: ignore[misc]
    """Which classifier, where it runs, and the run."""

    bundle_asked = Signal(object)  # a path, or None to browse
    file_asked = Signal()
    device_asked = Signal(str)
    run_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, bundles: Mapping[str, Path]) -> None:
        super().__init__()
        column = _column(self, "Classifier")
        row = QHBoxLayout()
        self.bundles = QComboBox()
        self.bundles.setPlaceholderText("choose a classifier")
        self.bundles.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        for title, path in bundles.items():
            self.bundles.addItem(title, path)
        self.bundles.addItem("Browse for a MONAI bundle…", None)
        self.bundles.addItem("Browse for a file: zip, weights, TorchScript…", None)
        self.bundles.setCurrentIndex(-1)
        self.bundles.activated.connect(self._on_bundle)
        row.addWidget(self.bundles, 1)
        self.devices = QComboBox()
        self.devices.addItems(DEVICES)
        self.devices.setToolTip("Where the network runs; auto takes CUDA where there is one")
        self.devices.currentTextChanged.connect(self.device_asked)
        column.addLayout(row)
        self.words = _quiet("")
        column.addWidget(self.words)
        row = QHBoxLayout()
        self.run = _button("Run", RUN_TIP, self.run_asked)
        self.cancel = _button("Cancel", "Stop at the next step", self.cancel_asked)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        for widget, stretch in ((self.run, 3), (self.cancel, 2), (self.devices, 0)):
            row.addWidget(widget, stretch)
        column.addLayout(row)
        column.addWidget(self.bar)

    def show_bundle(self, review: Review, words: str) -> None:
        """Show the chosen bundle, and `words` about it."""
        # Compared here: Qt compares paths by identity.
        paths = [self.bundles.itemData(n) for n in range(self.bundles.count())]
        known = paths[:-_BROWSING]
        at = known.index(review.bundle) if review.bundle in known else -1
        if at < 0 and review.bundle is not None:
            at = len(known)
            self.bundles.insertItem(at, review.bundle.name, review.bundle)
        self.bundles.setCurrentIndex(at)
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def _on_bundle(self, number: int) -> None:
        if number == self.bundles.count() - 1:
            self.file_asked.emit()
        else:
            self.bundle_asked.emit(self.bundles.itemData(number))

    def show_running(self, review: Review) -> None:
        """Show how far the run is, or what is missing for one."""
        running = review.running
        self.run.setEnabled(running is None and not review.missing)
        self.run.setToolTip(review.missing or RUN_TIP)
        self.cancel.setEnabled(running is not None and not running.stopping)
        self.bar.setRange(0, running.total if running else 1)
        self.bar.setValue(running.done if running else 0)
        self.run.setText("Run" if running is None else "Running")
        self.bar.setToolTip("" if running is None else running.words)


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
        column = _column(self, "Evidence")
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
        self.hint, self.note = _quiet(PRESS_RUN), _quiet("")
        column.addWidget(self.hint)
        column.addWidget(self.note)
        self.table = ClassTable()
        column.addWidget(self.table, 1)
        self.threshold = _slider(0, 0.95)
        self.opacity = _slider(0, 1)
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
        self.jump = _button("Hottest slice", "Step to the peak of the chosen class (key J)", self.jump_asked)
        self.hide_all = QPushButton("Hide")
        self.hide_all.setCheckable(True)
        self.hide_all.setToolTip("Hide all evidence, or show it again (key E)")
        self.hide_all.clicked.connect(self.hide_asked)
        self.export = _button("Export figure…", "Save the slice and its evidence as a PNG", self.export_asked)
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
            _choices(self.methods, _with_more(explanation.methods, review.more_methods), look.method)
            _choices(self.layers, _with_more(layers, review.layers), look.layer)
        self.note.setText(review.note)
        self.note.setVisible(bool(review.note))
        self.table.show_rows(review.rows)
        for slider, value in ((self.threshold, look.threshold), (self.opacity, look.opacity)):
            _quietly(slider, "setValue", value)
        _quietly(self.shared, "setChecked", look.shared_range)
        _quietly(self.hide_all, "setChecked", look.hidden)

    def show_hint(self, review: Review) -> None:
        """Say that a run is next, where nothing but the run is missing."""
        self.hint.setVisible(review.explanation is None and not review.missing and review.running is None)


def _column(widget: QWidget, title: str) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    heading = QLabel(title)
    heading.setStyleSheet("font-weight: bold")
    column.addWidget(heading)
    return column


def _quiet(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("color: #9a9fa8")
    return label


def _button(text: str, tip: str, signal: Signal) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(lambda _=False: signal.emit())
    return button


def _slider(low: float, high: float) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Horizontal)
    slider.setRange(low, high)
    slider.setSingleStep(0.01)
    slider.setDecimals(2)
    return slider


def _choices(box: QComboBox, names: Sequence[str], current: str) -> None:
    if [box.itemText(n) for n in range(box.count())] != list(names):
        box.clear()
        box.addItems(list(names))
    box.setCurrentText(current)


def _with_more(computed: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the computed choices, and those of the others that a run can add, marked so."""
    return [*computed, *(f"{name}{NOT_RUN}" for name in known if name not in computed)]


def _quietly(widget: QWidget, setter: str, value: object) -> None:
    """Set without the widget telling: it was told."""
    widget.blockSignals(True)
    getattr(widget, setter)(value)
    widget.blockSignals(False)


def _distinct(windows: Sequence[Window]) -> list[Window]:
    return list(dict.fromkeys(windows))
