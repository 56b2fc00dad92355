"""What a compressed frame says of itself, read from its first bytes before any decoder sees it.

A decoder allocates what the code stream states. These readers allocate nothing and stop at the first byte
that does not fit: JPEG (ITU-T T.81 B.2), JPEG-LS (T.87 C.2), JPEG 2000 (T.800 A.4-A.6), RLE (PS3.5 G.5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from voxcam.io.decoding.coding import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOI, _EOI, _SOS, _SOF_LS = 0xD8, 0xD9, 0xDA, 0xF7
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3}  # baseline, extended, progressive, lossless: Huffman coded
_OTHER_FRAMES = {0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # hierarchical or arithmetic
_LOSSLESS = 0xC3
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_SOC, _SIZ, _COD, _SOT, _EOC = b"\xff\x4f", 0xFF51, 0xFF52, 0xFF90, b"\xff\xd9"
_SMALLEST_TILE = 256  # pixels: a grid of many more tiles costs memory, and no encoder makes one
_MOST_MARKERS = 4096
_PADDING = b"\x00\xff"


@dataclass(frozen=True, slots=True)
class Stream:
    """Size and samples that a code stream states.

    Parameters
    ----------
    signed
        JPEG 2000 states it; JPEG and JPEG-LS know unsigned values alone.
    lossless
        JPEG of process 14, or JPEG-LS.
    planar
        Colours come one after another.
    mixed
        JPEG 2000 with a colour transform of its own, which its decoder takes back.
    start
        First byte of the code stream: a JPEG 2000 one may lie in a JP2 file.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    lossless: bool = False
    planar: bool = False
    mixed: bool = False
    start: int = 0


def jpeg_stream(code: bytes) -> Stream:
    """Return what a JPEG or JPEG-LS code stream states; it must have its end marker."""
    frame: Stream | None = None
    for marker, at, length in _jpeg_segments(code):
        if marker in _OTHER_FRAMES:
            raise DecodeError("arithmetic or hierarchical JPEG has no decoder here", "no decoder")
        if marker in _FRAMES or marker == _SOF_LS:
            frame = _jpeg_frame(code, marker, at, length)
        elif marker == _SOS:
            return _jpeg_scan(code, at, length, frame)
    raise DecodeError("the JPEG code stream has no image")


