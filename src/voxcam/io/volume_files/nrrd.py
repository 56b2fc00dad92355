"""NRRD files (.nrrd, and .nhdr with its data file beside it), raw or gzip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.volume import COLOUR
from voxcam.io.left_out import LeftOut
from voxcam.io.volume_files import values
from voxcam.io.volume_files.findings import about_alpha
from voxcam.io.volume_files.kept import Refusal, Stored, VolumeHeader, check_size, key_of, version_of
from voxcam.io.volume_files.nrrd_fields import fields_of
from voxcam.io.volume_files.nrrd_grid import grid_of
from voxcam.io.volume_files.text_headers import file_beside, integers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.io.study import Progress, Series
    from voxcam.io.volume_files.kept import Packing
    from voxcam.io.volume_files.nrrd_fields import Fields
    from voxcam.io.volume_files.nrrd_grid import Grid

_NAMES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPES = {name: code for code, names in _NAMES.items() for name in names.split("|")}
_PACKINGS: dict[str, Packing] = {"raw": "", "gzip": "gzip", "gz": "gzip"}
_ENDIANS = {"little": "<", "big": ">"}


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends as NRRD's do and the bytes begin with its magic."""
    return path.name.lower().endswith((".nrrd", ".nhdr")) and head.startswith(b"NRRD")


def read_header(path: Path) -> VolumeHeader | LeftOut:
    """Return what is kept of the file, without its voxels, or why it is left out. Never raises."""
    try:
        return _header(path)
    except Refusal as refusal:
        return LeftOut(f"NRRD: {refusal}", refused=True)
    except Exception:  # whatever a broken header sets off, the scan goes on
        return LeftOut("damaged NRRD file", refused=True)


def series_of(headers: Sequence[VolumeHeader], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return values.series_of(headers, "nrrd")


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the file as a volume, time last: see `values.volume_of`.

    A segmentation written by Slicer has unit "label".

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, needs more memory than allowed, or holds labels where a
        modality was stated.
    """
    return values.volume_of(series, progress)


def _header(path: Path) -> VolumeHeader:
    fields = fields_of(path)
    grid = grid_of(fields)
    stored = _stored(path, fields, grid)
    check_size(stored)
    return VolumeHeader(
        file=path,
        key=key_of(path, stored),
        shape=_shape(stored),
        affine=grid.affine,
        frame="patient" if grid.placed else "unknown",
        affine_from="space directions" if fields.get("space directions") else "spacings",
        space="",
        is_label=fields.is_segmentation,
        findings=(*grid.findings, *about_alpha(stored.dtype)),
        stored=stored,
        version=version_of(stored.file),
        fourth=grid.fourth if len(_shape(stored)) == 4 else None,
    )


def _stored(path: Path, fields: Fields, grid: Grid) -> Stored:
    file = file_beside(path, fields.get("data file")) if fields.get("data file") else path
    if fields.get("encoding").lower() not in _PACKINGS:
        raise Refusal("an encoding other than raw and gzip is not read")
    lines = integers(fields.get("line skip", "0"))
    skipped = integers(fields.get("byte skip", "0"))
    if lines != (0,) or len(skipped) != 1 or skipped[0] < 0:
        raise Refusal("lines to skip, or an unstated number of bytes, before the voxels are not read")
    shape = grid.sizes[1:] if grid.colour else grid.sizes
    single = grid.fourth_at >= 0 and shape[grid.fourth_at] == 1
    if single:
        shape = shape[: grid.fourth_at] + shape[grid.fourth_at + 1 :]
    return Stored(
        file=file,
        dtype=_dtype(fields, grid.colour),
        shape=shape + (1,) * (3 - len(shape)),
        begins=fields.ends if file == path else 0,
        skipped=skipped[0],
        packing=_PACKINGS[fields.get("encoding").lower()],
        time_at=-1 if single else grid.fourth_at,
    )


def _dtype(fields: Fields, colour: int) -> np.dtype[Any]:
    code = _TYPES.get(" ".join(fields.get("type").lower().split()))
    if code is None:
        raise Refusal("a type of voxels that is not read")
    if colour:
        if code != "u1":
            raise Refusal("colours of other than 8 bit are not read")
        return COLOUR if colour == 3 else np.dtype([(name, "u1") for name in "RGBA"])
    order = _ENDIANS.get(fields.get("endian").lower())
    if order is None and code[1] != "1":
        raise Refusal("nothing says the order of bytes (endian)")
    return np.dtype((order or "<") + code)


def _shape(stored: Stored) -> tuple[int, ...]:
    if stored.time_at < 0:
        return stored.shape
    at = stored.time_at
    return (*stored.shape[:at], *stored.shape[at + 1 :], stored.shape[at])
