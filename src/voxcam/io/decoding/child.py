"""A process that decodes one frame after another for its parent: `python -P -m voxcam.io.decoding.child`.

It is meant to die in the parent's place. It holds no state, keeps to its memory, and ends with its input.
"""

from __future__ import annotations

import contextlib
import os
import signal
from io import FileIO
from typing import Any

from voxcam.core.confinement import alarm, limit, memory_bytes
from voxcam.io.decoding.codecs import decode
from voxcam.io.decoding.coding import Coding, DecodeError
from voxcam.io.decoding.messages import raw, receive_head, receive_into, send

_SPARE_BYTES = 512 << 20  # beside the frame: libraries loaded at first use, tables
_COPIES = 16  # of a frame: OpenJPEG works in 32 bits and holds each tile twice
_MOST_GROWTH = 256 << 20  # left behind by frames that failed; then another child takes over


def main() -> None:
    """Answer requests on stdin until it closes."""
    requests, answers = _pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the pipe
    limit("RLIMIT_CORE", 0)
    at_start = memory_bytes()
    with contextlib.suppress(EOFError, OSError):
        while True:
            head, count = receive_head(requests)
            code = bytearray(count)
            receive_into(requests, code)
            answer, pixels = _answer(bytes(code), head)
            answer["retire"] = memory_bytes() - at_start > _MOST_GROWTH
            send(answers, answer, pixels)


def _pipes() -> tuple[FileIO, FileIO]:
    """Return the pipes of requests and answers; what a library prints goes nowhere."""
    requests, answers = FileIO(os.dup(0), "r"), FileIO(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return requests, answers


def _answer(code: bytes, head: dict[str, Any]) -> tuple[dict[str, Any], memoryview]:
    coding = Coding(**head["coding"])
    limit("RLIMIT_AS", memory_bytes() + _SPARE_BYTES + _COPIES * coding.frame_bytes)
    alarm(head["seconds"])
    try:
        pixels = decode(code, coding)
    except DecodeError as error:
        return {"kind": error.kind, "message": str(error)}, memoryview(b"")
    except MemoryError:
        return {"kind": "too large", "message": "a frame takes more memory than allowed"}, memoryview(b"")
    finally:
        alarm(0)
    return {"kind": "", "message": ""}, raw(pixels)


if __name__ == "__main__":
    main()
