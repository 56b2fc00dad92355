"""What an archive may unpack to, and the environment variables that allow more."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from voxcam.errors import ReadError

_OPTIONS = {
    "members": "VOXCAM_ARCHIVE_MEMBERS",
    "total_bytes": "VOXCAM_ARCHIVE_BYTES",
    "ratio": "VOXCAM_ARCHIVE_RATIO",
}


@dataclass(frozen=True)
class Caps:
    """What an archive may unpack to, those within it included.

    Parameters
    ----------
    members
        Entries of all directories.
    total_bytes
        Bytes written.
    ratio
        Bytes written by bytes of the archive; up to 64 MiB any ratio passes.
    nesting
        Archives within archives, so many deep.
    """

    members: int = 100_000
    total_bytes: int = 64 * 2**30
    ratio: int = 200
    nesting: int = 2

    @classmethod
    def of_environment(cls) -> Caps:
        """Return the caps with those that the environment sets: VOXCAM_ARCHIVE_MEMBERS, _BYTES and _RATIO."""
        return cls(**{name: _set(option, name) for name, option in _OPTIONS.items()})


def how_to_raise(cap: str) -> str:
    """Return the end of a refusal: which option raises the cap of that name."""
    return f": if it is sound, set the environment variable {_OPTIONS[cap]} to a larger number"


def _set(option: str, name: str) -> int:
    usual = next(field.default for field in fields(Caps) if field.name == name)
    text = os.environ.get(option, "").strip() or str(usual)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text)):
        raise ReadError(
            f"expected a whole number above 0 in the environment variable {option}, found other text"
        )
    return int(text)
