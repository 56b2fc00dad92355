"""Where in a file the numbers of each weight lie, checked against the file before any of them is read."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

from voxcam.model.weights.refusals import Refusal, damaged, shown

# Bytes of one number, by the names safetensors uses.
ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}

MOST_AXES = 16
MOST_NUMBER = 2**62
# Weights tied under two or three names are read for each. A file whose names all share one block is a bomb.
_MOST_COPIES = 4
_SLACK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One weight: a strided view of a block of the file, as torch views a storage.

    Parameters
    ----------
    name
        In the state dict.
    dtype
        A key of `ITEM_BYTES`.
    start, size
        Of the block, in bytes.
    crc
        CRC-32 of the block, if the file states one.
    offset
        Of the first number, in numbers.
    shape, strides
        In numbers.
    """

    name: str
    dtype: str
    start: int
    size: int
    crc: int | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def span(self) -> int:
        """How many numbers lie from its first to its last, both included."""
        if not self.count:
            return 0
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))


@dataclass(frozen=True)
class Table:
    """The weights of a file, and what was noted on the way to them."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain lists."""
        return {"entries": [astuple(entry) for entry in self.entries], "notes": self.notes}

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Table:
        """Return the table of `as_json`; whether its numbers are sound is for `check_table`."""
        entries = (
            Entry(str(name), str(dtype), start, size, crc, offset, tuple(shape), tuple(strides))
            for name, dtype, start, size, crc, offset, shape, strides in document["entries"]
        )
        return cls(tuple(entries), tuple(str(note) for note in document["notes"]))


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of an array whose last axis runs fastest."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def check_table(table: Table, file_bytes: int) -> None:
    """Check that every weight lies within the file, and that together they are not far more than it holds.

    Raises
    ------
    Refusal
        Naming the weight.
    """
    seen: set[str] = set()
    wanted = 0
    for entry in table.entries:
        if entry.name in seen:
            raise damaged(f"{shown(entry.name)!r} is there twice")
        seen.add(entry.name)
        _check_entry(entry, file_bytes)
        wanted += entry.count * ITEM_BYTES[entry.dtype]
    if wanted > _MOST_COPIES * file_bytes + _SLACK_BYTES:
        raise Refusal(
            f"claims {wanted:,} bytes of weights in a file of {file_bytes:,}: a bomb, or views saved by "
            "mistake; save them with .clone()"
        )


def _check_entry(entry: Entry, file_bytes: int) -> None:
    name = shown(entry.name)
    if entry.dtype not in ITEM_BYTES:
        raise Refusal(f"holds {name!r} as {shown(entry.dtype, 40)}: expected plain floats or integers")
    numbers = (entry.start, entry.size, entry.offset, *entry.shape, *entry.strides)
    if not all(type(n) is int and 0 <= n < MOST_NUMBER for n in numbers):
        raise damaged(f"{name!r} has a place or shape that cannot be")
    if len(entry.shape) != len(entry.strides) or len(entry.shape) > MOST_AXES:
        raise damaged(f"{name!r} has {len(entry.shape)} axes")
    if math.prod(max(n, 1) for n in entry.shape) >= MOST_NUMBER:
        raise damaged(f"{name!r} has a shape that cannot be")
    if entry.start + entry.size > file_bytes:
        raise Refusal(
            f"is cut short or lies: {name!r} goes on to byte {entry.start + entry.size:,}, the file has "
            f"{file_bytes:,}; fetch or save it again"
        )
    _check_view(entry, name)


def _check_view(entry: Entry, name: str) -> None:
    if entry.count > entry.span:
        raise Refusal(
            f"claims {entry.count:,} numbers for {name!r} where {entry.span:,} are stored: a bomb, or an "
            "expanded view; save it with .contiguous()"
        )
    held = entry.size // ITEM_BYTES[entry.dtype]
    if entry.count and entry.offset + entry.span > held:
        raise damaged(f"{name!r} needs {entry.offset + entry.span:,} numbers, its block holds {held:,}")
