"""The header of a safetensors file, checked more strictly than the format's own library does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voxcam.model.weights.kinds import size_of
from voxcam.model.weights.refusals import Refusal, damaged, shown
from voxcam.model.weights.tables import (
    ITEM_BYTES,
    MOST_AXES,
    MOST_NUMBER,
    Entry,
    Table,
    check_table,
    contiguous,
)

if TYPE_CHECKING:
    from typing import BinaryIO

# The format allows 100 MB; 10,000 weights take about 1 MB.
MOST_HEADER_BYTES = 32 << 20

_COUNT_BYTES = 8


def read_safetensors(file: BinaryIO) -> Table:
    """Return where the weights of a safetensors file lie.

    Raises
    ------
    Refusal
        If the header is damaged, or does not account for every byte of the file exactly once.
    """
    size = size_of(file)
    file.seek(0)
    length = int.from_bytes(file.read(_COUNT_BYTES), "little")
    if length > min(MOST_HEADER_BYTES, size - _COUNT_BYTES):
        raise Refusal(
            f"is damaged or no whole safetensors file: its header claims {length:,} bytes of a file of "
            f"{size:,} (at most {MOST_HEADER_BYTES:,}); fetch or save it again"
        )
    begin = _COUNT_BYTES + length
    header = _header(file.read(length))
    table = Table(tuple(_entry(name, described, begin) for name, described in header.items()))
    if not table.entries:
        raise Refusal("holds no weights: its safetensors header is empty")
    check_table(table, size)
    _check_gapless(table, begin, size)
    return table


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise damaged("its safetensors header is not JSON, or names something twice") from None
    if not isinstance(header, dict):
        raise damaged("its safetensors header is no JSON object")
    header.pop("__metadata__", None)
    return header


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError
    return names


def _entry(name: str, described: Any, begin: int) -> Entry:
    try:
        dtype, shape, (first, last) = described["dtype"], described["shape"], described["data_offsets"]
        numbers = [first, last, *shape]
    except (TypeError, KeyError, ValueError):
        raise damaged(f"{shown(name)!r} is not described as safetensors describes a weight") from None
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise Refusal(f"holds {shown(name)!r} as {shown(dtype, 40)}: expected one of {', '.join(ITEM_BYTES)}")
    if len(shape) > MOST_AXES:
        raise damaged(f"{shown(name)!r} has {len(shape)} axes")
    if not all(type(number) is int and 0 <= number < MOST_NUMBER for number in numbers) or last < first:
        raise damaged(f"{shown(name)!r} has a place or shape that cannot be")
    extent = tuple(shape)
    entry = Entry(name, dtype, begin + first, last - first, None, 0, extent, contiguous(extent))
    if entry.count * ITEM_BYTES[dtype] != entry.size:
        raise damaged(f"{shown(name)!r} is {entry.size:,} bytes long, which does not fit its shape")
    return entry


def _check_gapless(table: Table, begin: int, size: int) -> None:
    """Refuse overlaps and holes: a file of weights has no room for anything else."""
    at = begin
    for entry in sorted(table.entries, key=lambda entry: (entry.start, entry.size)):
        if entry.start != at:
            what = "overlaps the weight before it" if entry.start < at else "leaves a hole before it"
            raise damaged(f"{shown(entry.name)!r} {what}")
        at += entry.size
    if at != size:
        raise damaged(f"it goes on for {size - at:,} bytes behind the last weight")
