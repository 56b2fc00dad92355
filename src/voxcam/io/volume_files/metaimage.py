"""MetaImage files (.mha, .mhd): ITK's own, lines of "key = value" before the voxels; its world is LPS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxcam.core.volume import COLOUR, Axis
from voxcam.io.left_out import LeftOut
from voxcam.io.volume_files import values
from voxcam.io.volume_files.findings import NO_ORIENTATION, NO_PIXEL_SIZE, about_alpha, turned_to_mm
from voxcam.io.volume_files.kept import (
    Refusal,
    Stored,
    VolumeHeader,
    check_affine,
    check_size,
    key_of,
    version_of,
)
from voxcam.io.volume_files.text_headers import (
    MOST_LINES,
    beginning,
    file_beside,
    integers,
    numbers,
)
from voxcam.io.volume_files.worlds import LPS, mm_per, to_ras

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.io.study import Finding, Progress, Series

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# Two spellings of a field; the first found counts, as in MetaIO.
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN = ("Offset", "Position", "Origin")
_MSB = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_SPACING = ("ElementSpacing", "ElementSize")


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends as MetaImage's do and the bytes begin with one of its first keys."""
    name = path.name.lower()
    return name.endswith((".mha", ".mhd")) and bool(re.match(rb"\s*(ObjectType|NDims)\s*=", head))


def read_header(path: Path) -> VolumeHeader | LeftOut:
    """Return what is kept of the file, without its voxels, or why it is left out. Never raises."""
    try:
        return _header(path)
    except Refusal as refusal:
        return LeftOut(f"MetaImage: {refusal}", refused=True)
    except Exception:  # whatever a broken header sets off, the scan goes on
        return LeftOut("damaged MetaImage file", refused=True)


