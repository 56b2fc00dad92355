"""The dock "Planes": the planes that napari's canvas does not show, one above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from voxcam.export.planes import PLANES
from voxcam.plugin.canvas.frame import place_volume
from voxcam.plugin.docks.parts import set_quietly
from voxcam.plugin.docks.planes.plane_view import PlaneView
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.keys import tip

if TYPE_CHECKING:
    from voxcam.plugin.review.plane import Plane
    from voxcam.plugin.review.review import Review

TWO, THREE = "Other two planes", "All three planes"
_FLAT = "This image is one slice deep: it has no other planes."
_NONE = "Open a scan: its other planes are shown here."
_KEYS = (
    "Click or drag: move the crossing point\n"
    "Wheel, arrows, Page Up, Page Down: step through the slices\n"
    "Ctrl + wheel, + and −: zoom; middle button: pan; Home: whole picture\n"
    "Shift + arrows: move the crossing point by a pixel\n"
    "Double click, Enter: this plane alone, and back"
)


class Planes(QWidget):  # type: ignore[misc]
    """Show the study across the planes that the main picture does not show, all crossing at one point.

    Nothing is computed while the dock is hidden.
    """

    point_asked = Signal(object)  # world point, RAS+ mm
    plane_asked = Signal(int)  # 0 axial, 1 coronal, 2 sagittal: to be the main picture
    right_dragged = Signal(float, float)  # pixels to the right and down since the last
    crosshair_asked = Signal(bool)
    hovered = Signal(object)  # the world point under the mouse, or None

    def __init__(self) -> None:
        super().__init__()
        self.choice, self.crosshair = QComboBox(), QCheckBox("Cross&hair")
        self.panes = tuple(_Pane(through) for through in range(3))
        self.stack, self.badge, self.message = QSplitter(Qt.Vertical), QLabel(""), QLabel(_NONE)
        self._main, self._alone, self._moment = 0, -1, 0
        self._review: Review | None = None
        self._lay_out()
        self._connect()
        self._arrange()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as the room beside it."""
        return QSize(318, 640)

    @property
    def views(self) -> tuple[PlaneView, ...]:
        """The view of each plane: axial, coronal, sagittal."""
        return tuple(pane.view for pane in self.panes)

    # --- what the review tells

    def show_review(self, review: Review) -> None:
        """Show the study on the screen, its evidence and its point, in its convention."""
        self._review = review
        for pane in self.panes:
            pane.view.show_review(review, self._moment)
            pane.write()
        self._arrange()

    def show_look(self, review: Review) -> None:
        """Show window and evidence anew; study and convention are the same."""
        for view in self.views:
            view.show_look(review)

    def show_point(self, review: Review) -> None:
        """Show where the planes cross now; all else is the same."""
        for pane in self.panes:
            pane.view.show_look(review)
            pane.write()

    def show_main(self, through: int) -> None:
        """Take note of the plane that the main picture shows; -1 if it shows none of them, as in 3D."""
        self._main = through
        self._alone = -1 if self._alone == through else self._alone
        self._arrange()

    def show_moment(self, place: int) -> None:
        """Show another moment of a volume in time."""
        changed, self._moment = place != self._moment, place
        if changed and self._review is not None:
            for view in self.views:
                view.show_review(self._review, place)

    def show_crosshair(self, on: bool) -> None:
        """Draw the crossing point, or leave it out."""
        set_quietly(self.crosshair, "setChecked", on)
        for view in self.views:
            view.show_crosshair(on)

    # --- what is asked

    def _connect(self) -> None:
        self.choice.currentIndexChanged.connect(lambda _: self._arrange())
        self.crosshair.toggled.connect(self._toggle_crosshair)
        for through, pane in enumerate(self.panes):
            pane.view.point_asked.connect(self.point_asked)
            pane.view.right_dragged.connect(self.right_dragged)
            pane.view.hovered.connect(self.hovered)
            pane.view.maximise_asked.connect(lambda n=through: self._maximise(n))
            pane.alone.clicked.connect(lambda _=False, n=through: self._maximise(n))
            pane.swap.clicked.connect(lambda _=False, n=through: self.plane_asked.emit(n))

    def _toggle_crosshair(self, on: bool) -> None:
        self.show_crosshair(on)
        self.crosshair_asked.emit(on)

    def _maximise(self, through: int) -> None:
        self._alone = -1 if self._alone == through else through
        self._arrange()

    # --- putting it together

    def _lay_out(self) -> None:
        column, top = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(6)
        self.choice.addItems([TWO, THREE])
        self.choice.setToolTip("Which planes are shown beside the main picture")
        self.choice.setAccessibleName("Planes shown")
        self.crosshair.setChecked(True)
        self.crosshair.setToolTip("Mark in every picture the point at which the planes cross")
        top.addWidget(self.choice, 1)
        top.addWidget(self.crosshair)
        column.addLayout(top)
        self.stack.setChildrenCollapsible(False)
        for pane in self.panes:
            self.stack.addWidget(pane)
        column.addWidget(self.stack, 1)
        column.addWidget(self.message, 1)
        column.addWidget(self.badge)
        self.message.setAlignment(Qt.AlignCenter)
        for words in (self.message, self.badge):
            words.setWordWrap(True)
        self.badge.hide()
        self.setMinimumWidth(180)
        follow(self, self._restyle)

    def _restyle(self) -> None:
        self.message.setStyleSheet(f"color: {colours().quiet}")
        self.badge.setStyleSheet(f"color: {colours().warning}")

    def _arrange(self) -> None:
        """Show the panes that are wanted, or say why there are none."""
        volume = self._review.volume if self._review is not None else None
        flat = volume is not None and 1 in volume.shape
        wanted = () if volume is None or flat else self._wanted()
        badge = place_volume(volume).badge if wanted and volume is not None else ""
        for through, pane in enumerate(self.panes):
            pane.show_place(main=through == self._main, alone=through == self._alone)
            pane.setVisible(through in wanted)
        self.message.setText(_FLAT if flat else _NONE)
        self.message.setVisible(not wanted)
        self.badge.setText(badge)
        self.badge.setVisible(bool(badge))
        for part in (self.choice, self.crosshair):
            part.setEnabled(bool(wanted))
        self.stack.setVisible(bool(wanted))

    def _wanted(self) -> tuple[int, ...]:
        if self._alone >= 0:
            return (self._alone,)
        all_three = self.choice.currentText() == THREE
        return tuple(through for through in range(3) if all_three or through != self._main)


