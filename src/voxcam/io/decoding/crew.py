"""A crew of decoding child processes: a frame that kills, hangs or floods a decoder costs one child.

from voxcam.io.decoding.crew import crew
pixels = crew().decode(code, coding)
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.io.decoding.codecs import check
from voxcam.io.decoding.coding import DecodeError
from voxcam.io.decoding.member import Member
from voxcam.io.decoding.messages import raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.io.decoding.coding import Coding

_SECONDS = 20.0


class Crew:
    """Child processes that decode, started when needed, replaced when they fail. Threads may share it.

    Parameters
    ----------
    most
        Children at a time; the number of processors if None.
    seconds
        A frame may take; its child is killed then.
    """

    def __init__(self, most: int | None = None, seconds: float = _SECONDS) -> None:
        self._most = most or os.cpu_count() or 1
        self.seconds = seconds
        self._begin()
        _CREWS.add(self)

    def decode(self, code: bytes, coding: Coding, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the stored values of a frame as `codecs.decode` does, which a child runs.

        Parameters
        ----------
        code
            The frame's fragments, joined.
        coding
            What the header says of it.
        out
            C-contiguous array of the frame's shape and type, to be filled and returned; its content is
            undefined after an error.

        Raises
        ------
        DecodeError
            With its kind.
        ValueError
            `out` is not such an array.
        """
        check(code, coding)
        pixels = np.empty(coding.shape, coding.dtype) if out is None else out
        if pixels.shape != coding.shape or pixels.dtype != coding.dtype or not pixels.flags.c_contiguous:
            raise ValueError(f"out: expected a contiguous {coding.dtype} array of shape {coding.shape}")
        request = {"coding": asdict(coding), "seconds": 2 * self.seconds}
        member = self._borrow()
        try:
            member.work(request, code, raw(pixels))
        finally:
            self._give_back(member)
        return pixels

    def close(self) -> None:
        """End the children; a frame in work is lost. The crew begins anew at the next `decode`."""
        with self._changed:
            free, busy = list(self._free), self._members - set(self._free)
            self._members.clear()
            self._free.clear()
            self._changed.notify_all()
        for member in busy:  # the thread that uses it closes its pipes
            member.kill()
        for member in free:
            member.end()

    def pids(self) -> list[int]:
        """Process ids of the children."""
        with self._changed:
            return [member.pid for member in self._members]

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._members: set[Member] = set()
        self._starting = 0
        self._free: list[Member] = []
        self._watch: threading.Thread | None = None

    def _forget(self) -> None:
        """In a forked process: the children are another's; let go of them without ending them."""
        for member in self._members:
            member.let_go()
        self._begin()

    def _borrow(self) -> Member:
        with self._changed:
            while True:
                while self._free:
                    member = self._free.pop()
                    if member.alive:
                        member.overdue_at = time.monotonic() + self.seconds
                        return member
                    self._members.discard(member)
                    member.end()
                if len(self._members) + self._starting < self._most:
                    self._starting += 1
                    break
                self._changed.wait()
        return self._start()

    def _start(self) -> Member:
        member = None
        try:
            member = Member(overdue_at=time.monotonic() + self.seconds)
        except OSError:
            raise DecodeError("a decoding process cannot be started", "killed the decoder") from None
        finally:
            with self._changed:
                self._starting -= 1
                if member is not None:
                    self._members.add(member)
                    self._begin_watch()
                self._changed.notify()
        return member

    def _give_back(self, member: Member) -> None:
        with self._changed:
            member.overdue_at = None
            keep = member.sound and member in self._members
            if keep:
                self._free.append(member)
            else:
                self._members.discard(member)
            self._changed.notify()
        if not keep:
            member.end()

    def _begin_watch(self) -> None:
        if self._watch is None or not self._watch.is_alive():
            self._watch = threading.Thread(
                target=_watch, args=(weakref.ref(self), self.seconds / 20), name="decoding watch", daemon=True
            )
            self._watch.start()

    def _kill_overdue(self) -> bool:
        """Kill the children that took too long; return whether there are any children left to watch."""
        now = time.monotonic()
        with self._changed:
            for member in self._members:
                member.kill_if_overdue(now)
            if not self._members:
                self._watch = None
            return bool(self._members)


def _watch(of: weakref.ref[Crew], every_s: float) -> None:
    """Look after the children of a crew for as long as it has any."""
    while (crew := of()) is not None and crew._kill_overdue():
        del crew
        time.sleep(every_s)


def crew() -> Crew:
    """Return the crew of this process, which ends with it."""
    with _LOCK:
        if not _OURS:
            _OURS.append(Crew())
        return _OURS[0]


def _begin_anew() -> None:
    global _LOCK
    _LOCK = threading.Lock()
    for each in list(_CREWS):
        each._forget()


def _end() -> None:
    for each in list(_CREWS):
        with contextlib.suppress(OSError):
            each.close()


_LOCK = threading.Lock()
_OURS: list[Crew] = []
_CREWS: weakref.WeakSet[Crew] = weakref.WeakSet()
atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
