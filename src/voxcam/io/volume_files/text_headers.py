"""What headers in text have in common: caps on their size, numbers that are numbers, files beside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxcam.io.volume_files.kept import Refusal

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1 << 20
MOST_LINES = 20_000
_MOST_TOKENS = 64
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,60})?|\.[0-9]{1,60})([eE][+-]?[0-9]{1,4})?")


def beginning(path: Path) -> bytes:
    """Return as many bytes as a header may have."""
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES)


def integers(text: str) -> tuple[int, ...]:
    """Return the whole numbers in a text, blanks between them."""
    return tuple(int(_matched(_INTEGER, token)) for token in _tokens(text))


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers in a text, blanks between them; "nan" and "inf" are none."""
    return tuple(float(_matched(_NUMBER, token)) for token in _tokens(text))


def file_beside(path: Path, name: str) -> Path:
    """Return the file of that plain name in the folder of `path`.

    Raises
    ------
    Refusal
        The name leads elsewhere, is a pattern or a list, or no file has it.
    """
    if not name or len(name) > 255 or re.search(r"[/\\:%\0-\x1f]", name) or name.startswith("."):
        raise Refusal("its data file is not named plainly: only one beside the header is opened")
    if re.fullmatch(r"LIST(\b.*)?", name, re.IGNORECASE):
        raise Refusal("voxels in several files: only one data file is read")
    beside = path.with_name(name)
    if not beside.is_file():
        raise Refusal("the data file that the header names is not beside it")
    return beside


def _tokens(text: str) -> list[str]:
    tokens = text.split()
    if len(tokens) > _MOST_TOKENS:
        raise Refusal("damaged header: very many numbers in one line")
    return tokens


def _matched(pattern: re.Pattern[str], token: str) -> str:
    if not pattern.fullmatch(token):
        raise Refusal("damaged header: expected a number, found something else")
    return token
