"""How the frames of a file are coded, as its header says, and the error of one that cannot be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_FRAME_BYTES = 1 << 30  # decoded; a digital mammogram takes 30 MB, a whole-slide tile less than 1 MB
KINDS = ("damaged", "killed the decoder", "too slow", "too large", "no decoder")
_MOST_SIDE = 0xFFFF  # Rows and Columns are US, PS3.5 6.2


class DecodeError(Exception):
    """A frame that cannot be decoded: one line for a person.

    Parameters
    ----------
    message
        What was expected and found; quotes nothing from the file but numbers.
    kind
        One of `KINDS`.
    """

    def __init__(self, message: str, kind: str = "damaged") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Coding:
    """What a header says of the coding of its frames (PS3.3 C.7.6.3).

    Parameters
    ----------
    transfer_syntax
        UID.
    rows, columns, samples
        Of one frame; samples is 1 or 3.
    bits_allocated, bits_stored
        8, 16 or 32, and at most that many.
    signed
        PixelRepresentation (0028,0103) is 1.
    photometric
        PhotometricInterpretation (0028,0004).
    """

    transfer_syntax: str
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a decoded frame: (rows, columns), or (rows, columns, 3) in colour."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a decoded frame's stored values, in the byte order of this machine."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of a decoded frame."""
        return self.rows * self.columns * self.samples * (self.bits_allocated // 8)

    def check(self) -> None:
        """Refuse what cannot be a frame, or one greater than `MOST_FRAME_BYTES`.

        Raises
        ------
        DecodeError
            "damaged" or "too large".
        """
        sides = 1 <= self.rows <= _MOST_SIDE and 1 <= self.columns <= _MOST_SIDE
        bits = self.bits_allocated in (8, 16, 32) and 1 <= self.bits_stored <= self.bits_allocated
        if not (sides and bits and self.samples in (1, 3)):
            raise DecodeError(
                f"expected a frame of 1 or 3 samples of 8, 16 or 32 bits, the header says {self.rows} x "
                f"{self.columns} x {self.samples} of {self.bits_stored} bits stored in {self.bits_allocated}"
            )
        if self.frame_bytes > MOST_FRAME_BYTES:
            raise DecodeError(
                f"one frame of {self.rows} x {self.columns} takes {self.frame_bytes >> 20} MiB decoded, "
                f"more than the {MOST_FRAME_BYTES >> 20} MiB allowed",
                "too large",
            )
