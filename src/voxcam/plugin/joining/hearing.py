"""Hearing the review and napari for as long as a widget lives, or the room is not left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from voxcam.plugin.room import Room


def follow(widget: QWidget, signals: tuple[Any, ...], show: Any, room: Room) -> None:
    """Show the review now and at each signal, for as long as the widget lives."""

    def tell(*_: object) -> None:
        show(room.review)

    for signal in signals:
        signal.connect(tell)
    widget.destroyed.connect(lambda _=None: [signal.disconnect(tell) for signal in signals])
    tell()


def follow_napari(widget: QWidget, tell: Any, *emitters: Any) -> None:
    """Tell now and at each of napari's events, for as long as the widget lives."""
    for emitter in emitters:
        emitter.connect(tell)
    widget.destroyed.connect(lambda _=None: [emitter.disconnect(tell) for emitter in emitters])
    tell()


def hear(room: Room, emitter: Any, tell: Any) -> None:
    """Tell at each of napari's events until the room is left."""
    emitter.connect(tell)
    room.heard.append(lambda: emitter.disconnect(tell))


def later(room: Room, do: Callable[[], object], wait_ms: int = 0) -> None:
    """Do it in a turn of its own: each is short, and the window answers in between."""

    def if_alive() -> None:
        if isalive(room) and not room.runner.closed:
            do()

    QTimer.singleShot(wait_ms, if_alive)
