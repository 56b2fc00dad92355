"""The end of a room: no work, nothing heard, nothing shown that nobody explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.compat import isalive

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.plugin.room import Room


def leaver(room: Room) -> Callable[[], None]:
    """Return what ends the work and hears no more, once; it must not hold the room itself."""
    runner, review, heard, beside, keys = room.runner, room.review, room.heard, room.beside, room.keys
    work = (room.scanner, room.thumbnails, room.describer)
    picture = (room.crosshair, room.window_drag, room.hover, room.measuring, room.overlays)
    layers = (room.depth, room.layers)
    cine = room.cine

    def leave() -> None:
        if runner.closed:
            return
        runner.close()
        for one in (*work, *picture, *layers):
            one.close()
        keys.release()
        if isalive(cine):
            cine.stop()
        for unhear in heard:
            unhear()
        for name in dir(type(review)):
            if isinstance(getattr(type(review), name), Signal):
                getattr(review, name).disconnect()
        beside.close()

    return leave
