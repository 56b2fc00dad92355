"""What stands for a series where its UID may not: a keyed hash."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Where the site sets a secret of its own, nobody outside can test a known UID against a key.
_SITE_SALT = "VOXCAM_SALT"
_PIECES = 64
_PIECE_BYTES = 4096


def salted(parts: Iterable[str | bytes]) -> str:
    """Return 16 hexadecimal digits that stand for `parts`: BLAKE2b, keyed by the site's salt.

    The salt is the environment variable ``VOXCAM_SALT``; without it, a fixed one, so that keys agree
    between machines. The order of parts counts.
    """
    salt = os.environ.get(_SITE_SALT, "voxcam").encode()
    digest = hashlib.blake2b(digest_size=8, key=hashlib.blake2b(salt, digest_size=32).digest())
    for part in parts:
        piece = part.encode() if isinstance(part, str) else part
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()


def content_sample(path: Path) -> bytes:
    """Return the size of a file and pieces from all over it: tells files apart without reading them whole."""
    size = path.stat().st_size
    pieces = [str(size).encode()]
    with path.open("rb") as stream:
        for place in range(_PIECES):
            stream.seek(size * place // _PIECES)
            pieces.append(stream.read(_PIECE_BYTES))
    return b"|".join(pieces)
