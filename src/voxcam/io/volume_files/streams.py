"""Bytes of voxels, straight from a file into an array; gzip and zlib are inflated to their last trailer."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from voxcam.errors import ReadError
from voxcam.io.volume_files.kept import Refusal, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.io.study import Progress
    from voxcam.io.volume_files.kept import Stored

GZIP = b"\x1f\x8b"
# Of zlib.decompressobj: which wrapper it expects, whose checksum (and, of gzip, length) it then verifies.
_WRAPPERS = {"gzip": 31, "zlib": 15}
_READ = 1 << 18
_PIECE = 1 << 20
_PLAIN_PIECE = 1 << 24
# A file of many tiny members takes for ever to walk; bgzip's hold up to 64 KiB each.
_FREE_MEMBERS = 16
_BYTES_A_MEMBER = 1 << 10


class Damaged(Exception):  # noqa: N818 - becomes a ReadError or a Refusal where the file is known
    """What is wrong with a stream."""


def first_bytes(path: Path, count: int) -> tuple[bytes, bool]:
    """Return the first bytes of a file, inflated where it is gzip, and whether it is. No more is inflated.

    Raises
    ------
    Refusal
        The gzip stream is damaged before that many bytes.
    """
    with path.open("rb") as stream:
        head = stream.read(count)
        if head[:2] != GZIP:
            return head, False
        stream.seek(0)
        parts: list[bytes] = []
        gathered = 0
        try:
            for piece in inflated(stream, "gzip", None, min(_PIECE, count)):
                parts.append(piece)
                gathered += len(piece)
                if gathered >= count:
                    break
        except Damaged as damage:
            raise Refusal(f"damaged gzip file: {damage}") from None
    return b"".join(parts)[:count], True


def inflated(stream: BinaryIO, packing: str, most: int | None, piece: int = _PIECE) -> Iterator[bytes]:
    """Yield what a packed stream holds, piece by piece, down to its last trailer.

    A gzip stream may have several members (RFC 1952, 2.2), and zeros behind the last, as tapes do.

    Parameters
    ----------
    packing
        ``gzip`` or ``zlib``.
    most
        Bytes it may hold; it is not inflated any further.

    Raises
    ------
    Damaged
        Cut short, checksum or length wrong, more than `most` bytes, or something behind the last member.
    """
    left = most
    members, yielded, data = 1, 0, b""
    engine = zlib.decompressobj(_WRAPPERS[packing])
    while True:
        if engine.eof:
            data = _behind(stream, engine.unused_data, packing)
            if not data:
                return
            members += 1
            if members > _FREE_MEMBERS + yielded // _BYTES_A_MEMBER:
                raise Damaged("it is cut into very many pieces")
            engine = zlib.decompressobj(_WRAPPERS[packing])
        out, data = _step(engine, stream, data, piece if left is None else min(piece, left + 1))
        if left is not None:
            left -= len(out)
            if left < 0:
                raise Damaged("it holds more bytes than its header promises")
        yielded += len(out)
        if out:
            yield out


def _step(engine: Any, stream: BinaryIO, data: bytes, most: int) -> tuple[bytes, bytes]:
    """Return (inflated bytes, packed bytes not used yet)."""
    data = data or stream.read(_READ)
    at_end = not data
    try:
        out = engine.decompress(data, most)
    except zlib.error:
        raise Damaged("its checksum or its bytes are wrong") from None
    if at_end and not out and not engine.eof:
        raise Damaged("its end is missing")
    return out, engine.unconsumed_tail


def _behind(stream: BinaryIO, unused: bytes, packing: str) -> bytes:
    """Return the beginning of the next member, or nothing at the end of the file."""
    while True:
        rest = unused.lstrip(b"\0")
        if rest:
            break
        unused = stream.read(_READ)
        if not unused:
            return b""
    rest += stream.read(2) if len(rest) < 2 else b""
    if packing != "gzip" or rest[:2] != GZIP:
        raise Damaged("something else follows its end")
    return rest


def voxels_of(stored: Stored, version: tuple[int, int], progress: Progress | None) -> tuple[Any, bytes]:
    """Return (voxels in one row, in the file's byte order; the bytes behind them).

    The file is read into the array itself: nothing is held twice.

    Raises
    ------
    ReadError
        The file is gone, has changed since the scan, or is damaged.
    """
    try:
        if version_of(stored.file) != version:
            raise ReadError("the file has changed since the scan; scan the place again")
        room = np.empty(stored.size, np.uint8)
        with stored.file.open("rb") as stream:
            stream.seek(stored.begins)
            behind = _filled(room, stream, stored, progress)
    except FileNotFoundError:
        raise ReadError("the file is not there any more; scan the place again") from None
    except (Damaged, OSError) as error:
        why = str(error) if isinstance(error, Damaged) else type(error).__name__
        raise ReadError(f"the file is damaged or cut short: {why}; copy it again") from None
    return room.view(stored.dtype), behind


def _filled(room: NDArray[Any], stream: BinaryIO, stored: Stored, progress: Progress | None) -> bytes:
    """Fill `room` with the voxels; return what is behind them."""
    if not stored.packing:
        stream.seek(stored.begins + stored.skipped)
        _read_into(room.data, stream, stored, progress)
        return stream.read(stored.most_after)
    behind = bytearray()
    view, done, skip = room.data, 0, stored.skipped
    for piece in inflated(stream, stored.packing, skip + stored.size + stored.most_after):
        part = memoryview(piece)[skip:]
        skip -= len(piece) - len(part)
        here = part[: stored.size - done]
        view[done : done + len(here)] = here
        done += len(here)
        behind += part[len(here) :]
        _tell(progress, done, stored)
    if done < stored.size:
        raise Damaged("it holds fewer bytes than its header promises")
    return bytes(behind)


def _read_into(view: memoryview, stream: Any, stored: Stored, progress: Progress | None) -> None:
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + _PLAIN_PIECE])
        if not got:
            raise Damaged("it holds fewer bytes than its header promises")
        done += got
        _tell(progress, done, stored)


def _tell(progress: Progress | None, done: int, stored: Stored) -> None:
    """Tell the progress in slices: those along the slowest axis."""
    if progress is not None:
        slices = stored.shape[-1]
        progress(slices * done // max(stored.size, 1), slices)
