"""A process that reads where weights lie: `python -P -m voxcam.model.weights.child SECONDS BYTES <FILE`.

The open file is its standard input, so it knows no path. It answers with one JSON document and ends. It is
meant to die in the parent's place, and loads neither torch nor MONAI.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from io import FileIO
from pathlib import Path
from typing import Any

from voxcam.model.weights.pickled import read_pickled
from voxcam.model.weights.refusals import Refusal

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MOST_ANSWER_BYTES = 256 << 20


def main() -> None:
    """Read the file on standard input, within so many seconds and bytes of memory."""
    seconds, memory = (float(argument) for argument in sys.argv[1:3])
    file, answer = _pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    warnings.simplefilter("ignore")
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", MOST_ANSWER_BYTES)
    _limit("RLIMIT_AS", _memory() + int(memory))
    _alarm(seconds)
    text = json.dumps(answered(file)).encode()
    with answer:
        answer.write(text)


def answered(file: FileIO) -> dict[str, Any]:
    """Return the table of an open file, or why there is none, as plain data."""
    try:
        return {"table": read_pickled(file).as_json()}
    except Refusal as refusal:
        return {"refused": refusal.what, "runs_code": refusal.runs_code}
    except OSError as error:
        return {"refused": f"cannot be read: {(error.strerror or '').lower()}", "runs_code": False}
    except MemoryError:
        return {"refused": "takes more memory to understand than any checkpoint should", "runs_code": False}


def _pipes() -> tuple[FileIO, FileIO]:
    """Return the file and where the answer goes; what a library prints goes nowhere."""
    file, answer = FileIO(os.dup(0), "r"), FileIO(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return file, answer


def _alarm(seconds: float) -> None:
    """End this process after that long, should the parent no longer be there to do it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit(name: str, most: int) -> None:
    number = getattr(resource, name, None)
    if number is None:
        return
    hard = resource.getrlimit(number)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS knows the name and refuses
        resource.setrlimit(number, (most, hard))


def _memory() -> int:
    """Bytes of address space in use, where Linux tells; else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
