"""What the colours of the evidence mean: a strip for each class on the screen, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, QRect, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from voxcam.export.style import SIGNED
from voxcam.plugin.docks.evidence.class_colours import gradient
from voxcam.plugin.docks.theme import colours, follow

if TYPE_CHECKING:
    from voxcam.export.style import HeatmapStyle
    from voxcam.plugin.review.reading import Reading

MOST = 3
# More strips than this are thinner: the table of classes shall keep its rows.
_ROOMY = 2
# Share of the width that names may take.
_NAMES = 0.36
_GAP = 6
_FAINT = 0.4


@dataclass(frozen=True)
class Bar:
    """One class's strip: from which value to which, in what unit."""

    name: str
    style: HeatmapStyle
    unit: str

    @property
    def ends(self) -> tuple[str, str]:
        """Both ends as numbers."""
        return number(self.style.low), number(self.style.high)

    @property
    def marks(self) -> tuple[float, ...]:
        """Where along the strip, 0..1, evidence begins to be shown; none without a threshold."""
        share = self.style.threshold
        if share == 0:
            return ()
        return ((1 - share) / 2, (1 + share) / 2) if self.style.colours == SIGNED else (share,)

    @property
    def words(self) -> str:
        """All of it in words."""
        low, high = self.ends
        least = self.style.threshold * self.style.high
        hidden = f"; nothing is drawn up to {'±' * (self.style.low < 0)}{number(least)}" if least else ""
        signed = "; blue speaks against the class, orange for it" if self.style.colours == SIGNED else ""
        return f"{self.name}: {low} to {high} {self.unit}{hidden}{signed}"


class ColourBars(QWidget):  # type: ignore[misc]
    """A strip of colours from low to high for each class on the screen, the first few."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars: tuple[Bar, ...] = ()
        self.more = 0
        self.faint = False
        self.colours = colours()
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        self.hide()
        follow(self, self._restyle)

    def show_reading(self, reading: Reading) -> None:
        """Show the colours of the classes whose heatmap is on; faint while all are hidden."""
        shown = replace(reading, look=replace(reading.look, hidden=False)) if reading.look.hidden else reading
        pairs = [(name, shown.heatmap(name)) for name in shown.visible]
        bars = [Bar(name, shown.style(name), heatmap.unit_words) for name, heatmap in pairs if heatmap]
        before = (self.bars, self.more, self.faint)
        self.bars, self.more = tuple(bars[:MOST]), max(len(bars) - MOST, 0)
        self.faint = reading.look.hidden
        if before != (self.bars, self.more, self.faint):
            self.setAccessibleDescription(". ".join(bar.words for bar in self.bars))
            self.setVisible(bool(self.bars))
            self.updateGeometry()
            self.update()

    @property
    def is_common(self) -> bool:
        """Whether one line of numbers holds for all strips."""
        return len({(bar.style.low, bar.style.high, bar.unit) for bar in self.bars}) == 1

    @property
    def more_words(self) -> str:
        """How many classes have no strip here; "" if all have."""
        return f"+ {self.more} more" if self.more else ""

    @property
    def foot(self) -> tuple[str, str, str]:
        """What stands below the strips: at their low end, in the middle, and at the high end."""
        if not self.bars:
            return "", "", ""
        low, high = self.bars[0].ends if self.is_common else ("", "")
        middle = "0   " if self.is_common and self.bars[0].style.colours == SIGNED else ""
        return low, f"{middle}{self.bars[0].unit}", high

    def strip(self, number: int) -> QRect:
        """Return the place of the colours of a class."""
        line, metrics = self._line, self.fontMetrics()
        words = [*(bar.name for bar in self.bars), self.more_words]
        names = max(metrics.horizontalAdvance(text) for text in words)
        # Two pixels more: the advance of a text is rounded.
        left = min(names + 2, int(_NAMES * self.width())) + _GAP
        right = 1
        if not self.is_common:
            lows, highs = zip(*(bar.ends for bar in self.bars), strict=True)
            left += max(metrics.horizontalAdvance(low) for low in lows) + _GAP
            right += max(metrics.horizontalAdvance(high) for high in highs) + _GAP
        return QRect(left, number * line + 3, max(self.width() - left - right, 1), line - 6)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the room for a line each and one below."""
        return QSize(200, (len(self.bars) + 1) * self._line if self.bars else 0)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As high as it would be, however narrow."""
        return QSize(80, self.sizeHint().height())

    def event(self, event: Any) -> bool:
        """Tell in a tooltip what the strip under the mouse means."""
        if event.type() != QEvent.ToolTip or not self.bars:
            return bool(super().event(event))
        at = min(event.pos().y() // self._line, len(self.bars) - 1)
        QToolTip.showText(event.globalPos(), self.bars[at].words, self)
        return True

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the strips and their numbers."""
        painter = QPainter(self)
        painter.setOpacity(_FAINT if self.faint else 1.0)
        for number, bar in enumerate(self.bars):
            self._paint_bar(painter, bar, self.strip(number))
        if self.bars:
            self._paint_foot(painter)
        painter.end()

    # --- steps

    @property
    def _line(self) -> int:
        return int(self.fontMetrics().height()) + (3 if len(self.bars) <= _ROOMY else 0)

    def _restyle(self) -> None:
        self.colours = colours()
        self.update()

    def _paint_bar(self, painter: QPainter, bar: Bar, strip: QRect) -> None:
        metrics = self.fontMetrics()
        line = QRect(0, strip.top() - 3, self.width(), self._line)
        painter.setPen(QColor(self.colours.text))
        low, high = ("", "") if self.is_common else bar.ends
        room = strip.left() - _GAP - (metrics.horizontalAdvance(low) + _GAP if low else 0)
        painter.drawText(line, Qt.AlignVCenter, metrics.elidedText(bar.name, Qt.ElideMiddle, room))
        painter.setPen(QColor(self.colours.quiet))
        painter.drawText(line.adjusted(0, 0, strip.left() - _GAP - line.width(), 0), _AT_RIGHT, low)
        painter.drawText(line.adjusted(strip.right() + _GAP, 0, 0, 0), Qt.AlignVCenter, high)
        painter.setPen(QPen(QColor(self.colours.line), 1))
        painter.setBrush(gradient(bar.style.colours, strip, bar.style.threshold, on_black=True))
        painter.drawRect(strip.adjusted(0, 0, -1, -1))
        painter.setPen(QPen(QColor("#ffffff"), 1.5))  # on the strip itself, which is black there
        for mark in bar.marks:
            x = strip.left() + mark * strip.width()
            painter.drawLine(QPointF(x, strip.top() - 1), QPointF(x, strip.bottom() + 1))

    def _paint_foot(self, painter: QPainter) -> None:
        strip = self.strip(len(self.bars))
        line = QRect(strip.left(), strip.top() - 4, strip.width(), self._line)
        low, middle, high = self.foot
        painter.setPen(QColor(self.colours.quiet))
        painter.drawText(line, Qt.AlignLeft | Qt.AlignVCenter, low)
        painter.drawText(line, Qt.AlignCenter, middle)
        painter.drawText(line, _AT_RIGHT, high)
        if self.more:
            painter.drawText(
                QRect(0, line.top(), line.left(), line.height()), Qt.AlignVCenter, self.more_words
            )


_AT_RIGHT = Qt.AlignRight | Qt.AlignVCenter


def number(value: float) -> str:
    """Return an end of a range, with a minus sign as long as a plus."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
