"""The values of all layers under the mouse: a block of lines that never changes its height."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from voxcam.plugin.canvas.appearance import moment_words
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.values import values_at

if TYPE_CHECKING:
    from voxcam.plugin.review.reading import Point, Reading
    from voxcam.plugin.review.values import Values

_EVIDENCE_LINES = 2


class Readout(QWidget):  # type: ignore[misc]
    """Shows where the mouse is, and what every layer holds there."""

    def __init__(self) -> None:
        super().__init__()
        self.where, self.value = QLabel(), QLabel()
        self.evidence = [QLabel() for _ in range(_EVIDENCE_LINES)]
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(1)
        for row, label in enumerate(self._labels):
            label.setTextFormat(Qt.PlainText)
            # Long words are cut off, not wrapped: the block stays as high and as wide as it is.
            label.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
            label.setFixedHeight(label.fontMetrics().height() + 1)
            grid.addWidget(label, row, 0)
        self.setToolTip("Under the mouse: place, voxel (from 0, as stored), value, evidence of the classes")
        follow(self, self._restyle)
        self.show_nothing()

    def show_point(self, reading: Reading, point_mm: Point | None, moment: int = 0) -> None:
        """Show what lies at a world point (RAS+ mm), at a place of the fourth axis."""
        if reading.volume is None or point_mm is None:
            self.show_nothing()
            return
        values = values_at(reading, point_mm, moment)
        self.where.setText(values.where_words)
        self.value.setText("   ".join(filter(None, self._value(reading, values, moment))))
        lines = _spread([evidence.words for evidence in values.evidence])
        for label, words in zip(self.evidence, lines, strict=True):
            label.setText(words)
            label.setToolTip("\n".join(evidence.words for evidence in values.evidence))

    def show_nothing(self) -> None:
        """Show that the mouse is on no slice."""
        for label in self._labels:
            label.setText("")
        self.where.setText("values under the mouse")

    # --- steps

    @property
    def _labels(self) -> list[QLabel]:
        return [self.where, self.value, *self.evidence]

    def _value(self, reading: Reading, values: Values, moment: int) -> list[str]:
        volume = reading.volume
        words = [values.value_words, values.voxel_words, values.finding_words]
        if volume is not None and len(volume.voxels.shape) == 4 and values.index is not None:
            words.append(moment_words(volume.fourth, moment, volume.voxels.shape[3]))
        return words

    def _restyle(self) -> None:
        shown = colours()
        self.where.setStyleSheet(f"color: {shown.quiet}")
        self.value.setStyleSheet(f"color: {shown.text}; font-weight: bold")
        for label in self.evidence:
            label.setStyleSheet(f"color: {shown.text}")


def _spread(words: list[str]) -> list[str]:
    """Return the evidence of classes over the lines there are: one a line, then several on the last."""
    lines = [*words[: _EVIDENCE_LINES - 1], ", ".join(words[_EVIDENCE_LINES - 1 :])]
    return [*lines, *[""] * _EVIDENCE_LINES][:_EVIDENCE_LINES]
