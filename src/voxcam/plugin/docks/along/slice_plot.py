"""The scores along the slices: what the model said at each place it was run on, and where the reader is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPixmap, QTextOption
from qtpy.QtWidgets import QSizePolicy, QWidget

from voxcam.export.planes import PLANES
from voxcam.plugin.docks.along.slice_curves import (
    MARGIN,
    Curve,
    Scale,
    draw_axes,
    draw_curve,
    draw_focus,
    draw_head,
    draw_place,
    tick,
)
from voxcam.plugin.docks.evidence.class_colours import hue
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.along import Along, along, classes_along
from voxcam.plugin.review.reading import Reading

if TYPE_CHECKING:
    from voxcam.core.explanation import Explanation
    from voxcam.plugin.review.reading import Point
    from voxcam.plugin.review.review import Review

TITLE = "Scores along the slices"
NOTHING_YET = "Scores along the slices are shown after a run, of models that read slices or windows."
ONE_PIECE = "The model read this study in one piece: there are no scores along its slices."
# Curves that can still be told apart.
MOST = 8
HEIGHT = 110
# Of the way to the next window: how long the stroke at one is.
_STROKE = 0.8
_TIP = "Click or drag to go to a slice; arrow keys step."
_WINDOWS_TIP = f"""{_TIP}
Each faint dot is the score of one window the network read, at the slice of its middle.
The line is the highest of them on a slice, of each class by itself: so all classes can be high at once."""
_PAGE = 10


class SlicePlot(QWidget):  # type: ignore[misc]
    """Scores of the visible classes along the axis stepped through; a click goes to a slice.

    Signals: `slice_asked` (world point, RAS+ mm), `filled` (whether there is anything to plot).
    """

    slice_asked = Signal(object)
    filled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.reading = Reading()
        self.through = 0
        self.along: Along | None = None
        self.names: tuple[str, ...] = ()
        self.hovered: int | None = None
        self._of: tuple[Explanation | None, int] = (None, 0)
        self._point: Point = (0.0, 0.0, 0.0)
        self._picture: tuple[object, QPixmap] | None = None
        self.colours = colours()
        self.setFocusPolicy(Qt.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(TITLE)
        self.setToolTip(_TIP)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Preferred)
        self.setMinimumHeight(6 * self.fontMetrics().height())
        follow(self, self._restyle)

    # --- what is shown

    def show_review(self, review: Review) -> None:
        """Show the scores of the study on the screen; nothing if the model read it in one piece."""
        self.reading, self._point = review.reading, review.point_mm
        self._bring_up_to_date()

    def show_plane(self, through: int) -> None:
        """Show the scores along another display axis: 0 axial, 1 coronal, 2 sagittal."""
        self.through = through
        self._bring_up_to_date()

    def show_point(self, review: Review) -> None:
        """Mark the slice the reader is on."""
        self._point = review.point_mm
        if self.along is not None:
            self.update()

    @property
    def current(self) -> int:
        """The slice the reader is on, 0 the first."""
        if self.along is None:
            return 0
        return min(max(round(self.along.slice_of(self._point)), 0), self.along.count - 1)

    @property
    def words(self) -> str:
        """The scores at the slice under the mouse, else at the reader's, in a line; or why there are none."""
        if self.along is None:
            return NOTHING_YET if self.reading.explanation is None else ONE_PIECE
        if not self.along.is_spread:
            return self._elsewhere()
        return f"{self._place_words()}: {', '.join(f'{name} {score}' for name, score, _ in self.told())}"

    def told(self) -> list[tuple[str, str, str]]:
        """Return name, score in words and colour of each class drawn, at the slice that is told of."""
        if self.along is None or self.reading.explanation is None:
            return []
        scores = self.along.highest[self.along.nearest(self._told_of)]
        words, column = self.reading.explanation.answer.words, self.along.names.index
        return [(name, words(float(scores[column(name)])), self.hue(name)) for name in self.names]

    def hue(self, name: str) -> str:
        """Return the colour of a class's curve."""
        return hue(self.reading.colours(name), self.colours.panel)

    def scale(self) -> Scale:
        """Return where slices and scores are drawn."""
        metrics = self.fontMetrics()
        low, high = self._range()
        left = max(metrics.horizontalAdvance(tick(value)) for value in (low, high, (low + high) / 2)) + MARGIN
        top, bottom = metrics.height() + 8, metrics.height() + 4
        box = QRect(left, top, max(self.width() - left - MARGIN, 1), max(self.height() - top - bottom, 1))
        return Scale(box, self.along.count if self.along else 1, low, high)

    # --- what Qt asks

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as there is room."""
        return QSize(400, max(HEIGHT, 6 * self.fontMetrics().height()))

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the curves, the thresholds, and where the reader is."""
        painter = QPainter(self)
        painter.setRenderHint(painter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(self.colours.panel))
        if self.along is not None and self.along.is_spread:
            self._paint(painter, self.along)
        else:
            painter.setPen(QColor(self.colours.quiet))
            # Wraps, as a QTextOption does unless told.
            painter.drawText(
                QRectF(self.rect()).adjusted(8, 0, -8, 0), self.words, QTextOption(Qt.AlignCenter)
            )
        if self.hasFocus():
            draw_focus(painter, self.rect(), self.colours)
        painter.end()

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Go to the slice that was clicked."""
        if event.button() == Qt.LeftButton:
            self._ask_at(event)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Tell of the slice under the mouse, and follow a drag."""
        hovered = self.scale().slice_at(_x(event))
        if event.buttons() & Qt.LeftButton:
            self._ask_at(event)
        if hovered != self.hovered:
            self.hovered = hovered
            self.update()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Tell of the reader's slice again."""
        self.hovered = None
        self.update()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Arrows step by a slice, Page Up and Down by ten, Home and End go to the ends."""
        steps = {
            Qt.Key_Left: self.current - 1,
            Qt.Key_Right: self.current + 1,
            Qt.Key_PageUp: self.current - _PAGE,
            Qt.Key_PageDown: self.current + _PAGE,
            Qt.Key_Home: 0,
            Qt.Key_End: self.along.count - 1 if self.along else 0,
        }
        if event.key() in steps:
            self.hovered = None
            self._ask(steps[event.key()])
        else:
            super().keyPressEvent(event)

    # --- steps

    def _restyle(self) -> None:
        self.colours = colours()
        self.update()

    def _bring_up_to_date(self) -> None:
        before, reading = self.along is not None, self.reading
        of = (reading.explanation, self.through)
        if self._of != of:
            self._of, self.along = of, self._along()
            self.hovered = None
        self.names = classes_along(reading)[:MOST]
        if before != (self.along is not None):
            self.filled.emit(self.along is not None)
        self.setToolTip(_WINDOWS_TIP if self.along is not None and self.along.has_windows else _TIP)
        self.update()

    def _along(self) -> Along | None:
        explanation, windows, volume = self.reading.explanation, self.reading.windows, self.reading.volume
        if explanation is None or windows is None or volume is None:
            return None
        found = along(windows, explanation.classes, volume.geometry, self.through)
        return found if found.count > 1 else None

    def _paint(self, painter: QPainter, found: Along) -> None:
        scale = self.scale()
        curves = tuple(self._curve(found, name) for name in reversed(self.names))  # the most probable on top
        painter.drawPixmap(0, 0, self._drawn(scale, curves))
        if self.hovered is not None:
            draw_place(painter, scale, self.hovered, self.colours.quiet)
        draw_place(painter, scale, self.current, self.colours.text)
        told = [(f"{name} {score}", colour) for name, score, colour in self.told()]
        draw_head(painter, scale, [(self._place_words(), self.colours.quiet), *told])

    def _drawn(self, scale: Scale, curves: tuple[Curve, ...]) -> QPixmap:
        """Return axes and curves, drawn anew only if they changed: the reader may run through the slices."""
        key = (scale, self.colours, self.devicePixelRatioF(), self._of, curves)
        if self._picture is None or self._picture[0] != key:
            pixmap = QPixmap(self.size() * self.devicePixelRatioF())
            pixmap.setDevicePixelRatio(self.devicePixelRatioF())
            pixmap.fill(QColor(self.colours.panel))
            painter = QPainter(pixmap)
            painter.setFont(self.font())
            painter.setRenderHint(painter.RenderHint.Antialiasing)
            draw_axes(painter, scale, self.colours)
            for curve in curves:
                draw_curve(painter, scale, curve)
            painter.end()
            self._picture = (key, pixmap)
        return self._picture[1]

    def _curve(self, found: Along, name: str) -> Curve:
        column = found.names.index(name)
        explanation = self.reading.explanation
        threshold = explanation.answer.thresholds.get(name) if explanation else None
        dots = (found.at, found.scores[:, column]) if found.has_windows else None
        half = found.apart * _STROKE / 2 if found.is_sparse else 0.0
        return Curve(name, self.hue(name), threshold, found.positions, found.highest[:, column], dots, half)

    def _range(self) -> tuple[float, float]:
        """Return 0 and 1 for probabilities, else the ends of what is drawn."""
        explanation, found = self.reading.explanation, self.along
        if found is None or explanation is None or explanation.answer.is_probability:
            return 0.0, 1.0
        drawn = found.scores[:, [found.names.index(name) for name in self.names]]
        seen = drawn[np.isfinite(drawn)]
        if not seen.size:
            return 0.0, 1.0
        low, high = float(seen.min()), float(seen.max())
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    @property
    def _told_of(self) -> int:
        return self.current if self.hovered is None else self.hovered

    def _place_words(self) -> str:
        if self.along is None:
            return ""
        at = self._told_of
        nearest = round(float(self.along.positions[self.along.nearest(at)]))
        words = f"slice {at + 1} of {self.along.count}"
        if self.along.has_windows:
            where = "here" if nearest == at else f"at {nearest + 1}"
            return f"{words}, highest window {where}"
        return words if nearest == at else f"{words}, read at {nearest + 1}"

    def _elsewhere(self) -> str:
        """Say along which plane's slices the scores differ."""
        explanation, volume, windows = self.reading.explanation, self.reading.volume, self.reading.windows
        if explanation is None or volume is None or windows is None:
            return ""
        tried = {
            plane: along(windows, explanation.classes, volume.geometry, n) for n, plane in enumerate(PLANES)
        }
        plane = max(tried, key=lambda one: len(tried[one].positions))
        return f"The model was run on places along the {plane} slices: show these to see its scores there."

    def _ask_at(self, event: Any) -> None:
        self._ask(self.scale().slice_at(_x(event)))

    def _ask(self, number: int) -> None:
        if self.along is None or not self.along.is_spread:
            return
        number = min(max(number, 0), self.along.count - 1)
        if number != self.current:
            self.slice_asked.emit(self.along.point_on(number, self._point))


def _x(event: Any) -> float:
    return float(event.position().x())
