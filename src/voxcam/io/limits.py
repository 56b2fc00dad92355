"""How much memory reading may take, and how to raise it."""

from __future__ import annotations

import os
import re

from voxcam.errors import ReadError

OPTION = "VOXCAM_MOST_BYTES"
_FALLBACK = 4 << 30
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def most_bytes() -> int:
    """Return how many bytes a volume may take: what VOXCAM_MOST_BYTES says (``8G``), else half the memory.

    Raises
    ------
    ReadError
        The option is no number of bytes over 0.
    """
    option = os.environ.get(OPTION, "").strip().upper()
    if option:
        stated = re.fullmatch(r"([1-9]\d{0,17})\s*([KMGT]?)B?", option)
        if stated is None:
            raise ReadError(f"expected {OPTION} to be bytes such as 8G or 512M, found something else")
        return int(stated[1]) * _UNITS[stated[2]]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # not on every system
        return _FALLBACK


def check(needed: int, what: str) -> None:
    """Refuse what needs more than `most_bytes`, before anything is allocated.

    Parameters
    ----------
    needed
        Bytes.
    what
        The subject of the sentence: "the volume".

    Raises
    ------
    ReadError
        It names the need, the limit and the option that raises it.
    """
    most = most_bytes()
    if needed > most:
        limit = "the limit set" if OPTION in os.environ else "half of this machine's memory"
        raise ReadError(
            f"{what} needs {_spelt(needed)}, the limit is {_spelt(most)} ({limit}): "
            f"raise it by the environment variable {OPTION}, such as {OPTION}=64G"
        )


def _spelt(count: int) -> str:
    return f"{count / (1 << 30):.3g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.3g} MiB"
