"""Where the members of a zip archive lie, no byte claimed twice; nothing is unpacked here.

After PKWARE's APPNOTE 6.3.10. Python's `zipfile` lists a directory of any length, does not see members that
overlap (before 3.12.2), and cuts a member at the size stated without a word: not for archives from outside.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from voxcam.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR_64 = struct.Struct("<4sLQL")  # 4.3.15
_ENTRY = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_HEADER = struct.Struct("<4s5H3L2H")  # 4.3.7

_END_MARK = b"PK\x05\x06"
_COMMENT_BYTES = 0xFFFF
_ALL_ONES = 0xFFFFFFFF
# 100,000 members with names of 2,000 letters: more is no study.
_DIRECTORY_BYTES = 256 * 2**20
_BLOCK_BYTES = 2**20

# General purpose bits (4.4.4).
ENCRYPTED = 0x0041
_SIZES_FOLLOW = 0x0008


class UnreadableArchiveError(ReadError):
    """The file is no zip archive, or so damaged that its members are not known."""


@dataclass(frozen=True)
class Member:
    """One entry of the directory.

    Parameters
    ----------
    number
        Place in the directory, from 1.
    name
        As the archive holds it: to tell members apart by, never to open.
    flags, method, attributes
        General purpose bits (4.4.4), compression method (4.4.5), external attributes (4.4.15).
    crc, packed, size
        CRC-32, compressed and uncompressed bytes as stated.
    begin, data
        Where its own header begins, and where its data does.
    fault
        Why it cannot be read, or "".
    """

    number: int
    name: bytes
    flags: int
    method: int
    attributes: int
    crc: int
    packed: int
    size: int
    begin: int
    data: int
    fault: str

    @property
    def end(self) -> int:
        """The first byte after its data."""
        return self.data + self.packed


class _Directory(NamedTuple):
    begin: int
    length: int
    members: int
    shift: int  # bytes put before the archive: offsets count from behind them


def members(stream: BinaryIO, admit: Callable[[], None]) -> list[Member]:
    """Return the members in the order of the directory.

    Parameters
    ----------
    stream
        The archive; it is left at any position.
    admit
        Called before each member is listed; raises where there are too many.

    Raises
    ------
    UnreadableArchiveError
        No zip archive, cut, damaged, or split over several files.
    ReadError
        It lies: members overlap, or there is a second directory.
    """
    directory = _directory(stream)
    listed = list(_listed(stream, directory, admit))
    if listed and all(member.fault for member in listed):
        raise UnreadableArchiveError(_damaged("no member is where the directory says"))
    sound = sorted((member for member in listed if not member.fault), key=lambda member: member.begin)
    _refuse_overlaps(sound, directory)
    _refuse_second_directory(stream, sound, directory)
    return listed


def _directory(stream: BinaryIO) -> _Directory:
    """Return where the end record says that the directory lies."""
    size = stream.seek(0, 2)
    tail_begin = max(0, size - _END.size - _COMMENT_BYTES)
    stream.seek(tail_begin)
    tail = stream.read(_END.size + _COMMENT_BYTES)
    at = tail.rfind(_END_MARK)
    if at < 0 or at + _END.size > len(tail):
        raise UnreadableArchiveError(
            "expected a zip archive, found no end record: it is cut short or of another kind; "
            "copy it again, or unpack it first"
        )
    end = tail_begin + at
    _, disk, first, here, count, length, offset, comment = _END.unpack_from(tail, at)
    if end + _END.size + comment > size:
        raise UnreadableArchiveError(_damaged("its end record is cut"))
    narrow = (disk, first, here, count, length, offset)
    wide = _wide_end(stream, end)
    if wide is None:
        wide = narrow
    else:
        end -= _END_64.size + _LOCATOR_64.size
        _refuse_disagreement(narrow, wide)
    return _checked(end, wide)


def _wide_end(stream: BinaryIO, end: int) -> tuple[int, ...] | None:
    """Return what the zip64 end record before the end record at `end` states, if there is one."""
    length = _END_64.size + _LOCATOR_64.size
    if end < length:
        return None
    stream.seek(end - length)
    records = stream.read(length)
    if not (records.startswith(b"PK\x06\x06") and records[_END_64.size :].startswith(b"PK\x06\x07")):
        return None
    return tuple(_END_64.unpack_from(records)[4:])


def _refuse_disagreement(narrow: tuple[int, ...], wide: tuple[int, ...]) -> None:
    """Two readers would see two archives where a field that fits its 16 or 32 bits states something else."""
    ones = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, _ALL_ONES, _ALL_ONES)
    for own, other, unused in zip(narrow, wide, ones, strict=True):
        if own not in (other, unused):
            raise UnreadableArchiveError(_damaged("its two end records disagree"))


def _checked(end: int, stated: tuple[int, ...]) -> _Directory:
    disk, first, here, count, length, offset = stated
    if disk or first or here != count:
        raise UnreadableArchiveError(
            "expected one zip archive, found a part of one split over several files: join them first"
        )
    if length > _DIRECTORY_BYTES:
        raise ReadError(
            f"the directory of the archive takes more than {_DIRECTORY_BYTES // 2**20} MiB: unpack it first"
        )
    begin = end - length
    if begin < offset:
        raise UnreadableArchiveError(_damaged("its directory is not where it should be"))
    return _Directory(begin, length, count, begin - offset)


def _listed(stream: BinaryIO, directory: _Directory, admit: Callable[[], None]) -> Iterator[Member]:
    stream.seek(directory.begin)
    data = stream.read(directory.length)
    at = number = 0
    while at < len(data):
        admit()
        number += 1
        if at + _ENTRY.size > len(data) or not data.startswith(b"PK\x01\x02", at):
            raise UnreadableArchiveError(_damaged(f"entry {number} of its directory is damaged"))
        fields = _ENTRY.unpack_from(data, at)
        name_end = at + _ENTRY.size + fields[10]
        extra_end = name_end + fields[11]
        name, extra = data[at + _ENTRY.size : name_end], data[name_end:extra_end]
        yield _member(stream, directory, number, fields, name, extra)
        at = extra_end + fields[12]
    # Writers without zip64 let the count wrap at 65,536.
    if at != directory.length or directory.members not in (number, number % 2**16):
        raise UnreadableArchiveError(_damaged("its directory does not hold as many members as it states"))


def _member(
    stream: BinaryIO, directory: _Directory, number: int, fields: tuple[int, ...], name: bytes, extra: bytes
) -> Member:
    """Return the member of an entry of the directory, checked against its own header."""
    flags, method, crc = fields[3], fields[4], fields[7]
    size, packed, offset = _widened((fields[9], fields[8], fields[16]), extra)
    begin = offset + directory.shift
    data, fault = _own_header(stream, directory, begin, (flags, method, name, crc, packed, size))
    return Member(number, name, flags, method, fields[15], crc, packed, size, begin, data, fault)


def _own_header(
    stream: BinaryIO, directory: _Directory, begin: int, listed: tuple[int, int, bytes, int, int, int]
) -> tuple[int, str]:
    """Return where the member's data begins, and what is wrong with its own header."""
    if begin + _HEADER.size > directory.begin:
        return 0, "is not where the directory says"
    stream.seek(begin)
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(b"PK\x03\x04"):
        return 0, "is not where the directory says"
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _HEADER.unpack(head)
    name, extra = stream.read(name_length), stream.read(extra_length)
    size, packed = _widened((size, packed), extra)
    data = begin + _HEADER.size + name_length + extra_length
    of_both = ENCRYPTED | _SIZES_FOLLOW
    same = (flags & of_both, method, name) == (listed[0] & of_both, *listed[1:3])
    if not same or not (flags & _SIZES_FOLLOW or (crc, packed, size) == listed[3:]):
        return data, "is described in two ways"
    return data, ""


