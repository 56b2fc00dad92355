"""Play and stop, how fast, which way, and through what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QSpinBox, QWidget

from voxcam.plugin.canvas.cine import FASTEST, SLOWEST, USUAL, stated_rate
from voxcam.plugin.docks.parts import set_quietly
from voxcam.plugin.keys import tip

if TYPE_CHECKING:
    from voxcam.core.volume import Volume


class CineBar(QWidget):  # type: ignore[misc]
    """Asks to run through the slices of the plane, or through time."""

    play_asked = Signal(bool)
    rate_asked = Signal(int)
    back_and_forth_asked = Signal(bool)
    over_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.play, self.rate = QPushButton("Play"), QSpinBox()
        self.back_and_forth, self.over = QCheckBox("Back and forth"), QComboBox()
        self.play.setCheckable(True)
        self.play.setToolTip(tip("Run through the images, or stop", "cine"))
        self.play.setMinimumWidth(self.play.fontMetrics().horizontalAdvance("Stop  Stop"))
        self.rate.setRange(SLOWEST, FASTEST)
        self.rate.setValue(USUAL)
        self.rate.setSuffix(" /s")
        self.rate.setToolTip("Images a second; those that cannot be drawn in time are left out")
        self.rate.setAccessibleName("Images a second")
        self.back_and_forth.setToolTip("To the last image and back again, instead of round and round")
        self.over.addItems(["slices", "time"])
        self.over.setToolTip("Run through the slices of the plane shown, or through time")
        self._lay_out()
        self.play.clicked.connect(self.play_asked)
        self.rate.valueChanged.connect(self.rate_asked)
        self.back_and_forth.toggled.connect(self.back_and_forth_asked)
        self.over.textActivated.connect(self.over_asked)
        self.show_volume(None)

    def show_volume(self, volume: Volume | None) -> None:
        """Offer what can be run through in a study, at the rate its file states."""
        shape = () if volume is None else volume.voxels.shape
        has_time = len(shape) == 4
        self.setEnabled(has_time or (volume is not None and min(volume.shape) > 1))
        self.over.setVisible(has_time)
        self.over.setCurrentText("time" if has_time else "slices")
        set_quietly(self.rate, "setValue", (stated_rate(volume) if volume is not None else None) or USUAL)
        self.show_playing(False)

    def show_playing(self, playing: bool) -> None:
        """Show whether it runs."""
        self.play.setChecked(playing)
        self.play.setText("Stop" if playing else "Play")

    # --- steps

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self.play, self.rate, self.over, self.back_and_forth):
            row.addWidget(widget)
        row.addStretch(1)
