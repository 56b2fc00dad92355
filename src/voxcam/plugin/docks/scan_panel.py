"""Which scan is open, its window, and the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from voxcam.core.windows import presets
from voxcam.plugin.canvas.appearance import volume_words
from voxcam.plugin.docks.parts import button_for, column_of, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.windows import Window
    from voxcam.plugin.review.review import Review

PLANE_KEYS = (("Axial", "A"), ("Coronal", "C"), ("Sagittal", "S"))


class ScanPanel(QWidget):  # type: ignore[misc]
    """Which scan is open, its window, and the plane."""

    file_asked = Signal()
    folder_asked = Signal()
    layer_asked = Signal()
    window_asked = Signal(object)
    plane_asked = Signal(int)
    browser_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = column_of(self, "Scan")
        self.words = quiet("no scan open")
        column.addWidget(self.words)
        row = QHBoxLayout()
        for text, tip, signal in (
            ("File…", "Open one file: DICOM, NIfTI, NRRD, MetaImage, or a zip archive", self.file_asked),
            ("Folder…", "Open a folder of scans (its largest series)", self.folder_asked),
            ("From layer", "Read the scan of the selected layer, opened by VoxCAM", self.layer_asked),
        ):
            row.addWidget(button_for(text, tip, signal))
        column.addLayout(row)
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
        self.windows.clear()
        if volume is None:
            return
        named = () if volume.is_colour else presets(volume.modality, volume.unit, volume.voxels)
        offered = [*volume.windows, *named]
        for window in _distinct([volume.window, *offered]):
            self.windows.addItem(str(window), window)
        self.show_window(review.window)

    def show_window(self, window: Window | None) -> None:
        """Name the window the grey values are shown in."""
        if window is None:
            return
        number = self.windows.findText(str(window))
        if number < 0:
            self.windows.addItem(str(window), window)
            number = self.windows.count() - 1
        self.windows.setCurrentIndex(number)


def _distinct(windows: Sequence[Window]) -> list[Window]:
    return list(dict.fromkeys(windows))
