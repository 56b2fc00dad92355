"""Hearing nothing more of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel


def disconnect(viewer: ViewerModel, listener: object) -> None:
    """Let none of the methods of `listener` be called by the viewer's events, nor by its mouse."""
    from napari.utils.events.event_utils import disconnect_events

    for group in (
        viewer.dims.events,
        viewer.layers.events,
        viewer.scene.camera.events,
        viewer.canvas.events,
    ):
        disconnect_events(group, listener)
    for callbacks in (
        viewer.mouse_drag_callbacks,
        viewer.mouse_move_callbacks,
        viewer.mouse_double_click_callbacks,
    ):
        callbacks[:] = [one for one in callbacks if getattr(one, "__self__", None) is not listener]
