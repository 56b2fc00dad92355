"""From stored numbers to modality values: rescale slope and intercept, or the modality's table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut

from voxcam.errors import ReadError
from voxcam.io.dicom.elements import WHOLE_PIXELS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from voxcam.io.dicom.headers import Header


def modality_values(stored: NDArray[Any], header: Header) -> NDArray[Any]:
    """Return stored x slope + intercept, or what the modality's table says (PS3.3 C.11.1); colour as is."""
    if header.is_colour:
        return stored
    if header.has_modality_lut:
        return _looked_up(stored, header)
    slope, intercept = rescale(header)
    if is_whole(header):
        wide = np.int64 if stored.itemsize > 2 else np.int32
        return stored if intercept == 0 else np.asarray(stored.astype(wide) + int(intercept))
    return np.asarray(stored.astype(np.float64) * slope + intercept)


def _looked_up(stored: NDArray[Any], header: Header) -> NDArray[Any]:
    try:
        return np.asarray(apply_modality_lut(stored, _with_table(header.file, header.stored.mtime_ns)))
    except Exception:  # pydicom raises what it likes on a table that is not what it says
        raise ReadError("the modality's table of values is damaged: export the series again") from None


def rescale(header: Header) -> tuple[float, float]:
    """Slope and intercept (0028,1053, 1052); 1 and 0 where absent; a slope of 0 would erase all: 1."""
    return header.slope or 1.0, header.intercept or 0.0


def is_whole(header: Header) -> bool:
    """Whether values are whole numbers as the stored ones are."""
    slope, intercept = rescale(header)
    real = header.stored.tag != WHOLE_PIXELS
    return slope == 1 and intercept == int(intercept) and not header.has_modality_lut and not real


@lru_cache(maxsize=8)
def _with_table(path: Path, mtime_ns: int) -> Dataset:
    return dcmread(path, stop_before_pixels=True, force=True)
