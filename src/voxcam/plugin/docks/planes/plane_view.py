"""One plane of the study, painted without OpenGL: grey values, evidence, a drawn finding, the crossing point.

Nothing is computed until Qt paints, so a hidden view costs nothing, and what did not change is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from voxcam.plugin.docks.planes.plane_images import PlaneImages
from voxcam.plugin.docks.planes.plane_marks import (
    PAPER,
    draw_bar,
    draw_cross,
    draw_outline,
    write,
    write_letters,
)
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.review.plane import Plane, Sight

if TYPE_CHECKING:
    from voxcam.plugin.review.reading import Point, Reading
    from voxcam.plugin.review.review import Review

_ZOOM_STEP, _ZOOMS = 1.25, (1.0, 32.0)
_NOTCH = 120  # Qt's angle for one click of a mouse wheel
_PAGE = 10  # slices
_TOO_LARGE = "This scan is larger than the memory limit.\nThis plane is drawn in the main picture only."


class PlaneView(QWidget):  # type: ignore[misc]
    """Show one plane; ask for another point by mouse, wheel and keys.

    Parameters
    ----------
    through
        The display axis that is stepped through: 0 axial, 1 coronal, 2 sagittal.
    """

    point_asked = Signal(object)  # world point, RAS+ mm
    right_dragged = Signal(float, float)  # pixels to the right and down since the last
    maximise_asked = Signal()
    hovered = Signal(object)  # the world point under the mouse, RAS+ mm; None beside the picture

    def __init__(self, through: int) -> None:
        super().__init__()
        self.through = through
        self.plane: Plane | None = None
        self.crossed = True
        self._reading: Reading | None = None
        self._moment = 0
        self._point: Point = (0.0, 0.0, 0.0)
        self._zoom, self._shift = 1.0, (0.0, 0.0)
        self._pressed: tuple[Any, QPointF] | None = None
        self._turned = 0
        self._images = PlaneImages()
        self.setFocusPolicy(Qt.StrongFocus)
        self.setContextMenuPolicy(Qt.PreventContextMenu)  # the right button is dragged
        self.setCursor(Qt.CrossCursor)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        self.setMinimumSize(96, 72)
        follow(self, self._restyle)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as a dock."""
        return QSize(300, 300)

    def _restyle(self) -> None:
        self._accent = QColor(colours().accent)
        self.update()

    # --- what is shown

    def show_review(self, review: Review, moment: int = 0) -> None:
        """Show the study on the screen, at its point, in its convention."""
        volume = review.volume
        if self.plane is None or self.plane.volume is not volume:
            self.plane = None
            self._images = PlaneImages()  # those of a study that was large are let go of
            self.reset()
        if volume is None:
            self.plane = None
        elif self.plane is None or self.plane.neurological != review.neurological:
            self.plane = Plane(volume, self.through, review.neurological)
        self._moment = moment
        self.show_look(review)

    def show_look(self, review: Review) -> None:
        """Show window, evidence and point anew; study and convention are the same."""
        self._reading, self._point = review.reading, review.point_mm
        self.update()

    def show_crosshair(self, on: bool) -> None:
        """Show the crossing point, or leave it out."""
        self.crossed = on
        self.update()

    @property
    def index(self) -> int:
        """The slice that is shown."""
        return 0 if self.plane is None else self.plane.index_at(self._point)

    # --- zoom

    @property
    def sight(self) -> Sight:
        """Where the picture lies in the view."""
        shape, pixel = ((1, 1), (1.0, 1.0)) if self.plane is None else (self.plane.shape, self.plane.pixel_mm)
        return Sight(self.width(), self.height(), shape, pixel, self._zoom, self._shift)

    @property
    def is_zoomed(self) -> bool:
        """Whether the picture is larger than the view, or was panned."""
        return self._zoom != 1.0 or self._shift != (0.0, 0.0)

    def reset(self) -> None:
        """Show the whole picture, in the middle."""
        self._zoom, self._shift = 1.0, (0.0, 0.0)
        self.update()

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom; what lies at a place of the view, else at its middle, stays there."""
        x, y = (self.width() / 2, self.height() / 2) if at is None else (at.x(), at.y())
        row, column = self.sight.to_plane(x, y)
        low, high = _ZOOMS
        self._zoom = min(max(self._zoom * factor, low), high)
        if self._zoom == low:
            self.reset()
            return
        now_x, now_y = self.sight.to_view(row, column)
        self._pan(x - now_x, y - now_y)

    def _pan(self, right: float, down: float) -> None:
        self._shift = (self._shift[0] + right, self._shift[1] + down)
        self.update()

    # --- painting

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Paint what Qt asks for."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(PAPER))
        if self.plane is not None and self._reading is not None:
            if self.plane.is_slow:
                write(painter, QRectF(self.rect()), Qt.AlignCenter, _TOO_LARGE)
            else:
                self._paint(painter, self.plane, self._reading)
        if self.hasFocus():
            painter.setPen(QPen(self._accent, 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()

    def _paint(self, painter: QPainter, plane: Plane, reading: Reading) -> None:
        sight, index = self.sight, self.index
        box = QRectF(*sight.box)
        painter.setRenderHint(QPainter.SmoothPixmapTransform, True)
        window = reading.window or plane.volume.window
        painter.drawImage(box, self._images.grey(plane, index, window, self._moment))
        coloured = self._images.evidence(plane, index, reading, sight)
        if coloured is not None:
            # Cells and lines have edges; a smooth picture has fewer pixels than the screen.
            painter.setRenderHint(QPainter.SmoothPixmapTransform, reading.look.drawn == "smooth")
            painter.drawImage(box, coloured)
        painter.setRenderHint(QPainter.Antialiasing, True)
        if reading.mask is not None:
            draw_outline(painter, sight, self._images.outline(plane, index, reading.mask))
        if self.crossed:
            draw_cross(painter, sight, *plane.place_of(self._point))
        room = QRectF(self.rect())
        write(painter, room.adjusted(5, 3, -5, -3), Qt.AlignTop | Qt.AlignLeft, f"{index + 1}/{plane.count}")
        write_letters(painter, room, plane.letters)
        if plane.has_mm:
            draw_bar(painter, room, sight.per_mm)

    # --- mouse and keys

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Ask for the point under the left button; the others are dragged."""
        self._pressed = (event.button(), event.position())
        if event.button() == Qt.LeftButton:
            self._ask_point(event.position())

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Ask for the point under the left button; pan by the middle one; tell of the right one."""
        self.hovered.emit(self._under(event.position()))
        if self._pressed is None:
            return
        button, last = self._pressed
        right, down = event.position().x() - last.x(), event.position().y() - last.y()
        self._pressed = (button, event.position())
        if button == Qt.LeftButton:
            self._ask_point(event.position())
        elif button == Qt.MiddleButton:
            self._pan(right, down)
        elif button == Qt.RightButton:
            self.right_dragged.emit(right, down)

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Let go."""
        self._pressed = None

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Show the whole picture again; if it is shown, ask for more room, or for less."""
        if event.button() != Qt.LeftButton:
            return
        if self.is_zoomed:
            self.reset()
        else:
            self.maximise_asked.emit()

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Step through the slices; with Ctrl, zoom."""
        event.accept()
        self._turned += event.angleDelta().y()
        notches = int(self._turned / _NOTCH)  # towards 0: touchpads turn by less than a notch
        self._turned -= notches * _NOTCH
        if notches and event.modifiers() & Qt.ControlModifier:
            self.zoom_by(_ZOOM_STEP**notches, event.position())
        elif notches:
            self._step(-notches)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Step, zoom, or with Shift move the point on the plane."""
        key, shifted = event.key(), bool(event.modifiers() & Qt.ShiftModifier)
        if shifted and key in _MOVES:
            self._move(*_MOVES[key])
        elif key in _STEPS:
            self._step(_STEPS[key])
        elif key in _ZOOM_KEYS:
            self.zoom_by(_ZOOM_KEYS[key])
        elif key == Qt.Key_Home:
            self.reset()
        elif key in (Qt.Key_Return, Qt.Key_Enter):
            self.maximise_asked.emit()
        else:
            event.ignore()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Say that the mouse is elsewhere."""
        self.hovered.emit(None)

    def _ask_point(self, at: QPointF) -> None:
        point = self._under(at)
        if point is not None:
            self.point_asked.emit(point)

    def _under(self, at: QPointF) -> Point | None:
        """Return the world point there; None beside the picture."""
        if self.plane is None:
            return None
        row, column = self.sight.to_plane(at.x(), at.y())
        return self.plane.moved(self._point, row, column) if self.plane.holds(row, column) else None

    def _step(self, by: int) -> None:
        if self.plane is not None and self.plane.stepped(self._point, by) != self._point:
            self.point_asked.emit(self.plane.stepped(self._point, by))

    def _move(self, rows: int, columns: int) -> None:
        if self.plane is None:
            return
        row, column = self.plane.place_of(self._point)
        if self.plane.holds(row + rows, column + columns):
            self.point_asked.emit(self.plane.moved(self._point, row + rows, column + columns))


# Slices are counted from the head, the front and the right: on is downwards, as in a list.
_STEPS = {
    Qt.Key_Up: -1,
    Qt.Key_Left: -1,
    Qt.Key_Down: 1,
    Qt.Key_Right: 1,
    Qt.Key_PageUp: -_PAGE,
    Qt.Key_PageDown: _PAGE,
}
_MOVES = {Qt.Key_Up: (-1, 0), Qt.Key_Down: (1, 0), Qt.Key_Left: (0, -1), Qt.Key_Right: (0, 1)}
_ZOOM_KEYS = {Qt.Key_Plus: _ZOOM_STEP, Qt.Key_Equal: _ZOOM_STEP, Qt.Key_Minus: 1 / _ZOOM_STEP}
