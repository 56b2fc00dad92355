"""Bounds that a process puts on itself, so that it dies in its parent's place: time, memory, core files."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def alarm(seconds: float) -> None:
    """End this process after that long, should the parent no longer be there to do it; 0: not at all."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit(name: str, most: int) -> None:
    """Lower a limit of this process, RLIMIT_AS or another, to `most`; nothing where the system knows none."""
    number = getattr(resource, name, None)
    if number is None:
        return
    hard = resource.getrlimit(number)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS knows the name and refuses
        resource.setrlimit(number, (most, hard))


def memory_bytes() -> int:
    """Return the bytes of address space in use, where Linux tells; else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
