"""SHA-256 of a file: neither torch nor safetensors notices a flipped bit."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.errors import Cancelled, ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_CHUNK_BYTES = 1 << 22
_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, without holding it in memory.

    Raises
    ------
    ClassifierError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return digest_of(file)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ClassifierError(f"{Path(path).name} cannot be read: {reason}") from None


def digest_of(file: BinaryIO, cancelled: Callable[[], bool] | None = None) -> str:
    """Return the SHA-256 of an open file as 64 hexadecimal digits.

    Raises
    ------
    Cancelled
        If `cancelled` returned True.
    """
    file.seek(0)
    summed = hashlib.sha256()
    while piece := file.read(_CHUNK_BYTES):
        if cancelled is not None and cancelled():
            raise Cancelled
        summed.update(piece)
    return summed.hexdigest()


def plain_digest(text: str) -> str:
    """Return a digest written as ``sha256:ABC...`` or ``abc...`` as 64 lower-case hexadecimal digits.

    Raises
    ------
    ClassifierError
        If it is none.
    """
    match = _HEX.fullmatch(text.strip().lower())
    if match is None:
        raise ClassifierError(f"{text[:80]!r} is no digest: expected sha256: and 64 hexadecimal digits")
    return match.group(1)
