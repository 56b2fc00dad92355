"""Keep the reading libraries quiet: their warnings quote what a header holds, names included."""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = ("pydicom", "nibabel.global")

_lock = threading.Lock()
_inside = 0
_caught = warnings.catch_warnings()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings and log records of pydicom and nibabel, in every thread, until the last one leaves.

    Warning filters belong to the interpreter, not to a thread, so they are counted in and out here:
    two scans side by side restore them once.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _caught
    with _lock:
        _inside += 1
        if _inside == 1:
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            warnings.filterwarnings("ignore", module=r"(pydicom|nibabel|openjpeg|rle|jpeg_ls|PIL)(\.|$)")
            for name in _LOGGERS:
                logging.getLogger(name).addFilter(_drop)


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _caught.__exit__(None, None, None)
            for name in _LOGGERS:
                logging.getLogger(name).removeFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    return False
