"""A process that reads where weights lie: `python -P -m voxcam.model.weights.child SECONDS BYTES <FILE`.

The open file is its standard input, so it knows no path. It answers with one JSON document and ends. It is
meant to die in the parent's place, and loads neither torch nor MONAI.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from io import FileIO
from typing import Any

from voxcam.core.confinement import alarm, limit, memory_bytes
from voxcam.model.weights.pickled import read_pickled
from voxcam.model.weights.refusals import Refusal

MOST_ANSWER_BYTES = 256 << 20


def main() -> None:
    """Read the file on standard input, within so many seconds and bytes of memory."""
    seconds, memory = (float(argument) for argument in sys.argv[1:3])
    file, answer = _pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    warnings.simplefilter("ignore")
    limit("RLIMIT_CORE", 0)
    limit("RLIMIT_FSIZE", MOST_ANSWER_BYTES)
    limit("RLIMIT_AS", memory_bytes() + int(memory))
    alarm(seconds)
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


if __name__ == "__main__":
    main()
