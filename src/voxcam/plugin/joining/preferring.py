"""What the reader prefers, read in a thread and followed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from voxcam.plugin.docks.theme import wear
from voxcam.plugin.joining.hearing import hear
from voxcam.plugin.preferences import follow_preferences, preferences

if TYPE_CHECKING:
    from voxcam.plugin.room import Room


class _Preferred(QObject):  # type: ignore[misc]
    """Reads the preferences in a thread: napari reads every manifest anew for them, a fifth of a second."""

    found = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=self._read, name="voxcam preferences", daemon=True).start()

    def _read(self) -> None:
        self.found.emit(preferences())


def join_preferences(room: Room) -> None:
    """Begin as the reader prefers it, and follow when that changes."""
    wear(room.viewer.theme)
    hear(room, room.viewer.events.theme, lambda event: wear(event.value))
    room.preferred = _Preferred()

    def begin(found: Any) -> None:
        if not isalive(room) or room.runner.closed:
            return
        room.prefer(found)
        follow_preferences(room.prefer)

    room.preferred.found.connect(begin)
