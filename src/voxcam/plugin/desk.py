"""Which reading room belongs to which viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from weakref import ReferenceType

    import napari

    from voxcam.plugin.room import Room

_ROOMS: WeakKeyDictionary[napari.Viewer, ReferenceType[Room]] = WeakKeyDictionary()


def sit(viewer: napari.Viewer, room: Room) -> None:
    """Take note of the room of a viewer; one that was there leaves."""
    before = room_of(viewer)
    if before is not None:
        before.leave()
    _ROOMS[viewer] = ref(room)


def room_of(viewer: napari.Viewer) -> Room | None:
    """Return the room of a viewer, if it has one that was not closed."""
    from qtpy.compat import isalive

    held = _ROOMS.get(viewer)
    room = held() if held is not None else None
    return room if room is not None and isalive(room) and not room.runner.closed else None


def desk_of(viewer: napari.Viewer) -> Room:
    """Return the reading room of a viewer, docked if there was none."""
    room = room_of(viewer)
    if room is None:
        from voxcam.plugin.room import Room

        room = Room(viewer)
        viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    return room