def _widened(values: tuple[int, ...], extra: bytes) -> list[int]:
    """Return `values` with those that are all ones read from the zip64 extra field, in its order (4.5.3)."""
    widened = list(values)
    if _ALL_ONES not in values:
        return widened
    field = _zip64_field(extra)
    for place, value in enumerate(values):
        if value == _ALL_ONES and len(field) >= 8:
            widened[place] = int.from_bytes(field[:8], "little")
            field = field[8:]
    return widened


def _zip64_field(extra: bytes) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 0x0001:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _refuse_overlaps(sound: list[Member], directory: _Directory) -> None:
    """Refuse members that share bytes: they unpack to more than an archive can hold (quoted-overlap bomb)."""
    begins = [*(member.begin for member in sound), directory.begin]
    for member, (_, next_begin) in zip(sound, pairwise(begins), strict=True):
        if member.end > next_begin:
            raise ReadError(
                f"member {member.number} of the archive overlaps what follows it, as in a zip bomb: "
                "nothing was unpacked"
            )


def _refuse_second_directory(stream: BinaryIO, sound: list[Member], directory: _Directory) -> None:
    """Refuse an end record outside of any member: another reader would see another archive."""
    edges = [(0, 0), *((member.begin, member.end) for member in sound), (directory.begin, directory.begin)]
    for (_, begin), (end, _) in pairwise(edges):
        # What describes sizes behind the data (4.3.9) takes up to 24 bytes, an end record with one entry 68.
        if end - begin >= _ENTRY.size + _END.size and _marked(stream, begin, end):
            raise ReadError(
                "the archive has two directories and could be read in two ways: nothing was unpacked"
            )


def _marked(stream: BinaryIO, begin: int, end: int) -> bool:
    """Whether an end record begins between two positions."""
    stream.seek(begin)
    kept, left = b"", end - begin
    while left > 0:
        block = stream.read(min(left, _BLOCK_BYTES))
        if not block:
            return False
        if _END_MARK in kept + block:
            return True
        kept, left = block[-3:], left - len(block)
    return False


def _damaged(what: str) -> str:
    return f"the archive is damaged, {what}: copy it again, or unpack it by another program first"
