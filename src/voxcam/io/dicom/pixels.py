"""The stored pixels of one image: read from where the scan found them, decoded if they are compressed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.errors import ReadError
from voxcam.io import limits
from voxcam.io.decoding.coding import Coding, DecodeError
from voxcam.io.decoding.crew import crew
from voxcam.io.decoding.frames import frame_fragments
from voxcam.io.dicom.colour import in_colour
from voxcam.io.dicom.elements import walk
from voxcam.io.dicom.inflating import inflated_bytes
from voxcam.io.dicom.sources import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.io.dicom.headers import Header
    from voxcam.io.dicom.stored import Stored

_EXTENDED_OFFSETS = (0x7FE00001, 0x7FE00002)
_REAL = {0x7FE00008: "f4", 0x7FE00009: "f8"}
_AGAIN = "copy it again"
_EXPORT = "export the series uncompressed (Explicit VR Little Endian)"
_WAYS_OUT = {"damaged": _AGAIN}


def stored_frame(header: Header, where: str) -> NDArray[Any]:
    """Return the frame an image lies in as stored, (rows, columns): whole numbers, or `COLOUR`.

    Of a mosaic that is all its tiles.

    Parameters
    ----------
    header
        Of the scan; the file must still be the same.
    where
        How to name the image in an error.

    Raises
    ------
    ReadError
        The file is gone, changed, cut short, or its coding cannot be decoded here.
    """
    stored = header.stored
    limits.check(stored.rows * stored.columns * stored.samples * 4, where)
    try:
        with opened(header, where) as descriptor:
            if stored.native:
                raw = _native(header, descriptor)
            else:
                raw = used_bits(crew().decode(_code(header, descriptor), _coding(stored)), stored)
        return in_colour(raw, header) if header.is_colour else raw
    except Damaged as damage:
        raise ReadError(f"{where}: {damage}") from None
    except DecodeError as error:
        way_out = _WAYS_OUT.get(error.kind, _EXPORT)
        raise ReadError(f"{where} cannot be decoded: {error}; {way_out}") from None


@contextmanager
def opened(header: Header, where: str) -> Iterator[int]:
    """Open the file, if it still is the one that was scanned."""
    try:
        descriptor = os.open(header.file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        raise ReadError(f"{where} cannot be opened any more; scan the place again") from None
    try:
        status = os.fstat(descriptor)
        if status.st_size < header.stored.size:
            raise ReadError(f"{where} is damaged or cut short since the scan: {_AGAIN}")
        if (status.st_size, status.st_mtime_ns) != (header.stored.size, header.stored.mtime_ns):
            raise ReadError(f"{where} has changed since the scan; scan the place again")
        yield descriptor
    except OSError:
        raise ReadError(f"{where} cannot be read to its end; {_AGAIN}") from None
    finally:
        os.close(descriptor)


def _native(header: Header, descriptor: int) -> NDArray[Any]:
    """Return an uncompressed frame, (rows, columns) or (rows, columns, samples)."""
    stored = header.stored
    count = stored.frame_bits // 8
    count += count % 2 if stored.swapped else 0
    offset = stored.offset + header.frame * (stored.frame_bits // 8)
    if stored.deflated:
        raw = inflated_once(header.file, stored.mtime_ns)[offset : offset + count]
    else:
        raw = read_at(descriptor, offset, count)
    if len(raw) < count:
        raise Damaged(f"expected {count} bytes of pixels, found {len(raw)}: {_AGAIN}")
    flat = np.frombuffer(raw, stored_type(stored))
    if stored.swapped:
        flat = flat.reshape(-1, 2)[:, ::-1].reshape(-1)[: stored.frame_bits // 8]
    return _shaped(used_bits(flat, stored), stored)


def used_bits(flat: NDArray[Any], stored: Stored) -> NDArray[Any]:
    """Return numbers without the bits above those stored: overlays of old, or rubbish; PS3.5 8.1.1."""
    unused = stored.bits_allocated - stored.bits_stored
    if unused <= 0 or stored.tag in _REAL:
        return flat
    flat = flat.astype(flat.dtype.newbyteorder("="))
    return (
        (flat << unused) >> unused
        if stored.signed
        else flat & np.array(2**stored.bits_stored - 1, flat.dtype)
    )


def stored_type(stored: Stored) -> np.dtype[Any]:
    """Return the type of one stored number: size, sign and byte order; of a parametric map it may be real."""
    if stored.tag in _REAL:
        return np.dtype(("<" if stored.little else ">") + _REAL[stored.tag])
    sign = "i" if stored.signed else "u"
    return np.dtype(f"{'<' if stored.little else '>'}{sign}{stored.bits_allocated // 8}")


def _shaped(flat: NDArray[Any], stored: Stored) -> NDArray[Any]:
    if stored.samples == 1:
        return flat.reshape(stored.rows, stored.columns)
    if stored.photometric == "YBR_FULL_422":
        # Y1 Y2 B R for two pixels, B and R sampled at the first; PS3.3 C.7.6.3.1.2.
        pairs = flat.reshape(stored.rows, stored.columns // 2, 4)
        both = [pairs[..., [0, 2, 3]], pairs[..., [1, 2, 3]]]
        return np.stack(both, axis=2).reshape(stored.rows, stored.columns, 3)
    if stored.planar:
        return np.moveaxis(flat.reshape(stored.samples, stored.rows, stored.columns), 0, -1)
    return flat.reshape(stored.rows, stored.columns, stored.samples)


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """Return `count` bytes from `offset` on, fewer where the file ends."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    found = os.read(descriptor, count)
    while len(found) < count and (more := os.read(descriptor, count - len(found))):
        found += more
    return found


@lru_cache(maxsize=2)
def inflated_once(path: Path, mtime_ns: int) -> bytes:
    """Return the inflated data set of a file, remembered for its next frame."""
    return inflated_bytes(path)


def _code(header: Header, descriptor: int) -> bytes:
    """Return the compressed stream of one frame, its fragments joined."""
    stored = header.stored
    read = partial(read_at, descriptor)
    if stored.frames == 1:
        fragments = frame_fragments(read, stored.offset, stored.size, 1)[0]
    else:
        fragments = _fragments(header.file, stored)[header.frame]
    return b"".join(read(offset, length) for offset, length in fragments)


@lru_cache(maxsize=4)
def _fragments(path: Path, stored: Stored) -> list[list[tuple[int, int]]]:
    """Return where each frame's fragments lie, in a file of many."""
    with path.open("rb") as stream:
        tables = walk(stream.fileno(), stored.size, _EXTENDED_OFFSETS).values
        extended = [tables[tag] for tag in _EXTENDED_OFFSETS if tag in tables]
        both = (extended[0], extended[1]) if len(extended) == 2 else None
        return frame_fragments(
            partial(read_at, stream.fileno()), stored.offset, stored.size, stored.frames, both
        )


def _coding(stored: Stored) -> Coding:
    return Coding(
        transfer_syntax=stored.syntax,
        rows=stored.rows,
        columns=stored.columns,
        samples=stored.samples,
        bits_allocated=stored.bits_allocated,
        bits_stored=stored.bits_stored,
        signed=stored.signed,
        photometric=stored.photometric,
    )
