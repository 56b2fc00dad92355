"""The end of a room: no work, nothing heard, nothing shown that nobody explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.compat import isalive

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.plugin.review.review import Review
    from voxcam.plugin.room import Room


def leaver(room: Room) -> Callable[[], None]:
    """Return what ends the work and hears no more, once; it must not hold the room itself."""
    runner, review, viewer, cine = room.runner, room.review, room.viewer, room.cine
    heard, keys, beside = room.heard, room.keys, room.beside
    work: tuple[Any, ...] = (room.scanner, room.thumbnails, room.describer)
    picture: tuple[Any, ...] = (
        *(room.crosshair, room.window_drag, room.hover, room.measuring, room.overlays),
        *(room.depth, room.layers),
    )

    def leave() -> None:
        if runner.closed:
            return
        _close(runner, *work)
        if getattr(viewer.window, "_qt_window", None) is not None:  # else napari is closing it, and all in it
            _close(*picture, beside)
        keys.release()
        if isalive(cine):
            cine.stop()
        for unhear in heard:
            unhear()
        _silence(review)

    return leave


def _close(*parts: Any) -> None:
    for part in parts:
        part.close()


def _silence(review: Review) -> None:
    """Let nobody hear of the review any more."""
    for name in dir(type(review)):
        if isinstance(getattr(type(review), name), Signal):
            getattr(review, name).disconnect()
