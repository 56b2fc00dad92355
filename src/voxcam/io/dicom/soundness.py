"""Whether a file's pixel module makes sense and its pixels are there, before anything believes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.io.dicom.elements import UNDEFINED
from voxcam.io.dicom.stored import Stored
from voxcam.io.left_out import LeftOut

if TYPE_CHECKING:
    import os

    from voxcam.io.dicom.attributes import Attributes
    from voxcam.io.dicom.elements import Elements
    from voxcam.io.dicom.kinds import Kind

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
_REAL_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
_CUT_SHORT = "pixel data cut short: copy the file again"
# The shortest frame there can be: an item's tag and length; PS3.5 A.4.
_ITEM_BYTES = 8


def stored_of(
    attributes: Attributes, elements: Elements, status: os.stat_result, kind: Kind
) -> Stored | LeftOut:
    """Return how the pixels are stored, or why they cannot be: a contradiction, or bytes that are missing."""
    frames = _frames(attributes)
    pixels = elements.pixels
    stored = Stored(
        syntax=elements.syntax,
        tag=pixels.tag if pixels else 0,
        offset=pixels.offset if pixels else 0,
        length=pixels.length if pixels else 0,
        rows=attributes.whole("Rows") or 0,
        columns=attributes.whole("Columns") or 0,
        frames=frames or 1,
        samples=attributes.whole("SamplesPerPixel") or 1,
        planar=attributes.whole("PlanarConfiguration") == 1,
        photometric=attributes.code("PhotometricInterpretation") or "MONOCHROME2",
        bits_allocated=_REAL_BITS.get(pixels.tag if pixels else 0) or attributes.whole("BitsAllocated") or 0,
        bits_stored=attributes.whole("BitsStored") or attributes.whole("BitsAllocated") or 0,
        signed=attributes.whole("PixelRepresentation") == 1,
        swapped=_swapped(attributes, elements),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )
    if kind == "structures":
        return stored
    if frames is None:
        return LeftOut("its number of frames is no count", refused=True, damaged=True)
    if reason := _contradiction(stored, attributes, kind):
        return LeftOut(reason, refused=True)
    if pixels is None:
        reason = "no pixel data: only a header, or the file was cut short"
        return LeftOut(reason, refused=True, damaged=True)
    if reason := _no_decoder(stored):
        return LeftOut(reason, refused=True)
    if reason := _loss(stored):
        return LeftOut(reason, refused=True, damaged=True)
    return stored


def _swapped(attributes: Attributes, elements: Elements) -> bool:
    """Whether 8-bit pixels were written as big-endian words (VR OW); PS3.5 8.1.1."""
    words = elements.pixels is not None and elements.pixels.vr == b"OW"
    return words and not elements.encoding.little and attributes.whole("BitsAllocated") == 8


def _frames(attributes: Attributes) -> int | None:
    """Return NumberOfFrames (0028,0008), 1 where absent, None where it is no count."""
    if not attributes.text("NumberOfFrames"):
        return 1
    number = attributes.number("NumberOfFrames")
    return int(number) if number is not None and number == int(number) and number >= 1 else None


def _contradiction(stored: Stored, attributes: Attributes, kind: Kind) -> str:
    allocated = (1, 8, 16, 32, 64) if kind in ("segmentation", "parametric map") else (8, 16, 32)
    if kind == "parametric map" and stored.tag in _REAL_BITS:
        return ""
    high = attributes.whole("HighBit")
    checks = {
        f"pixels are not of {', '.join(map(str, allocated))} bits": stored.bits_allocated in allocated,
        "more bits a pixel are stored than allocated": 0 < stored.bits_stored <= stored.bits_allocated,
        "the bits of its pixels do not begin at the lowest": high in (None, stored.bits_stored - 1),
        "pixels are said to be neither signed nor unsigned": attributes.whole("PixelRepresentation")
        in (None, 0, 1),
        **_colour_checks(stored, attributes),
    }
    return next((reason for reason, holds in checks.items() if not holds), "")


def _colour_checks(stored: Stored, attributes: Attributes) -> dict[str, bool]:
    grey, palette = stored.photometric in _GREY, stored.photometric == PALETTE
    known = grey or palette or stored.photometric in _COLOUR
    samples = 1 if grey or palette else 3
    return {
        "its photometric interpretation is not known": known,
        f"expected {samples} values a pixel, the header states another number": stored.samples == samples,
        "a palette image without its palette": not palette or "RedPaletteColorLookupTableData" in attributes,
        "its colour is of a kind that is not stored uncompressed": not _only_compressed(stored),
        "colour of more than 8 bits": grey or palette or stored.bits_allocated == 8,
    }


def _only_compressed(stored: Stored) -> bool:
    """Whether pixels said to be uncompressed share their colour as these cannot."""
    odd = stored.photometric == "YBR_FULL_422" and stored.columns % 2 == 1
    return stored.native and (odd or stored.photometric == "YBR_PARTIAL_420")


def _no_decoder(stored: Stored) -> str:
    """Return that nothing decodes the transfer syntax, named in plain words; "" if something does."""
    if stored.native:
        return ""
    from voxcam.io.decoding.codecs import CODECS

    if stored.syntax in CODECS:
        return ""
    return f"no decoder for {stored.syntax_name}: export the series uncompressed"


def _loss(stored: Stored) -> str:
    """Return what is missing of the pixels; "" if all is there, as far as lengths tell."""
    if stored.length == UNDEFINED:
        if stored.native:
            return "pixels are said to be uncompressed, but lie in a compressed stream"
        few = stored.frames * _ITEM_BYTES > stored.size
        return "states more frames than the file can hold" if few else ""
    if not stored.native:
        return "pixels are said to be compressed, but lie uncompressed"
    if stored.length < stored.pixel_bytes:
        return _CUT_SHORT
    if stored.length - stored.pixel_bytes >= max(stored.frame_bits // 8, 2):
        return "holds the pixels of more images than it states"
    return ""
