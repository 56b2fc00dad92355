"""Colour as stored to red, green and blue."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.pixels.processing import convert_color_space

from voxcam.core.volume import COLOUR
from voxcam.io.dicom.soundness import PALETTE
from voxcam.io.dicom.sources import Damaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.io.dicom.headers import Header

_CHANNELS = ("Red", "Green", "Blue")


def in_colour(frame: NDArray[Any], header: Header) -> NDArray[Any]:
    """Return a frame (rows, columns[, 3]) as `COLOUR` (rows, columns).

    Decoded streams are red, green, blue already; uncompressed YBR_FULL is turned here, a palette looked up.

    Raises
    ------
    Damaged
        The palette does not hold what its descriptor says.
    """
    photometric = header.stored.photometric
    if photometric == PALETTE:
        frame = _looked_up(frame, header)
    elif header.stored.native and photometric.startswith("YBR_FULL"):
        # Said to be signed, the same bits are meant: there is no darkness below black.
        frame = convert_color_space(frame.view(np.uint8), "YBR_FULL", "RGB")
    return np.ascontiguousarray(frame, dtype=np.uint8).view(COLOUR)[..., 0]


def _looked_up(frame: NDArray[Any], header: Header) -> NDArray[Any]:
    """Return the palette's colours of indices; those beyond its ends take the end's (C.7.6.3.1.5)."""
    first, table = _palette(header.file, header.stored.mtime_ns)
    place = np.clip(frame.astype(np.int64) - first, 0, len(table) - 1)
    return np.asarray(table[place])


@lru_cache(maxsize=4)
def _palette(path: Path, mtime_ns: int) -> tuple[int, NDArray[np.uint8]]:
    """Return the first index mapped, and the table (entries, 3); high bytes where entries have 16 bits."""
    try:
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        columns, first = [], 0
        for channel in _CHANNELS:
            entries, first, bits = (
                int(n) for n in dataset[f"{channel}PaletteColorLookupTableDescriptor"].value
            )
            data = bytes(dataset[f"{channel}PaletteColorLookupTableData"].value)
            columns.append(
                _entries(data, entries % 65536 or 65536, bits, little=dataset.original_encoding[1])
            )
        return first, np.stack(columns, axis=1)
    except Exception:  # pydicom raises what it likes on a damaged element
        raise Damaged("its palette does not fit its own description: export it again") from None


def _entries(data: bytes, count: int, bits: int, *, little: bool | None) -> NDArray[np.uint8]:
    if len(data) in (count, count + 1) and bits == 8:
        return np.frombuffer(data[:count], np.uint8)
    words = np.frombuffer(data, "<u2" if little is not False else ">u2")
    if len(words) != count:
        raise ValueError(f"expected {count} entries, found {len(words)}")
    # Entries of 8 bits may be written as 16, and those of 16 bits count in their high byte (C.7.6.3.1.6).
    return (words if bits == 8 and words.max() < 256 else words >> 8).astype(np.uint8)
