"""One process at a time, by a lock on a file that the system lets go of when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_SECONDS = 10.0
_AGAIN_S = 0.02


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, made if need be, for the length of the block.

    Raises
    ------
    OSError
        If it cannot be had within ten seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(handle)
        yield
    finally:
        os.close(handle)


def _wait(handle: int) -> None:
    last = time.monotonic() + _MOST_SECONDS
    while True:
        try:
            _try(handle)
            return
        except (BlockingIOError, PermissionError):
            if time.monotonic() > last:
                raise TimeoutError(None, "another process holds it") from None
            time.sleep(_AGAIN_S)


if sys.platform == "win32":
    import msvcrt

    def _try(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
