"""Compressed frames of pydicom's own test files, with what their headers say."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import data_store
import pydicom
from pydicom.encaps import get_frame

from voxcam.io.decoding.codecs import CODECS
from voxcam.io.decoding.coding import Coding

ROOTS = (Path(pydicom.__file__).parent / "data/test_files", Path(data_store.__file__).parent / "data")


def compressed_files():
    """Paths of the files with a compressed image; of damaged ones, those damaged elsewhere."""
    return [p for root in ROOTS for p in sorted(root.rglob("*")) if _is_compressed(p)]


def _is_compressed(path):
    if not path.is_file() or path.name == "JPEG2000-embedded-sequence-delimiter.dcm":
        return False  # whose width was overwritten
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, force=True, specific_tags=["Rows"])
        return str(header.file_meta.TransferSyntaxUID) in CODECS and "Rows" in header
    except Exception:
        return False


@cache
def named(name):
    """The data set of a file by its name."""
    (path,) = [p for root in ROOTS for p in root.rglob(name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


def coding_of(dataset, **changes):
    stated = {
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
        "rows": dataset.Rows,
        "columns": dataset.Columns,
        "samples": dataset.SamplesPerPixel,
        "bits_allocated": dataset.BitsAllocated,
        "bits_stored": dataset.BitsStored,
        "signed": bool(dataset.PixelRepresentation),
        "photometric": dataset.PhotometricInterpretation,
    }
    return Coding(**{**stated, **changes})


def frame_of(dataset, number=0):
    return get_frame(dataset.PixelData, number, number_of_frames=int(dataset.get("NumberOfFrames") or 1))


def grey(syntax, pixels, bits_stored=None):
    """The coding of an array of grey values."""
    bits = 8 * pixels.dtype.itemsize
    return Coding(
        f"1.2.840.10008.1.2.{syntax}",
        *pixels.shape,
        1,
        bits,
        bits_stored or bits,
        pixels.dtype.kind == "i",
        "MONOCHROME2",
    )
