"""A process in which trusted code is tried: ``python -P -m voxcam.model.trusted.child PLACE``."""

from __future__ import annotations

import contextlib
import ctypes
import json
import sys
from pathlib import Path

from voxcam.core.confinement import limit

_MOST_BYTES = 16 << 30  # of address space: torch and MONAI alone take a few GiB of it
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of sched.h


def main() -> None:
    """Load the model, run it on zeros, and say how it went in one line of JSON."""
    _without_network()
    limit("RLIMIT_AS", _MOST_BYTES)
    limit("RLIMIT_CORE", 0)
    from voxcam.errors import VoxcamError
    from voxcam.model.assembly import assembled
    from voxcam.model.trusted.evaluating import evaluated_parts

    why = ""
    try:
        assembled(evaluated_parts(Path(sys.argv[1])), "cpu")
    except VoxcamError as error:
        why = str(error)
    except Exception as error:  # whatever the code raises
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
    # What the code printed stands before the separator.
    sys.stdout.write("\n\x1e" + json.dumps({"well": not why, "why": why}))


def _without_network() -> None:
    """Leave the machine's network, where Linux lets a process do so: no address is reachable then."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(_NEW_NET) != 0:
                libc.unshare(_NEW_USER | _NEW_NET)


if __name__ == "__main__":
    main()
