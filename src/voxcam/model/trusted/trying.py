"""Trusted code tried in a child process: there it may crash, hang, or fill the memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from voxcam.errors import Cancelled, ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# MONAI's import takes up to 14 s of it.
SECONDS = 60.0
_POLL_S = 0.05


def try_in_child(place: Path, cancelled: Callable[[], bool] | None = None, seconds: float = SECONDS) -> None:
    """Load a trusted model in a child process and run it once on zeros.

    Where the system allows it the child has no network; its working folder is an empty one.

    Raises
    ------
    ClassifierError
        If that fails, ends the child, or takes longer than `seconds`.
    Cancelled
        If `cancelled` returned True; the child is ended.
    """
    with tempfile.TemporaryDirectory(prefix="voxcam-trusted-") as scratch:
        child = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "voxcam.model.trusted.child", str(place.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            start_new_session=True,
        )
        try:
            _wait(child, cancelled, seconds)
        finally:
            child.kill()
            said = child.communicate()[0]
    _require_well(child.returncode, said)


def _wait(child: subprocess.Popen[bytes], cancelled: Callable[[], bool] | None, seconds: float) -> None:
    end = time.monotonic() + seconds
    while child.poll() is None:
        if cancelled and cancelled():
            raise Cancelled
        if time.monotonic() > end:
            raise ClassifierError(f"the model's code took longer than {seconds:g} s in a trial and was ended")
        time.sleep(_POLL_S)


def _require_well(code: int, said: bytes) -> None:
    try:
        answer = json.loads(said.decode().rpartition("\n\x1e")[2])
    except ValueError:
        raise ClassifierError(
            f"the model's code ended its process in a trial (exit {code}): it is not run here"
        ) from None
    if not answer["well"]:
        raise ClassifierError(f"the model's code failed in a trial: {answer['why']}")
