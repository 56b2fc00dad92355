"""Headers as text and back: what the memory between scans keeps of a file.

No name, id or date of a patient is in a header: of a patient there is a keyed hash, of the hour only the
seconds that tell images of one place apart.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from voxcam.core.windows import Window
from voxcam.io.dicom.attributes import TAGS
from voxcam.io.dicom.dimensions import SPLITTERS
from voxcam.io.dicom.headers import Header
from voxcam.io.dicom.stored import Stored
from voxcam.io.left_out import LeftOut

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = tuple(field.name for field in fields(Header) if field.name != "file")
_STORED_NAMES = tuple(field.name for field in fields(Stored))
_WINDOW_NAMES = tuple(field.name for field in fields(Window))
_STORED, _WINDOWS, _MARKS = _NAMES.index("stored"), _NAMES.index("windows"), _NAMES.index("marks")
_VECTORS = tuple(
    _NAMES.index(name) for name in ("orientation", "position", "spacing_mm", "patient_orientation", "tile")
)
_MOST_IMAGES = 64  # a file of more is read anew: it is one file
# What a text means changes with what a header is made of.
VERSION = hashlib.sha256(
    repr((_NAMES, _STORED_NAMES, _WINDOW_NAMES, SPLITTERS, sorted(TAGS.items()))).encode()
).hexdigest()[:16]


def as_text(found: tuple[Header, ...] | LeftOut) -> str | None:
    """Return the text of a file's headers, or of why it is left out; None of what is not worth it."""
    if isinstance(found, LeftOut):
        return json.dumps({"left out": [found.reason, found.refused, found.series_uid, found.damaged]})
    if len(found) > _MOST_IMAGES or any(window.table for header in found for window in header.windows):
        return None
    return json.dumps([_row(header) for header in found])


def from_text(path: Path, text: str) -> tuple[Header, ...] | LeftOut:
    """Return what `as_text` wrote, of the file at `path`."""
    found = json.loads(text)
    if isinstance(found, dict):
        reason, refused, uid, damaged = found["left out"]
        return LeftOut(reason, refused, uid, damaged)
    return tuple(_header(path, row) for row in found)


def _row(header: Header) -> list[Any]:
    row = [getattr(header, name) for name in _NAMES]
    # Not `dataclasses.astuple`, which copies deeply and takes longer than reading the file.
    row[_STORED] = [getattr(header.stored, name) for name in _STORED_NAMES]
    row[_WINDOWS] = [[getattr(window, name) for name in _WINDOW_NAMES] for window in header.windows]
    return row


def _header(path: Path, row: list[Any]) -> Header:
    row[_STORED] = Stored(*row[_STORED])
    row[_WINDOWS] = tuple(_window(*window) for window in row[_WINDOWS])
    row[_MARKS] = tuple(tuple(mark) if isinstance(mark, list) else mark for mark in row[_MARKS])
    for index in _VECTORS:
        row[index] = None if row[index] is None else tuple(row[index])
    return Header(path, *row)


def _window(centre: float, width: float, name: str, function: Any, table: list[float] | None) -> Window:
    return Window(centre, width, name, function, tuple(table or ()))
