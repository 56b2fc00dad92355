"""The elements of a DICOM file, walked without trust: what is asked for is kept, the rest is stepped over.

pydicom parses everything and believes the lengths it reads. Here every length is held against the file's
true size, nesting is counted, nothing is built that was not asked for, and a header takes a fifth of the
time. What lies in sequences is left to pydicom, after this walk has passed the file. PS3.5 section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from voxcam.io.dicom.sources import Damaged, Source, inflated_source

if TYPE_CHECKING:
    from collections.abc import Container

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)

# Sequences within sequences; DCMTK's default is the same.
DEEPEST = 64
UNDEFINED = 0xFFFFFFFF
WHOLE_PIXELS = 0x7FE00010
_FIRST_PIXELS = 0x7FE00008
_PIXELS = (0x7FE00008, 0x7FE00009, WHOLE_PIXELS)  # float, double, whole numbers
# Value representations whose length takes four bytes, after two of nothing; PS3.5 table 7.1-1.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
# What a preamble may begin with to be run or unpacked by something else (PS3.10 7.5): programs for Windows,
# Linux and macOS, scripts, zip. TIFF's is legal.
_PROGRAMS = (
    *(b"MZ", b"\x7fELF", b"#!", b"PK\x03\x04"),
    *(
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
    ),
)
_PIXELS_CUT = "pixel data cut short: copy the file again"
_LONGER = "an element is longer than the file: cut short or damaged, copy it again"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written."""

    explicit: bool
    little: bool


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where pixel data lie in the (inflated) file: tag, first byte of the value, its length; and its VR.

    Encapsulated pixels have the length `UNDEFINED`; their offset is that of the first item.
    """

    tag: int
    offset: int
    length: int
    vr: bytes


@dataclass(frozen=True, slots=True)
class Elements:
    """What was met on the way to the pixels.

    Parameters
    ----------
    values
        Raw bytes by tag, of what was asked for and has a stated length.
    present
        Tags asked for that are sequences, or of undefined length.
    syntax
        Transfer syntax UID, or that of the encoding found where the file states none.
    encoding
        Of the data set.
    pixels
        None if the file holds none.
    """

    values: dict[int, bytes]
    present: frozenset[int]
    syntax: str
    encoding: Encoding
    pixels: PixelPlace | None


def walk(descriptor: int, size: int, wanted: Container[int]) -> Elements:
    """Return the elements asked for, of an open DICOM file of `size` bytes, up to its pixels.

    Parameters
    ----------
    wanted
        Tags as whole numbers, group first: 0x00280010.

    Raises
    ------
    Damaged
        The file is cut short, not DICOM, nests deeper than 64 sequences, or inflates to over the limit.
    """
    source = Source.of_file(descriptor, size)
    start, meta = _meta(source)
    syntax = meta.get(0x00020010, b"").decode("latin-1").strip(" \0")
    if syntax == DEFLATED:
        source, start = inflated_source(descriptor, start), 0
    encoding = _encoding_of(source, start) if not syntax else _ENCODINGS.get(syntax, _EXPLICIT)
    if encoding.little:
        encoding = _as_written(source, start, encoding)
    kept = {tag: value for tag, value in meta.items() if tag in wanted}
    return _walk(source, start, encoding, syntax or _SYNTAXES[encoding], (wanted, kept))


def inflated(descriptor: int, size: int) -> bytes:
    """Return the data set of a deflated file as `PixelPlace` offsets count in it; bounded in size."""
    source = Source.of_file(descriptor, size)
    start, _ = _meta(source)
    return inflated_source(descriptor, start).bytes


_EXPLICIT = Encoding(explicit=True, little=True)
_IMPLICIT = Encoding(explicit=False, little=True)
_BIG = Encoding(explicit=True, little=False)
_ENCODINGS = {IMPLICIT_LITTLE: _IMPLICIT, EXPLICIT_BIG: _BIG}
_SYNTAXES = {_IMPLICIT: IMPLICIT_LITTLE, _EXPLICIT: EXPLICIT_LITTLE, _BIG: EXPLICIT_BIG}
_LITTLE_HEAD, _BIG_HEAD = Struct("<HH2sH"), Struct(">HH2sH")
_LITTLE_TAG, _BIG_TAG = Struct("<HHI"), Struct(">HHI")
_LITTLE_LONG, _BIG_LONG = Struct("<I"), Struct(">I")


def _meta(source: Source) -> tuple[int, dict[int, bytes]]:
    """Return where the data set begins, and the values of group 2; PS3.10 7.1.

    Group 2 is always explicit and little-endian. Its own length (0002,0000) is not relied on.
    """
    if source.size >= 132 and source.bytes[128:132] == b"DICM":
        if source.bytes.startswith(_PROGRAMS):
            raise Damaged("its preamble makes it a program or an archive as well: not opened")
        place = 132
    elif source.bytes[:2] == b"\x02\x00":
        place = 0
    else:
        return 0, {}
    values: dict[int, bytes] = {}
    while place + 8 <= source.size:
        at = source.at(place, 8)
        group, element, vr, length = _LITTLE_HEAD.unpack_from(source.bytes, at)
        if group != 2:
            break
        header = 8
        if vr in _LONG:
            at, header = source.at(place, 12), 12
            length = _LITTLE_LONG.unpack_from(source.bytes, at + 8)[0]
        at = source.at(place + header, length)
        values[group << 16 | element] = source.bytes[at : at + length]
        place += header + length
    return place, values


def _encoding_of(source: Source, start: int) -> Encoding:
    """Tell the encoding of a data set without meta information by its first element, as pydicom does."""
    at = source.at(start, 8)
    first = source.bytes[at : at + 8]
    little = first[1] == 0 or first[0] != 0
    if not first[4:6].isupper():
        return _IMPLICIT
    return _EXPLICIT if little else _BIG


def _as_written(source: Source, start: int, stated: Encoding) -> Encoding:
    """Return the encoding as the first element shows it: some writers state the other one."""
    if start + 8 > source.size:
        return stated
    at = source.at(start, 8)
    letters = source.bytes[at + 4 : at + 6]
    if letters.isalpha() and letters.isupper():
        return _EXPLICIT if stated.little else stated
    return _IMPLICIT if stated.little else stated


def _walk(
    source: Source,
    start: int,
    encoding: Encoding,
    syntax: str,
    keep: tuple[Container[int], dict[int, bytes]],
) -> Elements:
    wanted, values = keep
    present: set[int] = set()
    try:
        pixels = _collect(source, start, encoding, wanted, (values, present))
        _check_whole(pixels, source)
    except Damaged as damage:
        damage.met = Elements(values, frozenset(present), syntax, encoding, None)
        raise
    return Elements(values, frozenset(present), syntax, encoding, pixels)


def _collect(
    source: Source,
    place: int,
    encoding: Encoding,
    wanted: Container[int],
    met: tuple[dict[int, bytes], set[int]],
) -> PixelPlace | None:
    """Put what is wanted into `met`, and return where the pixels lie."""
    values, present = met
    size = source.size
    while place + 8 <= size:
        tag, vr, length, header = _head(source, place, encoding)
        place += header
        if tag >= _FIRST_PIXELS:
            return PixelPlace(tag, place, length, vr) if tag in _PIXELS else None
        if length == UNDEFINED:
            present.add(tag)
            place = _past_sequence(source, place, _inner(vr, encoding))
            continue
        if place + length > size:
            raise Damaged(_LONGER)
        if tag in wanted:
            if vr == b"SQ":
                present.add(tag)
            else:
                at = source.at(place, length)
                values[tag] = source.bytes[at : at + length]
        place += length
    return None


def _check_whole(pixels: PixelPlace | None, source: Source) -> None:
    if pixels is None:
        return
    if pixels.length == UNDEFINED:
        _check_items(source, pixels.offset)
    elif pixels.offset + pixels.length > source.size:
        raise Damaged(_PIXELS_CUT)


def _check_items(source: Source, place: int) -> None:
    """Step from item to item of a compressed stream to its end (FFFE,E0DD); PS3.5 A.4.

    What is no item at all is left to who decodes it.
    """
    while True:
        item = source.glimpse(place, 8)
        if len(item) < 8:
            raise Damaged(_PIXELS_CUT)
        group, element, length = _LITTLE_TAG.unpack(item)
        if (group << 16 | element) != _ITEM:
            return
        place += 8 + length
        if place > source.size:
            raise Damaged(_PIXELS_CUT)


def _head(source: Source, place: int, encoding: Encoding) -> tuple[int, bytes, int, int]:
    """Return tag, VR (b"" where not written), length, and how many bytes these take; PS3.5 7.1.2, 7.1.3."""
    at = source.at(place, 8)
    if not encoding.explicit:
        group, element, length = _LITTLE_TAG.unpack_from(source.bytes, at)
        return group << 16 | element, b"", length, 8
    head, long = (_LITTLE_HEAD, _LITTLE_LONG) if encoding.little else (_BIG_HEAD, _BIG_LONG)
    group, element, vr, length = head.unpack_from(source.bytes, at)
    if vr in _SHORT:
        return group << 16 | element, vr, length, 8
    if vr in _LONG:
        at = source.at(place, 12)
        return group << 16 | element, vr, long.unpack_from(source.bytes, at + 8)[0], 12
    if group == 0xFFFE:  # items have no VR; one on its own belongs to a sequence that was closed too early
        return group << 16 | element, b"", 0, 8
    raise Damaged("damaged DICOM header")


def _inner(vr: bytes, encoding: Encoding) -> Encoding:
    """Return the encoding inside a sequence: of UN without length implicit, little-endian; PS3.5 6.2.2."""
    return _IMPLICIT if vr == b"UN" else encoding


def _past_sequence(source: Source, place: int, encoding: Encoding) -> int:
    """Return the offset behind a sequence of undefined length, whatever nests in it; PS3.5 7.5.

    No recursion: `within` holds the encodings of the sequences and items that are open.
    """
    within: list[tuple[bool, Encoding]] = [(True, encoding)]  # (a sequence, not an item; its encoding)
    while within:
        in_sequence, encoding = within[-1]
        tag_struct = _LITTLE_TAG if encoding.little else _BIG_TAG
        at = source.at(place, 8)
        group, element, length = tag_struct.unpack_from(source.bytes, at)
        tag = group << 16 | element
        if tag in (_SEQUENCE_END, _ITEM_END):
            if (tag == _SEQUENCE_END) != in_sequence:
                raise Damaged("damaged DICOM header")
            within.pop()
            place += 8
        elif in_sequence:
            if tag != _ITEM:
                raise Damaged("damaged DICOM header")
            place += 8
            if length == UNDEFINED:
                within.append((False, encoding))
            else:
                place = _inside(source, place, length)
        else:
            place = _past_element(source, place, encoding, within)
        if len(within) > 2 * DEEPEST:
            raise Damaged(f"sequences nest deeper than {DEEPEST}: damaged, or made to harm")
    return place


def _past_element(source: Source, place: int, encoding: Encoding, within: list[tuple[bool, Encoding]]) -> int:
    """Return the offset behind an element of an item, or inside it if it is a sequence without length."""
    _, vr, length, header = _head(source, place, encoding)
    if length == UNDEFINED:
        within.append((True, _inner(vr, encoding)))
        return place + header
    return _inside(source, place + header, length)


def _inside(source: Source, place: int, length: int) -> int:
    if place + length > source.size:
        raise Damaged(_LONGER)
    return place + length
