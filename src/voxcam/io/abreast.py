"""Do one thing to many files, several at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxcam.io.study import Progress

Given = TypeVar("Given")
Made = TypeVar("Made")


# Files that answer slower than this, each, lie on a network: while one waits the others are read.
_SLOW_S = 2e-3
_TRIED = 16


def looked_at(given: Sequence[Given], work: Callable[[Given], Made], progress: Progress | None) -> list[Made]:
    """Return ``[work(g) for g in given]``: one after the other where files answer at once, else in threads.

    Parsing holds Python's lock, so that threads only slow down what does not wait.
    """
    made: list[Made] = []
    begun = monotonic()
    for done, one in enumerate(given, start=1):
        if done == _TRIED and monotonic() - begun > _TRIED * _SLOW_S:
            break
        made.append(work(one))
        if progress is not None:
            progress(done, len(given))
    rest = given[len(made) :]
    count = len(made)
    later = None if progress is None else lambda done, total: progress(count + done, len(given))
    return made + (abreast(work, rest, later) if rest else [])


def abreast(work: Callable[[Given], Made], given: Sequence[Given], progress: Progress | None) -> list[Made]:
    """Return ``[work(g) for g in given]``, computed in threads.

    Threads hide the wait for disks and networks; the parsing and decoding itself holds Python's lock.
    `progress` is called in the caller's thread after each result. If it raises, or `work` does,
    what has not begun is dropped and what runs is waited for.
    """
    made: list[Made] = []
    pool = ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 2))
    try:
        for done, result in enumerate(pool.map(work, given), start=1):
            made.append(result)
            if progress is not None:
                progress(done, len(given))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return made
