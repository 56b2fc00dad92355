"""The right mouse button on napari's canvas sets the window: across the width, up and down the level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.review.windows import FINE, dragged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari

    from voxcam.core.windows import Window

RIGHT = 2  # as vispy counts buttons
FRAME_MS = 16  # one redraw a frame of the screen


class WindowDrag:
    """Ask for another window while the right button is dragged; double-clicked, for the study's own.

    Shift makes it fine. In 3-D the right button stays napari's: it zooms.

    Parameters
    ----------
    viewer
        napari's viewer.
    ask
        Is told the window to show, at most once a frame.
    window_of
        Returns the window shown now; None if no study is open.
    own_of
        Returns the study's own window.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        ask: Callable[[Window], None],
        window_of: Callable[[], Window | None],
        own_of: Callable[[], Window | None] | None = None,
    ) -> None:
        self.viewer, self.ask, self.window_of, self.own_of = viewer, ask, window_of, own_of
        self.dragging = False
        self._wanted: Window | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._tell)
        viewer.mouse_drag_callbacks.append(self._drag)
        _without_right_button(viewer.mouse_double_click_callbacks)
        viewer.mouse_double_click_callbacks.append(self._reset)

    def close(self) -> None:
        """Leave the mouse to napari."""
        disconnect(self.viewer, self)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """Follow a drag of the right button from press to release."""
        start = self.window_of()
        if event.button != RIGHT or viewer.dims.ndisplay != 2 or start is None:
            return
        # What is dealt with here never reaches vispy's camera, whose right button zooms.
        event.handled = True
        at, dx, dy = event.pos, 0.0, 0.0
        self.dragging = True
        yield
        while event.type == "mouse_move":
            speed = FINE if "Shift" in event.modifiers else 1.0
            dx += speed * float(event.pos[0] - at[0])
            dy += speed * float(event.pos[1] - at[1])
            at = event.pos
            event.handled = True
            self._want(dragged(start, dx, dy))
            yield
        self.dragging = False
        self._timer.stop()
        self._tell()

    def _reset(self, viewer: Any, event: Any) -> None:
        own = self.own_of() if self.own_of is not None else None
        if event.button == RIGHT and viewer.dims.ndisplay == 2 and own is not None:
            event.handled = True
            self._wanted = None
            self.ask(own)

    def _want(self, window: Window) -> None:
        self._wanted = window
        if not self._timer.isActive():
            self._timer.start()

    def _tell(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.ask(wanted)


def _without_right_button(callbacks: list[Any]) -> None:
    """Keep the double right click from napari's own callbacks: one zooms in, whatever the button."""
    for place, callback in enumerate(callbacks):
        callbacks[place] = _other_buttons(callback)


def _other_buttons(callback: Any) -> Any:
    def call(viewer: Any, event: Any) -> None:
        if event.button != RIGHT or viewer.dims.ndisplay != 2:
            callback(viewer, event)

    return call
