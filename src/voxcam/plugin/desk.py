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
    """Take note of the room of a viewer."""
    _ROOMS[viewer] = ref(room)


def desk_of(viewer: napari.Viewer) -> Room:
    """Return the reading room of a viewer, docked if there was none."""
    from qtpy.compat import isalive

    held = _ROOMS.get(viewer)
    room = held() if held is not None else None
    if room is None or not isalive(room):
        from voxcam.plugin.room import Room

        room = Room(viewer)
        viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    return room
