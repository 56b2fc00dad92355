"""The text header of an NRRD file: fields of one line each, up to an empty line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcam.io.volume_files.kept import Refusal
from voxcam.io.volume_files.text_headers import MOST_BYTES, MOST_LINES, beginning, numbers

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = re.compile(rb"NRRD000[1-6]\r?\n")
# Spellings of one field (NRRD format, "Basic field specifications").
_SAME = {
    "centerings": "centers",
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
}
# Slicer writes segmentations as NRRD, and names their segments by keys.
_SEGMENT = "Segment0_ID"


@dataclass(frozen=True)
class Fields:
    """What the header says, and the byte after it."""

    fields: dict[str, str]
    ends: int
    is_segmentation: bool

    def get(self, name: str, default: str = "") -> str:
        """Return the text of a field."""
        return self.fields.get(name, default)

    def words(self, name: str, count: int) -> list[str]:
        """Return one word for each of `count` axes; none where the field is missing."""
        words = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', self.get(name))]
        if words and len(words) != count:
            raise Refusal(f"its {name} do not fit its dimension")
        return words

    def vectors(self, name: str, count: int) -> list[tuple[float, ...] | None]:
        """Return one vector, or None, for each of `count` axes; none where the field is missing."""
        text = self.get(name)
        found = re.findall(r"\([^()]*\)|none|\S+", text)
        if found and len(found) != count:
            raise Refusal(f"its {name} do not fit its dimension")
        return [None if one == "none" else vector(one) for one in found]


def vector(text: str) -> tuple[float, ...]:
    """Return the numbers of "(x,y,z)"."""
    if not re.fullmatch(r"\([^()]*\)", text.strip()):
        raise Refusal("damaged header: expected a vector, found something else")
    return numbers(text.strip()[1:-1].replace(",", " "))


def fields_of(path: Path) -> Fields:
    """Return the fields of a header.

    Raises
    ------
    Refusal
        It is not NRRD, has no end, or states a field twice.
    """
    head = beginning(path)
    magic = MAGIC.match(head)
    if magic is None:
        raise Refusal("damaged header: it does not begin as NRRD of versions 1 to 6 does")
    fields: dict[str, str] = {}
    at, segmentation = magic.end(), False
    for _ in range(MOST_LINES):
        end = head.find(b"\n", at)
        if end < 0 and len(head) == MOST_BYTES:
            break
        # A detached header may end with the file.
        line = head[at : end if end >= 0 else None].decode("utf-8", "replace").rstrip("\r")
        at = end + 1 if end >= 0 else len(head)
        if not line:
            return Fields(fields, at, segmentation)
        if re.match(r"[^:]*:=", line):
            segmentation = segmentation or line.startswith(_SEGMENT)
        elif not line.startswith("#"):
            _add(fields, line)
    raise Refusal("damaged header: it has no end")


def _add(fields: dict[str, str], line: str) -> None:
    name, is_field, value = line.partition(": ")
    if not is_field:
        name, is_field, value = line.partition(":")
    name = _SAME.get(name.strip().lower(), name.strip().lower())
    if not is_field:
        raise Refusal("damaged header: a line that is no field")
    if name in fields:
        raise Refusal("a field stated twice")
    fields[name] = value.strip()
