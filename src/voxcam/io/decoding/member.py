"""One decoding child as its parent sees it: a request goes out, pixels come back, or it is given up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

from voxcam.io.decoding.coding import KINDS, DecodeError
from voxcam.io.decoding.messages import receive_head, receive_into, send

if TYPE_CHECKING:
    from io import RawIOBase

# -P: a file beside the user's data is never imported in place of a module.
_COMMAND = (sys.executable, "-P", "-m", "voxcam.io.decoding.child")
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}  # quicker to start, and nothing needs them
_PIPE_BYTES = 1 << 20


class Member:
    """A child process; one thread at a time may use it.

    Parameters
    ----------
    overdue_at
        Moment by the monotonic clock when its present frame has taken too long; None while it is idle.
    """

    def __init__(self, overdue_at: float | None = None) -> None:
        self.overdue_at = overdue_at
        self.sound = False  # until it has answered in full
        self._overdue = False
        self._process = subprocess.Popen(
            _COMMAND,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            process_group=None if sys.platform == "win32" else 0,  # Ctrl-C is not for it
        )
        self._requests = cast("RawIOBase", self._process.stdin)
        self._answers = cast("RawIOBase", self._process.stdout)
        for pipe in (self._requests, self._answers):
            _widen(pipe)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def work(self, request: dict[str, Any], code: bytes, room: memoryview) -> None:
        """Fill `room` with the decoded frame; leaves `sound` True if the child can go on to another.

        Raises
        ------
        DecodeError
            The frame cannot be decoded.
        """
        self.sound = False
        try:
            send(self._requests, request, code)
            head, count = receive_head(self._answers)
            if head.get("kind") == "" and count == len(room):
                receive_into(self._answers, room)
        except (OSError, EOFError):
            raise self._death() from None
        except ValueError:
            raise _nonsense() from None
        refusal = _refusal(head, count, len(room))
        self.sound = not (self._overdue or head.get("retire")) and (not refusal or refusal.kind in KINDS[:1])
        if refusal:
            raise refusal

    def _death(self) -> DecodeError:
        if self._overdue:
            return DecodeError("the frame took the decoder too long", "too slow")
        return DecodeError("the frame killed the decoder: it is damaged", "killed the decoder")

    def kill_if_overdue(self, now: float) -> None:
        """Kill it if its frame has taken too long; the thread that waits for it then sees its death."""
        if self.overdue_at is not None and now > self.overdue_at:
            self._overdue = True
            self.sound = False
            self.kill()

    def kill(self) -> None:
        """Kill it; who uses it sees its pipes end."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and forget it."""
        self._process.kill()
        self._process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close the pipes, whoever holds the process."""
        self._process.returncode = self._process.returncode or 0  # else its end is waited for here, too
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()


def _refusal(head: dict[str, Any], count: int, expected: int) -> DecodeError | None:
    kind, message = head.get("kind"), head.get("message")
    if kind == "" and count == expected:
        return None
    if kind not in KINDS or not isinstance(message, str) or count:
        return _nonsense()
    return DecodeError(" ".join(message.split()), kind)


def _nonsense() -> DecodeError:
    return DecodeError("the decoder answered nonsense: the frame is damaged", "killed the decoder")


def _widen(pipe: RawIOBase) -> None:
    """Let a pipe hold a slice, where the system can: fewer switches between the two processes."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
