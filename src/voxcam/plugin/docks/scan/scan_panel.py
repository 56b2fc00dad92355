"""Which scan is open, its window, the plane, and what runs through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStyledItemDelegate,
    QVBoxLayout,
    QWidget,
)

from voxcam.plugin.canvas.appearance import moment_words, volume_words
from voxcam.plugin.docks.parts import button_for, quiet, set_quietly
from voxcam.plugin.docks.scan.cine_bar import CineBar
from voxcam.plugin.docks.scan.findings import Findings
from voxcam.plugin.docks.scan.window_fields import WindowFields
from voxcam.plugin.keys import tip
from voxcam.plugin.review.windows import offered_windows

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.plugin.review.review import Review

_PLANES = ("axial", "coronal", "sagittal")
_KEY = Qt.UserRole + 1
_BY_HAND = Qt.UserRole + 2
_NO_KEY = "\u2007"  # a space as wide as a digit: the names stay in line
_WINDOW_TIP = """Window: which values are black and white.
Keys 1 to 9 choose from the list, 0 gives the study's own back.
Or drag the picture with the right mouse button: across for the width,
up and down for the level, with Shift finely; a double right click gives
the study's own back."""

# What a classifier may ask for, in DICOM's two letters.
MODALITIES = ("CT", "MR", "PT", "CR", "DX", "MG", "US", "XA", "NM", "OT")
_NOT_STATED = "modality not stated"


class ScanPanel(QWidget):  # type: ignore[misc]
    """Which scan is open, its window, the plane, and what runs through it."""

    file_asked = Signal()
    folder_asked = Signal()
    layer_asked = Signal()
    browser_asked = Signal()
    window_asked = Signal(object)
    plane_asked = Signal(int)
    convention_asked = Signal(bool)  # neurological
    modality_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        self.words, self.findings, self.moment = quiet("no scan open"), Findings(), quiet("")
        self.windows, self.fields = QComboBox(), WindowFields()
        self.neurological, self.cine = QCheckBox("Patient's left on the left"), CineBar()
        self.planes: list[QPushButton] = []
        for label in (self.words, self.findings, self.moment):
            # As high as their words: the panel's spare height goes below it.
            label.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
            column.addWidget(label)
        self.modality = QComboBox()
        column.addWidget(self.modality)
        column.addLayout(self._places())
        column.addLayout(self._window())
        column.addLayout(self._planes())
        column.addWidget(self.neurological)
        column.addWidget(self.cine)
        column.addStretch(1)
        self.modality.addItems([_NOT_STATED, *MODALITIES])
        self.modality.setToolTip("What was scanned, where the file does not say: classifiers ask for it")
        self.modality.setAccessibleName("Modality")
        self.modality.activated.connect(self._on_modality)
        self.findings.hide()
        self.moment.hide()

    def show_review(self, review: Review) -> None:
        """Show the open scan and its windows."""
        volume = review.volume
        self.words.setText("no scan open" if volume is None else volume_words(volume))
        self.findings.show_found(_finding_lines(volume))
        self.modality.setCurrentIndex(0)
        self.modality.setVisible(volume is not None and not volume.modality and volume.unit != "label")
        self.show_moment(volume, 0)
        self.windows.setEnabled(volume is not None)
        for button in self.planes:
            button.setEnabled(volume is not None and min(volume.shape) > 1)
        self.cine.show_volume(volume)
        self.show_convention(review.neurological)
        self.windows.clear()
        for offered in () if volume is None else offered_windows(volume):
            self.windows.addItem(str(offered.window), offered.window)
            self.windows.setItemData(self.windows.count() - 1, offered.key, _KEY)
        self._unit = "" if volume is None else volume.unit
        self.show_window(review.window if volume is not None else None)

    def show_window(self, window: Window | None) -> None:
        """Name the window the grey values are shown in."""
        self.fields.show_window(window, self._unit)
        if window is None:
            return
        number = self.windows.findText(str(window), Qt.MatchExactly | Qt.MatchCaseSensitive)
        if number < 0:
            number = self._by_hand(window)
        self.windows.setItemData(number, window)
        self.windows.setCurrentIndex(number)

    def show_convention(self, neurological: bool) -> None:
        """Show at which side the patient's left is."""
        set_quietly(self.neurological, "setChecked", neurological)

    def show_moment(self, volume: Volume | None, moment: int) -> None:
        """Say which place of the fourth axis is shown; nothing of a scan that has none."""
        has_time = volume is not None and len(volume.voxels.shape) == 4
        self.moment.setVisible(has_time)
        if volume is not None and has_time:
            self.moment.setText(moment_words(volume.fourth, moment, volume.voxels.shape[3]))

    # --- steps

    _unit = ""

    def _on_modality(self, number: int) -> None:
        if number:
            self.modality_asked.emit(MODALITIES[number - 1])

    def _places(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        for text, words, signal in (
            ("File…", "Open one file: DICOM, NIfTI, NRRD, MetaImage, or a zip archive", self.file_asked),
            ("Folder…", "Open a folder of scans (its largest series)", self.folder_asked),
            ("From layer", "Read the scan of the selected layer, opened by VoxCAM", self.layer_asked),
            ("Studies", "Choose among the studies and series that were found", self.browser_asked),
        ):
            button = button_for(text, words, signal)
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(text) + 10)
            row.addWidget(button, 1)
        return row

    def _window(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(4)
        self.windows.setToolTip(_WINDOW_TIP)
        self.windows.setAccessibleName("Window")
        self.windows.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.windows.setItemDelegate(_WithKey(self.windows))
        self.windows.activated.connect(lambda n: self.window_asked.emit(self.windows.itemData(n)))
        self.fields.window_asked.connect(self.window_asked)
        column.addWidget(self.windows)
        column.addWidget(self.fields)
        return column

    def _planes(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        for through, plane in enumerate(_PLANES):
            button = QPushButton(plane.capitalize())
            button.setToolTip(tip(f"Show {plane} slices", plane))
            button.clicked.connect(lambda _=False, n=through: self.plane_asked.emit(n))
            row.addWidget(button)
            self.planes.append(button)
        self.neurological.setToolTip(
            tip("Neurological convention: the patient's left on the left of the screen", "convention")
            + ".\nOff, as radiologists read: the patient's right on the left."
        )
        self.neurological.toggled.connect(self.convention_asked)
        return row

    def _by_hand(self, window: Window) -> int:
        """Return the place of the one entry that stands for windows of no list."""
        for number in range(self.windows.count()):
            if self.windows.itemData(number, _BY_HAND):
                self.windows.setItemText(number, str(window))
                return number
        self.windows.addItem(str(window), window)
        self.windows.setItemData(self.windows.count() - 1, True, _BY_HAND)
        return int(self.windows.count()) - 1


class _WithKey(QStyledItemDelegate):  # type: ignore[misc]
    """Shows the key of a window before its name, in the open list only."""

    def initStyleOption(self, option: Any, index: Any) -> None:  # noqa: N802 - Qt's name
        super().initStyleOption(option, index)
        option.text = f"{index.data(_KEY) or _NO_KEY}  {option.text}"


def _finding_lines(volume: Volume | None) -> list[str]:
    found = [] if volume is None else volume.source.get("findings", ())
    return [str(line) for line in found]
