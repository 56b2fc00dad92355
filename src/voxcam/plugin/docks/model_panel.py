"""Which classifier, where it runs, and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from voxcam.plugin.docks.parts import button_for, column_of, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxcam.plugin.review.review import Review

DEVICES = ("auto", "cpu", "cuda", "mps")
RUN_TIP = "Score the scan and find the evidence for every class"
# Entries of the list of classifiers that open a dialog, behind the classifiers themselves.
_BROWSING = 2


class ModelPanel(QWidget):  # type: ignore[misc]
    """Which classifier, where it runs, and the run."""

    bundle_asked = Signal(object)  # a path, or None to browse
    file_asked = Signal()
    device_asked = Signal(str)
    run_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, bundles: Mapping[str, Path]) -> None:
        super().__init__()
        column = column_of(self, "Classifier")
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
        self.words = quiet("")
        column.addWidget(self.words)
        row = QHBoxLayout()
        self.run = button_for("Run", RUN_TIP, self.run_asked)
        self.cancel = button_for("Cancel", "Stop at the next step", self.cancel_asked)
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
