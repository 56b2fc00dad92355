"""Overlay planes (PS3.3 C.9.2): what was drawn over an image, as labels of their own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread

from voxcam.core.volume import Volume
from voxcam.errors import ReadError
from voxcam.io.dicom.grid import arrange
from voxcam.io.quiet import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from voxcam.io.dicom.headers import Header
    from voxcam.io.study import Series

_GROUPS = range(0x6000, 0x6020, 2)


def read_overlays(series: Series) -> Volume | None:
    """Return the overlays of a series as labels on its grid, 1 for the first plane, 2 for the second, ...

    None if no image has any. Bits hidden in the unused ones of the pixels, retired since 2004, are not read.

    Raises
    ------
    ReadError
        An overlay does not fit its own description.
    """
    headers: tuple[Header, ...] = series.headers
    if series.format != "dicom" or not any(header.has_overlays for header in headers):
        return None
    grid = arrange(headers)
    first = grid.slices[0][0]
    labels = np.zeros((len(grid.slices), first.rows, first.columns), np.uint8)
    with quiet():
        for k, here in enumerate(grid.slices):
            if here[0].has_overlays:
                _draw(labels[k], here[0])
    source = {"format": "dicom", "kind": "overlays", "series_key": series.key}
    return Volume(labels.transpose(2, 1, 0), grid.geometry, unit="label", source=source)


def _draw(labels: NDArray[np.uint8], header: Header) -> None:
    dataset = _dataset(header.file, header.stored.mtime_ns)
    for number, group in enumerate(_GROUPS, start=1):
        if (group, 0x3000) in dataset:
            _place(labels, _plane(dataset, group, header.frame), number)


@lru_cache(maxsize=1)  # the frames of one file follow one another
def _dataset(path: Path, mtime_ns: int) -> Dataset:
    try:
        return dcmread(path, force=True)
    except Exception:
        raise ReadError("an overlay of the series cannot be read any more: scan the place again") from None


def _plane(dataset: Dataset, group: int, frame: int) -> tuple[NDArray[np.uint8], int, int]:
    """Return the plane over a frame, and the row and column at which it begins.

    A plane of several frames begins at the image's frame (60xx,0051), counted from 1; others lie on all.
    """
    try:
        plane = dataset.overlay_array(group)
        row, column = (int(n) - 1 for n in dataset[group, 0x0050].value)
        first = int(dataset[group, 0x0051].value) if (group, 0x0051) in dataset else 1
    except Exception:  # pydicom raises what it likes on a broken plane
        raise ReadError("an overlay of the series is damaged: export it again") from None
    if plane.ndim == 2:
        return plane, row, column
    number = frame + 1 - first
    return (plane[number] if 0 <= number < len(plane) else np.zeros((0, 0), np.uint8)), row, column


def _place(labels: NDArray[np.uint8], placed: tuple[NDArray[np.uint8], int, int], number: int) -> None:
    """Mark a plane where its origin (60xx,0050), counted from 1, puts it; what lies outside is cut."""
    plane, row, column = placed
    rows, columns = labels.shape
    plane = plane[max(-row, 0) :, max(-column, 0) :]
    top, left = max(row, 0), max(column, 0)
    plane = plane[: max(rows - top, 0), : max(columns - left, 0)]
    labels[top : top + plane.shape[0], left : left + plane.shape[1]][plane > 0] = number
