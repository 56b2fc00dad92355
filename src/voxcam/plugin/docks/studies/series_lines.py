"""How a row of the series tree is drawn: its picture, its findings, what is open, and up to three lines."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPoint, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QToolTip

from voxcam.plugin.docks.studies.series_rows import ROW
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.review.catalogue import PlaceRow
from voxcam.plugin.review.series_row import SeriesRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.docks.studies.series_tree import SeriesTree
    from voxcam.plugin.review.badges import Badge
    from voxcam.plugin.review.catalogue import Mark, Row, StudyRow

_PAD = 4


class RowLines(QStyledItemDelegate):  # type: ignore[misc]
    """Draws a row: picture, badges, and up to three lines of words."""

    def __init__(self, tree: SeriesTree) -> None:
        super().__init__(tree)
        self.tree = tree
        self.restyle()

    def restyle(self) -> None:
        """Take the colours and fonts of the theme, once for all rows."""
        self.colours = {name: QColor(value) for name, value in vars(colours()).items()}
        self.chosen_ground = _mixed(self.colours["background"], self.colours["accent"], 0.4)
        self.plain, self.bold = QFont(self.tree.font()), QFont(self.tree.font())
        self.bold.setBold(True)
        self.small = QFont(self.bold)
        self.small.setPointSizeF(max(0.8 * self.bold.pointSizeF(), 6))
        self.line_height, self.small_height = (
            QFontMetrics(self.bold).height(),
            QFontMetrics(self.small).height(),
        )

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802 - Qt's name
        """Three lines of words: the same for every row."""
        return QSize(20 * self.line_height, 3 * self.line_height + 2 * _PAD)

    def paint(self, painter: QPainter, option: Any, index: Any) -> None:
        """Draw the row."""
        row: Row = index.data(ROW)
        box = option.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        painter.save()
        self._draw_ground(painter, option)
        if isinstance(row, SeriesRow):
            words = self._draw_series(painter, box, row)
            lines = (row.title, row.extent, row.details)
        else:
            words = self._draw_group(painter, box, row)
            lines = (row.title, row.words, row.left_out)
        strong = isinstance(row, PlaceRow) or self.tree.marks.get(row.key) == "shown"
        painter.setFont(self.bold if strong else self.plain)
        painter.setPen(self.colours["text"])
        self._draw_lines(painter, words, lines, self.colours["text" if _is_chosen(option) else "quiet"])
        painter.restore()

    def helpEvent(self, event: Any, view: Any, option: Any, index: Any) -> bool:  # noqa: N802 - Qt's name
        """Tell all there is to say of the row under the mouse."""
        if event.type() != QEvent.ToolTip or index.data(ROW) is None:
            return bool(super().helpEvent(event, view, option, index))
        row = index.data(ROW)
        lines = (*row.lines, self.tree.mark_words(row))
        told = "<br>".join(escape(line) for line in lines if line)  # free text of a file is no markup
        QToolTip.showText(event.globalPos(), f"<p style='white-space:pre'>{told}</p>", view)
        return True

    # --- steps

    def _draw_ground(self, painter: QPainter, option: Any) -> None:
        if _is_chosen(option):
            painter.fillRect(option.rect, self.chosen_ground)
        if option.state & QStyle.State_HasFocus:
            painter.setPen(self.colours["accent"])
            painter.drawRect(option.rect.adjusted(0, 0, -1, -1))

    def _draw_series(self, painter: QPainter, box: QRect, row: SeriesRow) -> QRect:
        """Draw picture, badges and mark of a series; return the box beside them for its words."""
        picture = QRect(box.topLeft(), QSize(box.height(), box.height()))
        self._draw_picture(painter, picture, row)
        self._draw_badges(painter, picture.adjusted(0, 0, _PAD // 2, 0), row.badges)
        self._draw_mark(painter, picture, self.tree.marks.get(row.key))
        return box.adjusted(picture.width() + 2 * _PAD - 1, 0, 0, 0)

    def _draw_group(self, painter: QPainter, box: QRect, row: PlaceRow | StudyRow) -> QRect:
        """Draw the badges of a place or study; return the box beside them for its words."""
        self._draw_badges(painter, box, row.badges)
        return box.adjusted(0, 0, -2 * self.small_height * bool(row.badges), 0)

    def _draw_picture(self, painter: QPainter, place: QRect, row: SeriesRow) -> None:
        picture = self.tree.pictures.get(row.key)
        painter.fillRect(place, Qt.black if picture else self.colours["panel"])
        if picture is None:
            painter.setPen(self.colours["quiet"])
            painter.drawText(place, Qt.AlignCenter, row.modality[:4])
        else:
            painter.setRenderHint(QPainter.SmoothPixmapTransform)
            size = picture.size().scaled(place.size(), Qt.KeepAspectRatio)
            inside = QRect(QPoint(0, 0), size)
            inside.moveCenter(place.center())
            painter.drawImage(inside, picture)

    def _draw_badges(self, painter: QPainter, box: QRect, badges: Sequence[Badge]) -> None:
        """Draw how many findings there are, in the upper right: those that stop it are marked "!" as well."""
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setFont(self.small)
        for number, badge in enumerate(badges):
            corner = box.topRight() + QPoint(0, number * (self.small_height + 2))
            self._draw_badge(painter, corner, badge)

    def _draw_badge(self, painter: QPainter, corner: QPoint, badge: Badge) -> None:
        """Draw the findings of one weight, left of an upper right corner."""
        words = f"!{badge.count}" if badge.stops else str(badge.count)
        width = max(self.small_height, QFontMetrics(self.small).horizontalAdvance(words) + 2 * _PAD)
        place = QRect(corner.x() - width, corner.y(), width, self.small_height)
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colours["error" if badge.stops else "warning"])
        painter.drawRoundedRect(place, self.small_height / 2, self.small_height / 2)
        painter.setPen(self.colours["background"])
        painter.drawText(place, Qt.AlignCenter, words)

    def _draw_mark(self, painter: QPainter, picture: QRect, mark: Mark | None) -> None:
        """Draw a dot at the picture's foot: filled of what is on the screen, a ring of what else is open."""
        if mark is None:
            return
        size = self.line_height // 2 + 1
        place = QRect(picture.left() + 2, picture.bottom() - size - 1, size, size)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(self.colours["background"])
        painter.drawEllipse(place.adjusted(-2, -2, 2, 2))
        painter.setPen(QPen(self.colours["good"], 2))
        painter.setBrush(self.colours["good"] if mark == "shown" else Qt.NoBrush)
        painter.drawEllipse(place)

    def _draw_lines(self, painter: QPainter, box: QRect, lines: Sequence[str], quiet: QColor) -> None:
        """Draw lines in the middle of a box: the first with the painter's pen, the others stepping back."""
        said = [words for words in lines if words]
        place = QRect(box.left(), box.top(), box.width(), self.line_height)
        place.translate(0, (box.height() - len(said) * self.line_height) // 2)
        for words in said:
            elided = painter.fontMetrics().elidedText(words, Qt.ElideRight, place.width())
            painter.drawText(place, Qt.AlignLeft | Qt.AlignVCenter, elided)
            painter.setFont(self.plain)
            painter.setPen(quiet)
            place.translate(0, self.line_height)


def _is_chosen(option: Any) -> bool:
    return bool(option.state & QStyle.State_Selected)


def _mixed(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour between two: `share` of the other."""
    pairs = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a + (b - a) * share) for a, b in pairs))
