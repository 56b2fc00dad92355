"""Deflated data sets (PS3.5 A.5): inflated against a limit, then as any other."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.filereader import read_dataset

from voxcam.io.dicom.elements import inflated

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset


def inflated_bytes(path: Path) -> bytes:
    """Return the inflated data set, from its first element on.

    Raises
    ------
    Damaged
        It is cut short, or inflates to over the limit.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return inflated(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def inflated_dataset(path: Path) -> Dataset:
    """Return the data set of a deflated file, without its pixels."""
    stream = BytesIO(inflated_bytes(path))
    return read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_at_pixels)


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return tag == 0x7FE00010
