"""What is kept of a NIfTI file's header. A header that lies is refused, never mended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from voxcam.core.volume import COLOUR, Axis
from voxcam.io.study import Finding
from voxcam.io.volume_files.findings import about_alpha
from voxcam.io.volume_files.kept import Refusal, Stored, VolumeHeader, check_size, key_of, version_of
from voxcam.io.volume_files.nifti_affine import affine_of
from voxcam.io.volume_files.nifti_extensions import check_extensions
from voxcam.io.volume_files.streams import GZIP, first_bytes

if TYPE_CHECKING:
    from pathlib import Path

_LABEL_INTENT = 1002
# Of NIfTI-1's intent codes (nifti1.h): several numbers a voxel, which belong together.
_VECTOR_INTENTS = {1003, 1004, 1005, 1006, 1007, 1008, 1009}
_RGB, _RGBA = 128, 2304
_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COMPLEX_AND_LONG = (32, 1536, 1792, 2048)
_RGBA_DTYPE = np.dtype([(name, "u1") for name in "RGBA"])
_MAGIC = {b"n+1\0": "single", b"n+2\0": "single", b"ni1\0": "pair", b"ni2\0": "pair"}
# Bytes of the header; where voxels may begin in a single file (the next four say if extensions follow).
_SIZES = {1: 348, 2: 540}
_FIRST_VOXEL = {1: 352, 2: 544}
# Of xyzt_units (nifti1.h): what the fourth axis counts, its unit, and how many of the file's make one.
_FOURTH = {
    0: ("time", "", 1.0),
    8: ("time", "s", 1.0),
    16: ("time", "s", 1e3),
    24: ("time", "s", 1e6),
    32: ("frequency", "Hz", 1.0),
    40: ("chemical shift", "ppm", 1.0),
    48: ("frequency", "rad/s", 1.0),
}
# nibabel's check of a header would log what the header holds.
_SILENT = logging.Logger("voxcam.nifti", logging.CRITICAL + 1)


def kind_of(head: bytes) -> str:
    """Return ``single``, ``pair``, ``unmarked`` (a header of NIfTI's or Analyze's size without magic) or "".

    The magic of NIfTI-1 is at 344, that of NIfTI-2 at 4; the header begins with its own size.
    """
    known = _MAGIC.get(head[344:348]) or _MAGIC.get(head[4:8])
    return known or ("unmarked" if len(head) >= 4 and _order(head) else "")


def _order(head: bytes) -> str:
    """Return the order of bytes in which the header states one of its two sizes, or ""."""
    orders = {"<": int.from_bytes(head[:4], "little"), ">": int.from_bytes(head[:4], "big")}
    return next((order for order, size in orders.items() if size in _SIZES.values()), "")


@np.errstate(all="ignore")
def header_of(path: Path, voxels: Path) -> VolumeHeader:
    """Return the header of a NIfTI file whose voxels are in `voxels`, the same file or the other half.

    Raises
    ------
    Refusal
        Complex numbers, vectors, more than five dimensions, or a header that is not sound in itself or
        does not fit the file.
    """
    head, gzipped = first_bytes(path, _SIZES[2])
    header, version = _parsed(head, voxels != path)
    _check(header)
    dtype = _dtype(header)
    _check_by_nibabel(header)
    stated = _shape(header)
    shape, folded = _folded(stated, header)
    affine = affine_of(header, shape)
    slope, inter = _scaling(header, dtype)
    packed = gzipped if voxels == path else _half_is_packed(voxels)
    stored = Stored(
        file=voxels,
        dtype=dtype,
        shape=stated,
        skipped=_offset(header, version, voxels == path),
        packing="gzip" if packed else "",
        slope=slope,
        inter=inter,
    )
    check_size(stored)
    if voxels == path:
        check_extensions(path, stored.skipped, _SIZES[version], header.endianness)
    return VolumeHeader(
        file=path,
        key=key_of(path, stored),
        shape=shape,
        affine=affine.affine,
        frame=affine.frame,
        affine_from=affine.source,
        space=affine.space,
        is_label=int(header["intent_code"]) == _LABEL_INTENT,
        findings=(*affine.findings, *folded, *about_alpha(dtype), *_misnamed(voxels, packed)),
        stored=stored,
        version=version_of(voxels),
        fourth=_fourth(header, shape, stated),
    )


def _parsed(head: bytes, pair: bool) -> tuple[Any, int]:
    """Return (nibabel's header as it is, the version of NIfTI)."""
    if head[:2] == GZIP:
        raise Refusal("gzip inside gzip: unpack it once")
    version = 2 if head[4:8] in (b"n+2\0", b"ni2\0") else 1
    size = _SIZES[version]
    if len(head) < size:
        raise Refusal("NIfTI header cut short")
    order = _order(head)
    if not order or int.from_bytes(head[:4], "little" if order == "<" else "big") != size:
        raise Refusal("damaged NIfTI header: it misstates its own size")
    kinds = {
        (1, False): nib.Nifti1Header,
        (1, True): nib.nifti1.Nifti1PairHeader,
        (2, False): nib.Nifti2Header,
        (2, True): nib.nifti2.Nifti2PairHeader,
    }
    return kinds[version, pair](head[:size], order, check=False), version


def _check(header: Any) -> None:
    """Refuse what the header itself gives away as damage."""
    count = int(header["dim"][0])
    if not 1 <= count <= 7 or min(int(n) for n in header["dim"][1 : count + 1]) < 1:
        raise Refusal("damaged NIfTI header: dimensions of zero, below zero, or too many")
    spacing = np.array(header["pixdim"][1 : 1 + max(3, min(count, 4))], dtype=np.float64)
    if not np.isfinite(spacing).all() or (spacing[:3] <= 0).any():
        raise Refusal("damaged NIfTI header: spacing (pixdim) that is not over zero")


def _check_by_nibabel(header: Any) -> None:
    """Take nibabel's problems of level 30 and over for errors; it would log and mend most of them."""
    try:
        header.copy().check_fix(logger=_SILENT, error_level=30)
    except HeaderDataError:
        raise Refusal("damaged NIfTI header: nibabel finds its magic, offset or codes wrong") from None


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COMPLEX_AND_LONG:
        raise Refusal(
            "NIfTI of complex numbers or floats over 64 bit: only real numbers up to 64 bit are read"
        )
    if code == _RGB:
        dtype = COLOUR
    elif code == _RGBA:
        dtype = _RGBA_DTYPE
    elif code in _TYPES:
        dtype = np.dtype(header.endianness + _TYPES[code])
    else:
        raise Refusal("NIfTI of unknown type of voxels")
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        raise Refusal("damaged NIfTI header: bits a voxel (bitpix) do not fit the type of voxels")
    return dtype


def _shape(header: Any) -> tuple[int, ...]:
    """Return the counts stated: at least three, trailing ones beyond the third dropped."""
    count = int(header["dim"][0])
    shape = tuple(int(n) for n in header["dim"][1 : count + 1]) + (1,) * (3 - count)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _folded(stated: tuple[int, ...], header: Any) -> tuple[tuple[int, ...], list[Finding]]:
    """Return the shape with a fifth dimension folded into the fourth, and what to say of it."""
    if int(header["intent_code"]) in _VECTOR_INTENTS or (len(stated) == 5 and stated[3] == 1):
        raise Refusal("NIfTI of vectors: only one value a voxel is read")
    if len(stated) > 5:
        raise Refusal("NIfTI of more than five dimensions")
    if len(stated) < 5:
        return stated, []
    text = f"five dimensions: the fourth ({stated[3]}) and fifth ({stated[4]}) are laid one behind the other"
    return (*stated[:3], stated[3] * stated[4]), [Finding("folded", text)]


def _offset(header: Any, version: int, single: bool) -> int:
    offset = float(header["vox_offset"])
    least = _FIRST_VOXEL[version] if single else 0
    if not np.isfinite(offset) or offset < least or offset != int(offset):
        raise Refusal(f"damaged NIfTI header: voxels cannot begin (vox_offset) before byte {least}")
    return int(offset)


def _scaling(header: Any, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return slope and inter; a slope of 0 means none (nifti1.h), and colour is never scaled."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or (slope != 0 and not np.isfinite(inter)):
        raise Refusal("damaged NIfTI header: scaling (scl_slope, scl_inter) that is not finite")
    return (1.0, 0.0) if slope == 0 or dtype.names else (slope, inter)


def _fourth(header: Any, shape: tuple[int, ...], stated: tuple[int, ...]) -> Axis | None:
    """Return what the fourth axis counts, from pixdim[4], toffset and the time unit of xyzt_units."""
    if len(shape) < 4:
        return None
    if len(stated) > 4:
        return Axis("dimensions 4 and 5", stated_by="dim[5]")
    name, unit, of_one = _FOURTH.get(int(header["xyzt_units"]) & 0x38, _FOURTH[0])
    step, start = float(header["pixdim"][4]), float(header["toffset"])
    if step <= 0 or not np.isfinite(start):
        return Axis(name, unit, stated_by="dim[4]")
    # float32 holds seven digits: 2.2 s is not to read 2.2000000477.
    values = tuple(float(f"{(start + n * step) / of_one:.7g}") for n in range(shape[3]))
    return Axis(name, unit, values, "pixdim[4]")


def _half_is_packed(voxels: Path) -> bool:
    """Whether voxels in a file of their own are gzip: the first voxel may look like its mark by chance."""
    return voxels.name.lower().endswith(".gz") and first_bytes(voxels, 2)[1]


def _misnamed(path: Path, packed: bool) -> list[Finding]:
    """Say where the name and the bytes disagree about gzip: the bytes are gone by."""
    if path.name.lower().endswith(".gz") == packed:
        return []
    return [
        Finding("misnamed", "the name says gzip and the bytes do not, or the reverse: read as the bytes are")
    ]
