"""Pickles are read apart, in a child process: one that floods, hangs or kills it costs the child alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxcam.errors import Cancelled
from voxcam.model.weights.kinds import size_of
from voxcam.model.weights.refusals import Refusal
from voxcam.model.weights.tables import Table, check_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

# -P: a file beside the user's data is never imported in place of a module.
_COMMAND = (sys.executable, "-P", "-m", "voxcam.model.weights.child")
_POLL_S = 0.05
_SECONDS = 30.0
_BYTES_PER_SECOND = 20e6  # of a slow network drive


@dataclass(frozen=True)
class Limits:
    """What the child may take.

    Parameters
    ----------
    seconds
        Beside those that the size of the file allows it.
    memory_bytes
        Of address space, beside Python's own; enforced on Linux.
    """

    seconds: float = _SECONDS
    memory_bytes: int = 2 << 30


def read_apart(
    file: BinaryIO, cancelled: Callable[[], bool] | None = None, limits: Limits | None = None
) -> Table:
    """Return where the weights of an open checkpoint lie, which a child process finds out.

    Raises
    ------
    Refusal
        If it refuses the file, dies, or takes too long.
    Cancelled
        If `cancelled` returned True; the child is gone by then.
    """
    limits = limits or Limits()
    seconds = limits.seconds + size_of(file) / _BYTES_PER_SECOND
    # It has no name: nobody else can open it, and nothing is left behind.
    with tempfile.TemporaryFile() as answer:
        child = _start(file, answer, seconds, limits.memory_bytes)
        try:
            _wait(child, seconds, cancelled)
        finally:
            child.kill()
            child.wait()
        answer.seek(0)
        table = _table(child.returncode, answer.read())
    check_table(table, size_of(file))
    return table


def _start(file: BinaryIO, answer: Any, seconds: float, memory_bytes: int) -> subprocess.Popen[bytes]:
    file.seek(0)
    try:
        return subprocess.Popen(
            (*_COMMAND, str(2 * seconds), str(memory_bytes)),
            stdin=file,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            process_group=None if sys.platform == "win32" else 0,  # Ctrl-C is not for it
        )
    except OSError:
        raise Refusal("cannot be read now: no process could be started to read it; try again") from None


def _wait(child: subprocess.Popen[bytes], seconds: float, cancelled: Callable[[], bool] | None) -> None:
    overdue_at = time.monotonic() + seconds
    while True:
        try:
            child.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            if cancelled is not None and cancelled():
                raise Cancelled from None
            if time.monotonic() > overdue_at:
                raise Refusal(
                    f"took over {seconds:.0f} s to understand and was given up: damaged, or made to do so"
                ) from None


def _table(returncode: int, answer: bytes) -> Table:
    if returncode != 0:
        raise Refusal("killed the process that read it: it is damaged; fetch or save it again")
    try:
        document = json.loads(answer)
        if "table" not in document:
            raise Refusal(str(document["refused"]), runs_code=bool(document["runs_code"]))
        return Table.of_json(document["table"])
    except (ValueError, KeyError, TypeError):
        raise Refusal("left its reader without an answer: it is damaged; fetch or save it again") from None
