"""How far the scan of a place is, and the way to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from voxcam.plugin.docks.parts import button_for, quiet
from voxcam.plugin.review.wording import counted

if TYPE_CHECKING:
    from qtpy.QtCore import Signal


class ScanProgress(QWidget):  # type: ignore[misc]
    """How far a scan is, in words, and its end."""

    def __init__(self, cancel_asked: Signal) -> None:
        super().__init__()
        self.words, self.bar = quiet(""), QProgressBar()
        self.cancel: QPushButton = button_for("Cancel", "Stop scanning; what was found stays", cancel_asked)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row.addWidget(self.words, 1)
        row.addWidget(self.cancel)
        column.addLayout(row)
        column.addWidget(self.bar)
        self.hide()

    def show_files(self, done: int, total: int) -> None:
        """Show how many files are done; while folders are walked, how many were met."""
        self.words.setText(
            f"{done:,} of {counted(total, 'file')}" if done else f"{counted(total, 'file')} met"
        )
        self.bar.setRange(0, total if done else 0)
        self.bar.setValue(done)
        self.show()
