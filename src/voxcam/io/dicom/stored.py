"""How the pixels of a file are stored, as far as reading them back needs it."""

from __future__ import annotations

from dataclasses import dataclass

from voxcam.io.dicom.elements import DEFLATED, EXPLICIT_BIG, NATIVE


@dataclass(frozen=True, slots=True)
class Stored:
    """One file's pixel module (PS3.3 C.7.6.3), where its pixels begin, and what the file was when scanned.

    Parameters
    ----------
    syntax
        Transfer syntax UID.
    tag, offset, length
        Of the pixel data: element, first byte, bytes; length 0xFFFFFFFF where encapsulated.
    rows, columns, frames, samples
        Of the file; frames at least 1.
    planar
        Colours lie plane after plane, not pixel by pixel.
    photometric
        PhotometricInterpretation (0028,0004).
    swapped
        Pixels of 8 bits lie in 16-bit words of big-endian order: every two of them the other way round.
    size, mtime_ns
        Of the file: if they differ when it is read, it has changed since.
    """

    syntax: str
    tag: int
    offset: int
    length: int
    rows: int
    columns: int
    frames: int
    samples: int
    planar: bool
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    swapped: bool
    size: int
    mtime_ns: int

    @property
    def native(self) -> bool:
        """Whether pixels lie as they are, not encapsulated in a compressed stream."""
        return self.syntax in NATIVE

    @property
    def syntax_name(self) -> str:
        """The transfer syntax in the standard's words; a private one's UID may identify."""
        from pydicom.uid import UID

        uid = UID(self.syntax)
        return uid.name if uid.name != str(uid) else "a private transfer syntax"

    @property
    def deflated(self) -> bool:
        """Whether the whole data set is, so that offsets count in the inflated one."""
        return self.syntax == DEFLATED

    @property
    def little(self) -> bool:
        """Byte order of native pixels."""
        return self.syntax != EXPLICIT_BIG

    @property
    def frame_bits(self) -> int:
        """Bits a native frame takes; of YBR_FULL_422 two pixels share their colour (C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" and self.native else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def pixel_bytes(self) -> int:
        """Bytes all native frames take."""
        return (self.frame_bits * self.frames + 7) // 8