class _Pane(QWidget):  # type: ignore[misc]
    """A view under a line that says which plane it is."""

    def __init__(self, through: int) -> None:
        super().__init__()
        self.view, self.words = PlaneView(through), QElidingLabel()
        self.swap, self.alone = _SignButton(_SWAP), _SignButton(_LARGE)
        self._written: tuple[Plane, int] | None = None
        self.view.setAccessibleDescription(_KEYS)  # a tooltip would lie on the picture that is read
        self._lay_out()

    def write(self) -> None:
        """Say which plane it is, and where; of a hidden one when it is shown."""
        plane, index = self.view.plane, self.view.index
        if plane is None or not self.isVisible() or (plane, index) == self._written:
            return
        self._written = (plane, index)
        self.words.setText(plane.where(index))
        self.words.setToolTip(f"{plane.words(index)}\n\n{_KEYS}")
        self.view.setAccessibleName(plane.words(index))
        words = f"Show the {plane.name} plane in the main picture, and the main picture's plane here"
        self.swap.say(tip(words, PLANES[self.view.through]))

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Say what was left unsaid while it was hidden."""
        self.write()

    def show_place(self, *, main: bool, alone: bool) -> None:
        """Show whether it is the main picture's plane too, and whether it has the dock alone."""
        self.swap.setVisible(not main)
        self.alone.sign = _SMALL if alone else _LARGE
        self.alone.say(
            "Show the other planes again (Enter)" if alone else "Show this plane alone here (Enter)"
        )

    def _lay_out(self) -> None:
        column, line = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        line.setSpacing(0)
        self.words.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)
        self.words.setElideMode(Qt.ElideRight)
        line.addWidget(self.words, 1)
        line.addWidget(self.swap)
        line.addWidget(self.alone)
        column.addLayout(line)
        column.addWidget(self.view, 1)


# Lines through points of a square, 0 to 1, right and down: two arrows; a frame; a frame within a frame.
_Sign = tuple[tuple[tuple[float, float], ...], ...]
_FRAME = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0))
_SWAP: _Sign = (
    ((0.0, 0.3), (1.0, 0.3), (0.7, 0.0)),
    ((1.0, 0.7), (0.0, 0.7), (0.3, 1.0)),
)
_LARGE: _Sign = (_FRAME,)
_SMALL: _Sign = (_FRAME, ((0.0, 0.5), (0.5, 0.5), (0.5, 1.0)))


class _SignButton(QToolButton):  # type: ignore[misc]
    """A button with a sign of a few lines, as large as the words and in their colour."""

    def __init__(self, sign: _Sign) -> None:
        super().__init__()
        self.sign = sign
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.TabFocus)
        follow(self, self._restyle)

    def say(self, words: str) -> None:
        """Tell what it does."""
        if words != self.toolTip():
            self.setToolTip(words)
            self.setAccessibleName(words)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a little more than a line of words."""
        side = self.fontMetrics().height() + 6
        return QSize(side, side)

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Paint the button, and the sign on it."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing, True)
        size = self.fontMetrics().height() * 0.6
        painter.translate((self.width() - size) / 2, (self.height() - size) / 2)
        path = QPainterPath()
        for line in self.sign:
            path.moveTo(QPointF(*line[0]) * size)
            for point in line[1:]:
                path.lineTo(QPointF(*point) * size)
        painter.strokePath(path, QPen(QColor(self._chosen if self.hasFocus() else self._usual), 1.4))
        painter.end()

    def _restyle(self) -> None:
        self._usual, self._chosen = colours().text, colours().accent
        self.update()
