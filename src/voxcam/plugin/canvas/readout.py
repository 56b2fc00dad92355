"""Where the mouse is on napari's canvas, told at most once a frame; nothing is drawn for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.shown_slice import ShownSlice

if TYPE_CHECKING:
    import napari

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

    def __init__(self, viewer: napari.Viewer, review: Review, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self.slice = viewer, ShownSlice(viewer, review)
        self._last: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tell)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.dims.events.current_step.connect(self._on_step)
        review.study_changed.connect(self._forget)

    @property
    def moment(self) -> int:
        """The place of the fourth axis that is shown."""
        return self.slice.moment

    def close(self) -> None:
        """Leave the mouse to napari."""
        disconnect(self.viewer, self)

    def _on_move(self, viewer: Any, event: Any) -> None:
        self._last = tuple(event.position)
        self._start()

    def _on_step(self, event: object = None) -> None:
        if self._last is not None:
            self._start()

    def _forget(self) -> None:
        self._last = None
        self.hovered.emit(None)

    def _start(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _tell(self) -> None:
        self.hovered.emit(None if self._last is None else self.slice.point_at(self._last))
