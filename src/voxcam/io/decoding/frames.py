"""Where in a file the compressed frames lie: the fragments of encapsulated Pixel Data (PS3.5 A.4)."""

from __future__ import annotations

import struct
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from voxcam.io.decoding.coding import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Read = Callable[[int, int], bytes]
    Fragment = tuple[int, int]

_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_MOST_ITEMS = 1 << 20  # a whole-slide level has some 100,000 tiles
_END_MARKER, _NEAR_END = b"\xff\xd9", 10  # JPEG's EOI and JPEG 2000's EOC, before what pads to an even length


def frame_fragments(
    read: Read, offset: int, size: int, frames: int, extended: tuple[bytes, bytes] | None = None
) -> list[list[Fragment]]:
    """Return, for each frame, the (offset, length) of its fragments in the file, in order.

    No length or table is trusted: one that points beside the fragments is left aside, and the frames are
    told apart by their number or by the end marker of each.

    Parameters
    ----------
    read
        (offset, count) -> bytes of the file.
    offset
        Of the first item of the Pixel Data, the Basic Offset Table.
    size
        Bytes of the file.
    frames
        As the header says.
    extended
        Extended Offset Table (7FE0,0001) and its lengths (7FE0,0002), PS3.3 C.7.6.3.1.8.

    Raises
    ------
    DecodeError
        The pixels are cut short, or the frames cannot be told apart.
    """
    if not 1 <= frames <= (size - offset) // 8:
        raise DecodeError(f"the header says {frames} frames, for which the file is too short")
    (table_offset, table_length), *fragments = _items(read, offset, size)
    alone = [fragments] if frames == 1 and fragments else []  # a frame alone takes them all
    return (
        _by_extended_table(fragments, frames, extended)
        or alone
        or _by_table(read, fragments, frames, (table_offset, table_length))
        or _by_number(fragments, frames)
        or _by_end_marker(read, fragments, frames)
        or _refuse(len(fragments), frames)
    )


def _items(read: Read, at: int, size: int) -> list[Fragment]:
    """Offset and length of each item's value; the offset table's is the first."""
    items: list[Fragment] = []
    while len(items) < _MOST_ITEMS:
        header = read(at, 8) if at + 8 <= size else b""
        if len(header) != 8:
            raise DecodeError("the compressed pixels are cut short: they have no end")
        group, element, length = struct.unpack("<HHI", header)
        if (group, element) == _SEQUENCE_END and items:
            return items
        if (group, element) != _ITEM:
            raise DecodeError("expected a fragment of compressed pixels, found something else")
        if at + 8 + length > size:
            raise DecodeError("the compressed pixels are cut short: a fragment runs past the end of the file")
        items.append((at + 8, length))
        at += 8 + length
    raise DecodeError(f"the compressed pixels lie in more than {_MOST_ITEMS} fragments")


def _by_extended_table(
    fragments: list[Fragment], frames: int, extended: tuple[bytes, bytes] | None
) -> list[list[Fragment]]:
    """One fragment a frame, of which the table says how much is pixels and how much padding."""
    if extended is None or len(fragments) != frames or any(len(table) != 8 * frames for table in extended):
        return []
    offsets, lengths = (struct.unpack(f"<{frames}Q", table) for table in extended)
    first = fragments[0][0]
    pairs = list(zip(fragments, offsets, lengths, strict=True))
    if all(at - first == stated and count - 1 <= used <= count for (at, count), stated, used in pairs):
        return [[(at, used)] for (at, _), _, used in pairs]
    return []


def _by_table(read: Read, fragments: list[Fragment], frames: int, table: Fragment) -> list[list[Fragment]]:
    """Frames that begin where the Basic Offset Table says, if fragments do begin there."""
    at, length = table
    if length != 4 * frames or len(fragments) < frames:
        return []
    value = read(at, length)
    if len(value) != length:
        return []
    first = fragments[0][0]
    starts = [start - first for start, _ in fragments]
    stated = struct.unpack(f"<{frames}I", value)
    places = [bisect_left(starts, offset) for offset in stated]
    found = all(
        place < len(starts) and starts[place] == offset for place, offset in zip(places, stated, strict=True)
    )
    rising = all(a < b for a, b in pairwise(places))
    return _cut(fragments, places[1:]) if found and rising and places[0] == 0 else []


def _by_number(fragments: list[Fragment], frames: int) -> list[list[Fragment]]:
    return [[fragment] for fragment in fragments] if len(fragments) == frames else []


def _by_end_marker(read: Read, fragments: list[Fragment], frames: int) -> list[list[Fragment]]:
    """Frames that end with a fragment which has an end marker in its last bytes."""
    if len(fragments) < frames:
        return []
    befores = [(0, 0), *fragments]
    ends = [
        place + 1
        for place, (before, fragment) in enumerate(zip(befores, fragments, strict=False))
        if _END_MARKER in _last_bytes(read, before, fragment)
    ]
    return _cut(fragments, ends[:-1]) if len(ends) == frames and ends[-1] == len(fragments) else []


def _last_bytes(read: Read, before: Fragment, fragment: Fragment) -> bytes:
    """Last bytes of a fragment; of a very short one with the byte before it, for a marker cut in two."""
    at, length = fragment
    if length >= _NEAR_END:
        return read(at + length - _NEAR_END, _NEAR_END)
    last = read(sum(before) - 1, 1) if before[1] else b""
    return last + read(at, length)


def _cut(fragments: list[Fragment], places: Sequence[int]) -> list[list[Fragment]]:
    edges = [0, *places, len(fragments)]
    return [fragments[begin:end] for begin, end in pairwise(edges)]


def _refuse(fragments: int, frames: int) -> list[list[Fragment]]:
    raise DecodeError(f"{fragments} fragments of compressed pixels cannot be shared out to {frames} frames")
