"""Do one thing to many files, several at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxcam.io.study import Progress

Given = TypeVar("Given")
Made = TypeVar("Made")


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
