"""The stored pixels of one DICOM file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from voxcam.errors import ReadError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    from voxcam.io.dicom.headers import Header

_AGAIN = "copy or export the file again"
_DAMAGED = "is damaged or cut short"


def stored_pixels(header: Header, where: str) -> tuple[NDArray[Any], Dataset]:
    """Return the pixels as stored, shape (rows, columns), and the whole data set.

    Parameters
    ----------
    header
        Of the scan; the file must still be the same.
    where
        How to name the slice in an error.

    Raises
    ------
    ReadError
        The file is gone, changed, cut short, or its coding cannot be decoded here. The library's own
        message is not passed on: it may quote the header or the path.
    """
    dataset = _dataset(header, where)
    _check_whole(header, dataset, where)
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # decoders raise what they like
        raise ReadError(
            f"{where} cannot be decoded ({type(error).__name__}): no decoder for {header.transfer_syntax}, "
            "or damaged pixels; export the series uncompressed (Explicit VR Little Endian)"
        ) from None
    if pixels.shape != (header.rows, header.columns):
        raise ReadError(
            f"{where}: expected {header.rows} x {header.columns} pixels, found {pixels.shape}; {_AGAIN}"
        )
    return pixels, dataset


def _dataset(header: Header, where: str) -> Dataset:
    try:
        dataset = dcmread(header.file, force=True)
        uid = str(dataset.get("SOPInstanceUID", "")).strip()
        size = (dataset.get("Rows"), dataset.get("Columns"))
    except OSError:
        raise ReadError(f"{where} cannot be opened any more; scan the place again") from None
    except Exception as error:  # pydicom raises a dozen kinds of error on broken files
        raise ReadError(f"{where} {_DAMAGED} ({type(error).__name__}): copy it again") from None
    # Where pydicom meets the end of the file too early it returns what it has, or nothing: only an image
    # with a whole header, or another UID that is no beginning of the one expected, was put in its place.
    if None in size and header.instance_uid.startswith(uid):
        raise ReadError(f"{where} {_DAMAGED}: copy it again")
    if size != (header.rows, header.columns) or (uid and uid != header.instance_uid):
        raise ReadError(f"{where} has changed since the scan; scan the place again")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _encoding(dataset)
    return dataset


def _encoding(dataset: Dataset) -> UID:
    """Transfer syntax of a file that states none, as pydicom found it to be written."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_whole(header: Header, dataset: Dataset, where: str) -> None:
    if "PixelData" not in dataset:
        raise ReadError(f"{where} {_DAMAGED} (no whole pixel data): copy it again")
    syntax, pixels = dataset.file_meta.TransferSyntaxUID, dataset.PixelData
    if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        expected = header.rows * header.columns * int(dataset.BitsAllocated) // 8
        if len(pixels) < expected:
            found = f"expected {expected} bytes of pixels, found {len(pixels)}"
            raise ReadError(f"{where} {_DAMAGED} ({found}): copy it again")
