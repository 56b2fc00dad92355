"""The whole room: its panels, keys, preferences, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.plugin.commands import actions_of
from voxcam.plugin.joining import panels
from voxcam.plugin.joining.leaving import leaver
from voxcam.plugin.joining.preferring import join_preferences
from voxcam.plugin.keys import bind
from voxcam.plugin.review.windows import preset_for_key

if TYPE_CHECKING:
    from voxcam.plugin.room import Room


def join(room: Room) -> None:
    """Join everything the room has from the first."""
    panels.join_scan(room)
    panels.join_window(room)
    panels.join_classifier(room)
    panels.join_evidence(room)
    panels.join_plot(room)
    panels.join_measuring(room)
    panels.join_picture(room)
    panels.join_work(room)
    join_preferences(room)
    room.keys = bind(room.viewer, actions(room))
    room.keys.in_dock(room)
    room.leave = leaver(room)
    room.destroyed.connect(lambda _=None, leave=room.leave: leave())
    panels.show_all(room)


def actions(room: Room) -> dict[str, Any]:
    """Return what each key does: the commands, and what only keys ask for."""
    return {
        **actions_of(room),
        "window": lambda n: _preset(room, n + 1),
        "own_window": lambda: _preset(room, 0),
        "cine": room.cine.toggle,
    }


def _preset(room: Room, digit: int) -> None:
    volume = room.review.volume
    window = None if volume is None else preset_for_key(volume, digit)
    if window is not None:
        room.review.set_window(window)
