"""Siemens mosaics: the slices of a volume side by side in one image."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from voxcam.io.dicom.sources import Damaged

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from voxcam.io.dicom.headers import Header


def tiles_of(header: Header, dataset: Dataset) -> tuple[Header, ...]:
    """Return one header a tile, each at its place in the patient.

    The stated position is that of the whole mosaic's corner, as if it were one slice; Siemens' private
    header says how many tiles there are, and the direction from one to the next. nibabel reads it.

    Raises
    ------
    Damaged
        The private header is missing or does not fit the image: nothing else says where slices lie.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that its DICOM readers are young
        from nibabel.nicom.dicomwrappers import MosaicWrapper

    try:
        mosaic = MosaicWrapper(dataset)
        rows, columns, count = mosaic.image_shape
        first, normal, step = mosaic.image_position, mosaic.slice_normal, float(mosaic.voxel_sizes[2])
    except Exception:  # it raises what it likes on a private header of rubbish
        first = None
    if first is None or header.orientation is None:
        raise Damaged("a Siemens mosaic without the private header that says where its slices lie")
    across = header.columns // columns
    if across * columns != header.columns or count > across * (header.rows // rows):
        raise Damaged("a Siemens mosaic whose tiles do not fit the image")
    return tuple(
        replace(
            header,
            rows=rows,
            columns=columns,
            tile=((k // across) * rows, (k % across) * columns),
            position=tuple(float(p + k * step * n) for p, n in zip(first, normal, strict=True)),
            between_slices_mm=step,
        )
        for k in range(count)
    )
