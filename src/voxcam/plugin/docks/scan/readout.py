"""The values of all layers under the mouse: a block of lines that never changes its height."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from voxcam.plugin.canvas.appearance import moment_words
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.values import values_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.reading import Point, Reading
    from voxcam.plugin.review.values import Values

    Labels = Sequence[tuple[str, int]]

_LINES = 3
# In two columns.
MOST = 2 * _LINES
_TIP = "Under the mouse: place, voxel (from 0, as stored), value, evidence of the classes, labels"


class Readout(QWidget):  # type: ignore[misc]
    """Shows where the mouse is, and what every layer holds there."""

    def __init__(self) -> None:
        super().__init__()
        self._at: tuple[Point, int, Labels] | None = None
        self.where, self.value = _Said(), _Said()
        self.evidence = [_Said() for _ in range(MOST)]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.where)
        column.addWidget(self.value)
        for left in range(0, MOST, 2):
            row = QHBoxLayout()
            row.setSpacing(10)
            row.addWidget(self.evidence[left], 1)
            row.addWidget(self.evidence[left + 1], 1)
            column.addLayout(row)
        follow(self, self._restyle)
        self.show_nothing()

    def show_point(
        self, reading: Reading, point_mm: Point | None, moment: int = 0, labels: Labels = ()
    ) -> None:
        """Show what lies at a world point (RAS+ mm), at a place of the fourth axis, and labels there."""
        if reading.volume is None or point_mm is None:
            self.show_nothing()
            return
        self._at = (point_mm, moment, labels)
        values = values_at(reading, point_mm, moment)
        self.where.say("   ".join(filter(None, [values.where_words, values.finding_words])))
        self.value.say("   ".join(filter(None, self._value(reading, values, moment))))
        self._show_each(values, labels)

    def show_again(self, reading: Reading) -> None:
        """Show the same place anew: the evidence is looked at otherwise, or is another."""
        if self._at is not None:
            self.show_point(reading, *self._at)

    def show_nothing(self) -> None:
        """Show that the mouse is on no slice."""
        self._at = None
        for label in self._labels:
            label.say("")
        self.where.say("values under the mouse")
        self.setToolTip(_TIP)

    # --- steps

    @property
    def _labels(self) -> list[_Said]:
        return [self.where, self.value, *self.evidence]

    def _show_each(self, values: Values, labels: Labels) -> None:
        """Show class by class, then label by label: a line each, or in two columns and as short as can be."""
        drawn = [(name, str(value)) for name, value in labels]
        alone = len(values.evidence) + len(drawn) <= _LINES
        seen = [(one.class_name, one.value_words if alone else one.number) for one in values.evidence]
        cells = [*seen, *drawn]
        if len(cells) > MOST:
            cells = [*cells[: MOST - 1], ("", f"+ {len(cells) - MOST + 1}")]
        places = self.evidence[::2] if alone else self.evidence
        for label in self.evidence:
            label.say("")
            label.setVisible(label in places)
        for label, (name, number) in zip(places, cells, strict=False):
            label.say(number, name)
        told = [one.words for one in values.evidence] + [" ".join(one) for one in drawn]
        self.setToolTip("\n".join(told) or _TIP)

    def _value(self, reading: Reading, values: Values, moment: int) -> list[str]:
        volume = reading.volume
        words = [values.value_words, values.voxel_words]
        if volume is not None and len(volume.voxels.shape) == 4 and values.index is not None:
            words.append(moment_words(volume.fourth, moment, volume.voxels.shape[3]))
        return words

    def _restyle(self) -> None:
        shown = colours()
        self.where.setStyleSheet(f"color: {shown.quiet}")
        self.value.setStyleSheet(f"color: {shown.text}; font-weight: bold")
        for label in self.evidence:
            label.setStyleSheet(f"color: {shown.text}")


class _Said(QLabel):  # type: ignore[misc]
    """A name and a number in a line: of a long name the middle is left out, of the number nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._name = self._number = ""
        self.setTextFormat(Qt.PlainText)
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.setFixedHeight(self.fontMetrics().height() + 1)

    def say(self, number: str, name: str = "") -> None:
        """Say a number, and before it whose it is."""
        self._name, self._number = name, number
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Fit the words to the new width."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """No width of its own: the words follow the width there is."""
        return QSize(0, self.height())

    def _fit(self) -> None:
        metrics, after = self.fontMetrics(), f" {self._number}" if self._name else self._number
        room = self.width() - metrics.horizontalAdvance(after) - 2
        name = metrics.elidedText(self._name, Qt.ElideMiddle, room) if self._name else ""
        self.setText(f"{name}{after}")