def series_of(headers: Sequence[VolumeHeader], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return values.series_of(headers, "metaimage")


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the file as a volume, time last: see `values.volume_of`.

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, or needs more memory than allowed.
    """
    return values.volume_of(series, progress)


def _header(path: Path) -> VolumeHeader:
    fields, ends = _fields(beginning(path))
    _check(fields)
    stated = _shape(fields)
    affine, placed, findings = _affine(fields, len(stated))
    stored = _stored(path, fields, ends, stated)
    check_size(stored)
    shape = stored.shape + (1,) * (3 - len(stored.shape))
    return VolumeHeader(
        file=path,
        key=key_of(path, stored),
        shape=shape,
        affine=affine,
        frame="patient" if placed else "unknown",
        affine_from="TransformMatrix" if placed else "ElementSpacing",
        space="",
        is_label=False,
        findings=(*findings, *about_alpha(stored.dtype)),
        stored=stored,
        version=version_of(stored.file),
        fourth=_fourth(fields, shape),
    )


def _fields(head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields and where the header ends; ElementDataFile is the last."""
    fields: dict[str, str] = {}
    at = 0
    for _ in range(MOST_LINES):
        end = head.find(b"\n", at)
        if end < 0:
            break
        key, is_field, value = head[at:end].decode("latin-1").partition("=")
        key, at = key.strip(), end + 1
        if not is_field and key:
            break
        if key in fields:
            raise Refusal("a field stated twice")
        if key:
            fields[key] = value.strip()
        if key == "ElementDataFile":
            return fields, at
    raise Refusal("damaged header: it does not end with ElementDataFile")


def _check(fields: Mapping[str, str]) -> None:
    if fields.get("ObjectType", "Image") != "Image":
        raise Refusal("it holds no image")
    if not _is_true(fields.get("BinaryData", "True")):
        raise Refusal("voxels written as text are not read")
    slope = numbers(fields.get("ElementToIntensityFunctionSlope", "1"))
    inter = numbers(fields.get("ElementToIntensityFunctionOffset", "0"))
    if slope != (1.0,) or inter != (0.0,):
        raise Refusal("a function from elements to intensities is not read")


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise Refusal("damaged header: expected True or False, found something else")
    return text.lower() in ("true", "1")


def _shape(fields: Mapping[str, str]) -> tuple[int, ...]:
    """Return the counts stated, two to four."""
    (axes,) = integers(fields.get("NDims", "")) or (0,)
    shape = integers(fields.get("DimSize", ""))
    if axes not in (2, 3, 4) or len(shape) != axes or min(shape) < 1:
        raise Refusal("expected two to four dimensions of at least 1, found others")
    return shape


def _affine(fields: Mapping[str, str], axes: int) -> tuple[NDArray[np.float64], bool, list[Finding]]:
    """Return (affine to RAS+ mm, whether the file states directions, findings).

    A row of TransformMatrix is the direction of one axis in the world (ITK's MetaImageIO).
    """
    spacing = _numbers(fields, _SPACING, axes, np.ones(axes))
    if (spacing[:3] <= 0).any():
        raise Refusal("damaged header: spacing that is not over zero")
    matrix = _numbers(fields, _MATRIX, axes * axes, np.eye(axes).ravel()).reshape(axes, axes)
    affine = np.eye(4)
    used = min(axes, 3)
    if axes == 4 and (matrix[3, :3].any() or matrix[:3, 3].any()):
        raise Refusal("time and space are mixed by its TransformMatrix")
    affine[:used, :used] = matrix[:used, :used].T * spacing[:used]
    affine[:used, 3] = _numbers(fields, _ORIGIN, axes, np.zeros(axes))[:used]
    factor = mm_per(fields.get("DistanceUnits", ""))
    affine[:3] *= factor
    affine = to_ras(affine, LPS)
    check_affine(affine, used)
    placed = _found(fields, _MATRIX) != "" and axes > 2
    findings = [] if placed else [NO_ORIENTATION]
    findings += [] if _found(fields, _SPACING) else [NO_PIXEL_SIZE]
    return affine, placed, findings + turned_to_mm(factor)


def _numbers(
    fields: Mapping[str, str], names: Sequence[str], count: int, default: NDArray[np.float64]
) -> NDArray[np.float64]:
    text = _found(fields, names)
    if not text:
        return default
    found = numbers(text)
    if len(found) != count:
        raise Refusal("damaged header: a list of numbers that does not fit the dimensions")
    return np.array(found)


def _found(fields: Mapping[str, str], names: Sequence[str]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def _stored(path: Path, fields: Mapping[str, str], ends: int, shape: tuple[int, ...]) -> Stored:
    local = fields["ElementDataFile"].upper() in ("LOCAL", "LOCAL DATA")
    file = path if local else file_beside(path, fields["ElementDataFile"])
    (skipped,) = integers(fields.get("HeaderSize", "0")) or (-1,)
    if skipped < 0 or (local and skipped):
        raise Refusal("a header of unstated size before the voxels is not read")
    packing: Literal["", "zlib"] = "zlib" if _is_true(fields.get("CompressedData", "False")) else ""
    # The last axis of one is dropped: a single moment is a volume.
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return Stored(
        file=file,
        dtype=_dtype(fields),
        shape=shape,
        begins=ends if local else skipped,
        packing=packing,
    )


def _dtype(fields: Mapping[str, str]) -> np.dtype[Any]:
    name = fields.get("ElementType", "").removesuffix("_ARRAY")
    if name not in _TYPES:
        raise Refusal("a type of voxels that is not read")
    (channels,) = integers(fields.get("ElementNumberOfChannels", "1")) or (0,)
    order = ">" if _is_true(_found(fields, _MSB) or "False") else "<"
    if channels == 1:
        return np.dtype(order + _TYPES[name])
    if channels in (3, 4) and name == "MET_UCHAR":
        return COLOUR if channels == 3 else np.dtype([(c, "u1") for c in "RGBA"])
    raise Refusal("several values a voxel that are no colour of 8 bit")


def _fourth(fields: Mapping[str, str], shape: tuple[int, ...]) -> Axis | None:
    """Return what the fourth axis counts; MetaImage knows no unit of time."""
    if len(shape) < 4:
        return None
    step = float(_numbers(fields, _SPACING, 4, np.zeros(4))[3])
    start = float(_numbers(fields, _ORIGIN, 4, np.zeros(4))[3])
    if step <= 0:
        return Axis("time", stated_by="NDims")
    return Axis(
        "time", "", tuple(float(f"{start + n * step:.9g}") for n in range(shape[3])), "ElementSpacing"
    )
