"""A small picture of a series, from one of its images alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from voxcam.io.places import READERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.io.study import Series


def thumbnail(series: Series, size: int = 128) -> NDArray[np.uint8]:
    """Return the middle image of a series in its own window, rows downwards as stored.

    Of DICOM only that image is read; of other formats the whole file.

    Parameters
    ----------
    size
        Pixels along the longer side, at most.

    Returns
    -------
    ndarray
        uint8, shape (rows, columns), or (rows, columns, 3) of a colour image. Pixels are square in mm.

    Raises
    ------
    ReadError
        The image cannot be read.
    """
    volume = READERS[series.format].read(_middle(series), None, "mark")
    still = volume.moment(volume.voxels.shape[3] // 2) if len(volume.voxels.shape) == 4 else volume
    image = Image.fromarray(_bright(still))
    across, down = (n * mm for n, mm in zip(image.size, still.geometry.spacing_mm[:2], strict=True))
    scale = size / max(across, down)
    image.thumbnail((size, size))  # shrinks in place, never grows
    small = image.resize((max(1, round(across * scale)), max(1, round(down * scale))))
    return np.asarray(small)


def _middle(series: Series) -> Series:
    """Return the series of the middle image alone, where files or frames hold one each."""
    if series.format != "dicom" or series.kind not in ("image", "dose", "parametric map"):
        return series
    middle = series.headers[len(series.headers) // 2]
    return replace(series, headers=(middle,), files=(middle.file,), findings=())


def _bright(volume: Volume) -> NDArray[np.uint8]:
    plane: NDArray[Any] = np.asarray(volume.voxels[..., volume.shape[2] // 2]).T
    if volume.is_colour:
        return np.ascontiguousarray(plane).view(np.uint8).reshape(*plane.shape, 3)
    if volume.unit == "label":
        return ((plane > 0) * 255).astype(np.uint8)
    bright = volume.window.apply(plane)
    return np.rint(255 * (1 - bright if volume.inverted else bright)).astype(np.uint8)
