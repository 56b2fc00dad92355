"""Bytes of a DICOM file as they are asked for, inflated where its data set is deflated."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from voxcam.io import limits

if TYPE_CHECKING:
    from voxcam.io.dicom.elements import Elements

_FIRST_READ, _NEXT_READ = 16384, 65536
_INFLATE_STEP = 1 << 20
_DEFLATE_RATIO = 200


class Damaged(Exception):  # noqa: N818 - caught where the file is met, and becomes its reason
    """Why the file cannot be what it says, in words that fit any file; `met` is what was read until there."""

    met: Elements | None = None


class Source:
    """Bytes of a file or of memory, read as needed; no range is believed to be there."""

    @classmethod
    def of_file(cls, descriptor: int, size: int) -> Source:
        """Return the source of an open file of `size` bytes."""
        return cls(_Read(descriptor), size)

    def __init__(self, read: _Read, size: int) -> None:
        self._read, self.size = read, size
        self.base, self.bytes = 0, read(0, min(_FIRST_READ, size))

    def at(self, offset: int, count: int) -> int:
        """Return where `offset` lies in `bytes`, after making sure that `count` bytes from there do.

        Raises
        ------
        Damaged
            The file ends before.
        """
        start = offset - self.base
        if start >= 0 and start + count <= len(self.bytes):
            return start
        if offset + count > self.size:
            raise Damaged("the file was cut short: copy it again")
        self.bytes = self._read(offset, max(count, min(_NEXT_READ, self.size - offset)))
        self.base = offset
        if len(self.bytes) < count:
            raise Damaged("the file was cut short: copy it again")
        return 0

    def glimpse(self, offset: int, count: int) -> bytes:
        """Return a few bytes, fewer at the end of the file; `bytes` stay as they are."""
        return self._read(offset, count)


class _Read:
    """Read a range of a file descriptor, or of bytes."""

    def __init__(self, whence: int | bytes) -> None:
        self._whence = whence

    def __call__(self, offset: int, count: int) -> bytes:
        if isinstance(self._whence, bytes):
            return self._whence[offset : offset + count]
        return (
            os.pread(self._whence, count, offset) if _PREAD else _seek_and_read(self._whence, count, offset)
        )


_PREAD = hasattr(os, "pread")


def _seek_and_read(descriptor: int, count: int, offset: int) -> bytes:  # Windows has no pread
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, count)


def inflated_source(descriptor: int, start: int) -> Source:
    """Return the inflated data set, stopped at the memory limit or at 200 times the file's size."""
    inflator, pieces, total, place = zlib.decompressobj(-zlib.MAX_WBITS), [], 0, start
    most = min(limits.most_bytes(), max(1 << 26, _DEFLATE_RATIO * os.fstat(descriptor).st_size))
    read = _Read(descriptor)
    try:
        while not inflator.eof and (packed := inflator.unconsumed_tail or read(place, _NEXT_READ)):
            if not inflator.unconsumed_tail:
                place += len(packed)
            pieces.append(inflator.decompress(packed, _INFLATE_STEP))
            total += len(pieces[-1])
            if total > most:
                raise Damaged(
                    f"a deflated file that grows past {most >> 20} MiB ({_DEFLATE_RATIO} times its size, "
                    "or the limit VOXCAM_MOST_BYTES): a bomb, or damaged"
                )
    except zlib.error:
        raise Damaged("the deflated data set is damaged: copy the file again") from None
    if not inflator.eof:
        raise Damaged("the file was cut short: copy it again")
    whole = b"".join(pieces)
    source = Source(_Read(whole), len(whole))
    source.bytes = whole
    return source