def _jpeg_segments(code: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte of its content, and its length, for each segment before the first scan's data."""
    if code[:2] != b"\xff\xd8":
        raise DecodeError("expected a JPEG code stream, found something else")
    at = 2
    for _ in range(_MOST_MARKERS):
        while code[at : at + 2] == b"\xff\xff":  # fill bytes, T.81 B.1.1.2
            at += 1
        if at + 4 > len(code) or code[at] != 0xFF:
            break
        marker = code[at + 1]
        if marker in _BARE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", code, at + 2)
        if length < 2 or at + 2 + length > len(code) or marker == _EOI:
            break
        yield marker, at + 4, length - 2
        at += 2 + length
    raise DecodeError("the JPEG code stream is damaged before its image")


def _jpeg_frame(code: bytes, marker: int, at: int, length: int) -> Stream:
    if length < 6 or length < 6 + 3 * code[at + 5]:
        raise DecodeError("the JPEG frame header is damaged")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", code, at)
    near_lossless = marker == _SOF_LS
    lossless = near_lossless or marker == _LOSSLESS
    return Stream(rows, columns, samples, precision, lossless=lossless, planar=near_lossless)


def _jpeg_scan(code: bytes, at: int, length: int, frame: Stream | None) -> Stream:
    if frame is None or length < 4 or length < 4 + 2 * code[at]:
        raise DecodeError("the JPEG scan header is damaged")
    if not code[-64:].rstrip(_PADDING).endswith(b"\xff\xd9"):
        raise DecodeError("the JPEG code stream is cut short: it has no end")
    return replace(frame, planar=frame.planar and code[at] < frame.samples)


def jpeg2000_stream(code: bytes) -> Stream:
    """Return what a JPEG 2000 code stream states; all its tile parts must be there."""
    start = 0 if code[:2] == _SOC else _in_jp2(code)
    if code[start : start + 4] != b"\xff\x4f\xff\x51" or start + 44 > len(code):
        raise DecodeError("expected a JPEG 2000 code stream, found something else")
    rows, columns = _tiled_size(code, start + 8)
    samples = _u16(code, start + 40)
    depth = _depth(code, start + 42, samples)
    mixed, tiles = _main_header(code, start)
    _check_tile_parts(code, tiles)
    return Stream(
        rows,
        columns,
        samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        mixed=mixed,
        start=start,
    )


def _in_jp2(code: bytes) -> int:
    """First byte of the code stream in a JP2 file (T.800 I.4), which PS3.5 A.4.4 forbids and some write."""
    at = 0
    for _ in range(64):
        if at + 8 > len(code):
            break
        length, kind = struct.unpack_from(">I4s", code, at)
        if kind == b"jp2c":
            return at + (16 if length == 1 else 8)
        if length < 8:
            break
        at += length
    raise DecodeError("expected a JPEG 2000 code stream, found something else")


def _tiled_size(code: bytes, at: int) -> tuple[int, int]:
    """Rows and columns of the image area; its tiles must be of a sane size (T.800 A.5.1, B.2)."""
    x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0 = struct.unpack_from(">8I", code, at)
    columns, rows = x1 - x0, y1 - y0
    if columns <= 0 or rows <= 0 or not (tile_x and tile_y) or tile_x0 > x0 or tile_y0 > y0:
        raise DecodeError("the JPEG 2000 image size is damaged")
    tiles = -(-(x1 - tile_x0) // tile_x) * -(-(y1 - tile_y0) // tile_y)
    if tiles > 4 + rows * columns // _SMALLEST_TILE:
        raise DecodeError(f"the JPEG 2000 code stream states {tiles} tiles of {rows} x {columns} pixels")
    return rows, columns


def _depth(code: bytes, at: int, samples: int) -> int:
    """Ssiz, which all components must share, each at the full size."""
    components = code[at : at + 3 * samples]
    if not 1 <= samples <= 4 or len(components) < 3 * samples or components != components[:3] * samples:
        raise DecodeError("the JPEG 2000 components are damaged, or differ from each other")
    if components[1:3] != b"\x01\x01":
        raise DecodeError("JPEG 2000 with reduced components has no decoder here", "no decoder")
    return components[0]


def _main_header(code: bytes, start: int) -> tuple[bool, int]:
    """Whether the colours are mixed (COD, T.800 A.6.1), and where the first tile part begins."""
    mixed, at = False, start + 2
    for _ in range(_MOST_MARKERS):
        if at + 4 > len(code):
            break
        marker, length = struct.unpack_from(">HH", code, at)
        if marker == _SOT:
            return mixed, at
        if marker < 0xFF00 or length < 2:
            break
        if marker == _COD and length >= 8 and at + 9 <= len(code):
            mixed = code[at + 8] != 0
        at += 2 + length
    raise DecodeError("the JPEG 2000 main header is damaged")


def _check_tile_parts(code: bytes, at: int) -> None:
    """Follow the tile parts by their lengths (T.800 A.4.2); decoders fill a missing one with grey."""
    while _u16(code, at) == _SOT:
        if at + 12 > len(code):
            raise DecodeError("the JPEG 2000 code stream is cut short")
        (length,) = struct.unpack_from(">I", code, at + 6)
        if length == 0:  # lasts to the end of the code stream
            at = len(code.rstrip(b"\x00")) - 2
            break
        if length < 14 or at + length > len(code):
            raise DecodeError("the JPEG 2000 code stream is cut short")
        at += length
    if code[at : at + 2] not in (_EOC, b"") and code[at:].strip(_PADDING):
        raise DecodeError("the JPEG 2000 code stream is cut short: it has no end")


def _u16(code: bytes, at: int) -> int:
    return int.from_bytes(code[at : at + 2], "big")


def check_rle(code: bytes, segments: int, segment_bytes: int) -> None:
    """Refuse an RLE frame without `segments` segments that could make `segment_bytes` each (PS3.5 G.5)."""
    if len(code) < 64:
        raise DecodeError("the RLE frame is cut short: it has no segment table")
    count, *offsets = struct.unpack_from("<16I", code)
    if count != segments:
        raise DecodeError(f"expected {segments} RLE segments, found {count}")
    edges = [*offsets[:segments], len(code)]
    lengths = [end - begin for begin, end in pairwise(edges)]
    if edges[0] < 64 or min(lengths) < 2:
        raise DecodeError("the RLE segment table is damaged")
    if min(lengths) * 64 < segment_bytes:  # two bytes make 128 at most, PS3.5 G.3.1
        raise DecodeError(f"an RLE segment of {min(lengths)} bytes cannot hold {segment_bytes}")
