"""Write voxels as NIfTI with a fresh header: geometry and nothing else, the same bytes in every run."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCANNER = 1
"""NIfTI space code: millimetres of the scanner (NIFTI_XFORM_SCANNER_ANAT)."""
MNI_152 = 4
"""NIfTI space code: millimetres of the MNI 152 template (NIFTI_XFORM_MNI_152)."""


def write_image(path: Path, voxels: NDArray[Any], affine: NDArray[np.float64], space: int = SCANNER) -> None:
    """Write an image as int16.

    Parameters
    ----------
    path
        A file that ends in ``.nii.gz``.
    voxels
        Whole numbers, (i, j, k).
    affine
        (4, 4), voxel index to RAS+ mm.
    space
        `SCANNER` or `MNI_152`.

    Raises
    ------
    ValueError
        When a value does not fit int16 exactly.
    """
    _write(path, nibabel.Nifti1Image(_exactly(voxels, np.int16), affine), affine, space)


def write_labels(path: Path, labels: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a mask or a label map as uint8, marked as labels (intent code 1002)."""
    image = nibabel.Nifti1Image(_exactly(labels, np.uint8), affine)
    image.header.set_intent("label")
    _write(path, image, affine, SCANNER)


def _exactly(voxels: NDArray[Any], dtype: type[np.integer[Any]]) -> NDArray[Any]:
    converted = voxels.astype(dtype)
    if not np.array_equal(converted, voxels):
        raise ValueError(
            f"values that fit {np.dtype(dtype)} exactly were expected, found {voxels.dtype} "
            f"from {voxels.min()} to {voxels.max()}; convert them first."
        )
    return converted


def _write(path: Path, image: Any, affine: NDArray[np.float64], space: int) -> None:
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=space)
    image.set_sform(affine, code=space)
    # No file name and no time in the gzip header: two runs give the same bytes
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as file,
    ):
        file.write(image.to_bytes())
