"""Where the mouse is on napari's canvas, told at most once a frame; nothing is drawn for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.roles import ROLE
from voxcam.plugin.canvas.shown_slice import ShownSlice

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray

    from voxcam.plugin.review.review import Review

FRAME_MS = 30


class Hover(QObject):  # type: ignore[misc]
    """Tell the world point under the mouse, and the moment shown; again when another slice comes under it.

    Parameters
    ----------
    viewer
        napari's viewer.
    review
        What is read.
    parent
        The widget it belongs to.
    """

    hovered = Signal(object)  # a world point, RAS+ mm; None beside the slice
    labels: tuple[tuple[str, int], ...] = ()  # there, of the reader's own layers of labels: name and value

    def __init__(self, viewer: napari.Viewer, review: Review, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self.slice = viewer, ShownSlice(viewer, review)
        self._last: NDArray[np.float64] | None = None  # in screen pixels from the camera's centre
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tell)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.dims.events.current_step.connect(self.tell_again)
        viewer.dims.events.order.connect(self.tell_again)
        review.study_changed.connect(self._forget)
        for signal in (review.point_changed, review.look_changed, review.explanation_changed):
            signal.connect(self.tell_again)
        review.convention_changed.connect(self.tell_again)

    @property
    def moment(self) -> int:
        """The place of the fourth axis that is shown."""
        return self.slice.moment

    def close(self) -> None:
        """Leave the mouse to napari."""
        disconnect(self.viewer, self)

    def tell_again(self, event: object = None) -> None:
        """Tell what is under the resting mouse now: another slice, another plane, other evidence."""
        if self._last is not None:
            self._start()

    def leave(self) -> None:
        """Take note that the mouse is on another picture."""
        self._last = None

    def _on_move(self, viewer: Any, event: Any) -> None:
        # Where on the screen it is: another plane that comes under it has other axes.
        shown = np.array([event.position[axis] for axis in self._shown])
        self._last = (shown - self._centre) * self._scale
        self._start()

    def _forget(self) -> None:
        self._last = None
        self.hovered.emit(None)

    def _start(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _tell(self) -> None:
        point, self.labels = None, ()
        if self._last is not None and self.slice.is_flat:
            position = self._position(self._last)
            point, self.labels = self.slice.point_at(position), _labels_at(self.viewer, position)
        self.hovered.emit(point)

    def _position(self, on_screen: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the mouse in napari's world, on the slice that is shown now."""
        position = [float(at) for at in self.viewer.dims.point]
        for axis, at in zip(self._shown, self._centre + on_screen / self._scale, strict=True):
            position[axis] = float(at)
        return tuple(position)

    @property
    def _shown(self) -> tuple[int, ...]:
        return tuple(int(axis) for axis in self.viewer.dims.order[-2:])

    @property
    def _centre(self) -> NDArray[np.float64]:
        return np.array(self.viewer.scene.camera.center[-2:], dtype=np.float64)

    @property
    def _scale(self) -> NDArray[np.float64]:
        """Screen pixels in a unit of the world, down and to the right."""
        camera = self.viewer.scene.camera
        down, right = (str(getattr(side, "value", side)) for side in camera.orientation[-2:])
        signs = (1 if down == "down" else -1, 1 if right == "right" else -1)
        return np.array(signs, dtype=np.float64) * float(camera.zoom)


def _labels_at(viewer: Any, position: tuple[float, ...]) -> tuple[tuple[str, int], ...]:
    """Return name and value of the reader's own labels there; the finding is told in words of its own."""
    from napari.layers import Labels

    found = []
    for layer in viewer.layers:
        if isinstance(layer, Labels) and layer.visible and ROLE not in layer.metadata:
            value = layer.get_value(position, world=True)
            value = value[-1] if isinstance(value, tuple) else value  # of several scales: which one, and it
            if value:
                found.append((layer.name, int(value)))
    return tuple(found)
