"""FreeSurfer's MGH files (.mgh, .mgz): RAS+ mm, big-endian, a footer behind the voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from voxcam.core.volume import Axis
from voxcam.errors import ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.volume_files import values
from voxcam.io.volume_files.findings import NO_ORIENTATION, NO_PIXEL_SIZE
from voxcam.io.volume_files.kept import (
    Refusal,
    Stored,
    VolumeHeader,
    check_affine,
    check_size,
    key_of,
    version_of,
)
from voxcam.io.volume_files.streams import GZIP, first_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.io.study import Finding, Progress, Series

_ENDINGS = (".mgh", ".mgz", ".mgh.gz")
_VERSION = b"\0\0\0\1"
_HEADER_BYTES = 90
_VOXELS_AT = 284
# TR, flip angle, TE, TI, field of view: float32 each, then tags with the commands that made the file.
_FOOTER_BYTES = 20
_MOST_TAGS = 16 << 20
_TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends as MGH's do and the bytes begin with its version, or are packed by gzip."""
    return path.name.lower().endswith(_ENDINGS) and (head[:2] == GZIP or head[:4] == _VERSION)


def read_header(path: Path) -> VolumeHeader | LeftOut:
    """Return what is kept of the file, without its voxels, or why it is left out. Never raises."""
    try:
        return _header(path)
    except Refusal as refusal:
        return LeftOut(str(refusal), refused=True)
    except Exception:  # nibabel raises many kinds of error on broken headers
        return LeftOut("damaged MGH file", refused=True)


def series_of(headers: Sequence[VolumeHeader], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return values.series_of(headers, "mgh")


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the file as a volume, frames last: see `values.volume_of`.

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, or needs more memory than allowed.
    """
    return values.volume_of(series, progress, _frames)


@np.errstate(all="ignore")
def _header(path: Path) -> VolumeHeader:
    head, gzipped = first_bytes(path, _VOXELS_AT)
    if head[:4] != _VERSION or len(head) < _VOXELS_AT:
        raise Refusal("damaged MGH header: cut short, or of another version than 1")
    # nibabel takes the place of an image without one for granted, and says that it has one.
    placed = int.from_bytes(head[28:30], "big")
    header: Any = MGHHeader(head[:_HEADER_BYTES], check=False)
    shape = _shape(header)
    affine, findings = _affine(header, placed)
    stored = Stored(
        file=path,
        dtype=_dtype(header),
        shape=shape,
        skipped=_VOXELS_AT,
        packing="gzip" if gzipped else "",
        most_after=_FOOTER_BYTES + _MOST_TAGS,
    )
    check_size(stored)
    return VolumeHeader(
        file=path,
        key=key_of(path, stored),
        shape=shape,
        affine=affine,
        frame="patient" if placed else "unknown",
        affine_from="direction cosines" if placed else "none",
        space="scanner" if placed else "",
        is_label=False,
        findings=tuple(findings),
        stored=stored,
        version=version_of(path),
    )


def _shape(header: Any) -> tuple[int, ...]:
    shape = tuple(int(n) for n in header["dims"])
    if min(shape) < 1:
        raise Refusal("damaged MGH header: dimensions of zero or below")
    return shape if shape[3] > 1 else shape[:3]


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["type"])
    if code not in _TYPES:
        raise Refusal("MGH of a type of voxels that is not read")
    return np.dtype(_TYPES[code])


def _affine(header: Any, placed: int) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[Finding]]:
    if placed not in (0, 1):
        raise Refusal("damaged MGH header: its flag of orientation is neither 0 nor 1")
    spacing = np.array(header["delta"], dtype=np.float64)
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise Refusal("damaged MGH header: spacing that is not over zero")
    # In float64 and with the counts from 1: nibabel's arithmetic is float32.
    steps = np.array(header["Mdc"], dtype=np.float64).T * spacing
    affine = np.eye(4)
    affine[:3, :3] = steps
    middle = np.array(header["dims"][:3], dtype=np.float64) / 2
    affine[:3, 3] = np.array(header["Pxyz_c"], dtype=np.float64) - steps @ middle
    check_affine(affine)
    if placed:
        return affine, []
    return affine, [NO_ORIENTATION, NO_PIXEL_SIZE]


@np.errstate(all="ignore")
def _frames(header: VolumeHeader, behind: bytes) -> Axis | None:
    """Return what the fourth axis counts: TR, in ms, is in the footer.

    A header that misstates the shape leaves voxels there instead: numbers that no footer holds.
    """
    footer = np.frombuffer(behind[: len(behind) // 4 * 4][:_FOOTER_BYTES], ">f4").astype(np.float64)
    sound = np.isfinite(footer) & ((footer == 0) | ((np.abs(footer) > 1e-6) & (np.abs(footer) < 1e8)))
    if not sound.all():
        raise ReadError("the file does not end as its header promises: it is damaged; copy it again")
    if len(header.shape) < 4:
        return None
    tr_s = float(footer[0]) / 1000 if len(footer) else 0.0
    if tr_s <= 0:
        return Axis("time", "s", stated_by="frames")
    return Axis("time", "s", tuple(float(f"{n * tr_s:.7g}") for n in range(header.shape[3])), "TR")
