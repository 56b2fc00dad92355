"""A member of a zip archive: whether it is a file to look at, what it holds, and a name of our own for it."""

from __future__ import annotations

import stat
import zlib
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from voxcam.io.left_out import LeftOut
from voxcam.io.place.zip_directory import ENCRYPTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxcam.io.place.zip_directory import Member

_STORED, _DEFLATED = 0, 8
# Readers look at these ends of a name; the longer first.
_ENDINGS = (
    *(".nii.gz", ".hdr.gz", ".img.gz", ".mgh.gz", ".nii", ".hdr", ".img", ".dcm"),
    *(".mha", ".mhd", ".zraw", ".raw", ".nrrd", ".nhdr", ".mgz", ".mgh"),
)
_SYSTEM_FILES = (b".ds_store", b"thumbs.db", b"desktop.ini")
_PACKED_BYTES = 2**18
_BLOCK_BYTES = 2**20


class SpoiltError(Exception):
    """A member that is not what the directory says."""


def is_folder(member: Member) -> bool:
    """Whether a member stands for a folder, and holds nothing."""
    by_name = member.name.endswith((b"/", b"\\"))
    return member.size == 0 and (by_name or stat.S_ISDIR(member.attributes >> 16))


def why_not(member: Member) -> LeftOut | None:
    """Return why a member is not unpacked, or None if it is."""
    folder, name = _parted(member.name)
    kind = stat.S_IFMT(member.attributes >> 16)
    of_macos = name.startswith(b"._") or b"/__MACOSX/" in b"/%b/" % folder
    if of_macos or name.lower() in _SYSTEM_FILES:
        return LeftOut("system file")
    if kind not in (0, stat.S_IFREG):
        return LeftOut("a link, or no file, in an archive: links are not followed", refused=True)
    if member.flags & ENCRYPTED:
        return LeftOut("encrypted in an archive: unpack it with its password first", refused=True)
    if member.method not in (_STORED, _DEFLATED):
        method = f"packed by method {member.method} in an archive, known are stored (0) and deflate (8)"
        return LeftOut(f"{method}: unpack it first", refused=True)
    if (member.size, member.crc) == (0, 0) and member.packed <= 2:
        return LeftOut("empty file", refused=True)
    return None


def own_names(listed: list[Member]) -> list[str]:
    """Return a path of numbers for each member, in the order of names; same folder and stem, same number."""
    met: Counter[tuple[bytes, ...]] = Counter()
    stems: list[tuple[bytes, bytes, int]] = []
    endings = []
    for member in listed:
        folder, name = _parted(member.name)
        ending = next((e for e in _ENDINGS if name.lower().endswith(e.encode())), "")
        stem = name[: len(name) - len(ending)]
        which = (folder, stem, ending.encode())
        met[which] += 1
        stems.append((folder, stem, met[which]))
        endings.append(ending)
    folders = {key: n for n, key in enumerate(sorted({folder for folder, *_ in stems}), start=1)}
    keys = [(folders[folder], stem, time) for folder, stem, time in stems]
    numbers = {key: n for n, key in enumerate(sorted(set(keys)), start=1)}
    return [f"{key[0]:06d}/{numbers[key]:06d}{ending}" for key, ending in zip(keys, endings, strict=True)]


def _parted(name: bytes) -> tuple[bytes, bytes]:
    """Return folder and file of a name; some Windows programs write backslashes."""
    folder, _, file = name.rpartition(b"/" if b"/" in name else b"\\")
    return folder, file


def blocks(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    """Return what a member holds, a block at a time."""
    try:
        yield from _packed(stream, member) if member.method == _STORED else _inflated(stream, member)
    except zlib.error:
        raise SpoiltError("is damaged: it cannot be inflated") from None


def _packed(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    at, end = member.data, member.end
    while at < end:
        try:
            stream.seek(at)
            block = stream.read(min(_PACKED_BYTES, end - at))
        except OSError:
            block = b""
        if not block:
            raise SpoiltError("cannot be read to its end")
        yield block
        at += len(block)


def _inflated(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    for packed in _packed(stream, member):
        if machine.eof:
            raise SpoiltError("holds bytes after its end")
        left = packed
        while left:
            yield machine.decompress(left, _BLOCK_BYTES)
            left = machine.unconsumed_tail
        if machine.unused_data:
            raise SpoiltError("holds bytes after its end")
    while not machine.eof:
        # What was held back when the last block was full.
        block = machine.decompress(b"", _BLOCK_BYTES)
        if not block:
            raise SpoiltError("is cut short")
        yield block
