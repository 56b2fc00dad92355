"""NIfTI files: already RAS+ mm, one file a series. NIfTI-1 and NIfTI-2, plain or gzip, in one file or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.io.left_out import LeftOut
from voxcam.io.volume_files import values
from voxcam.io.volume_files.kept import Refusal
from voxcam.io.volume_files.nifti_headers import header_of, kind_of
from voxcam.io.volume_files.streams import GZIP, first_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.io.study import Progress, Series
    from voxcam.io.volume_files.kept import VolumeHeader

_HEAD_BYTES = 352
_SMALLEST = 348
_ANALYZE = (
    "Analyze 7.5 (or NIfTI that lost its mark), which does not say how the image lies in the patient: "
    "convert it to NIfTI"
)


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends as NIfTI's do and the bytes begin as they should.

    A file packed by gzip is opened where it is read. Voxels of a pair have no mark of their own: they
    are told by the header beside them, or by having none.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".nii", ".hdr")):
        return head[:2] == GZIP or kind_of(head) != ""
    if not name.endswith(".img"):
        return False
    beside = _header_beside(path)
    return beside is None or _kind_at(beside) != ""


def read_header(path: Path) -> VolumeHeader | LeftOut:
    """Return what is kept of the file, without its voxels, or why it is left out. Never raises."""
    try:
        if path.name.lower().removesuffix(".gz").endswith(".img"):
            return _voxels_of_a_pair(path)
        head, _ = first_bytes(path, _HEAD_BYTES)
        kind = kind_of(head)
        if 4 < len(head) < _SMALLEST:
            return LeftOut("NIfTI header cut short", refused=True)
        if kind == "unmarked" and path.name.lower().removesuffix(".gz").endswith(".hdr"):
            return LeftOut(_ANALYZE, refused=True)
        if kind == "pair":
            return header_of(path, _voxels_beside(path))
        return header_of(path, path)
    except Refusal as refusal:
        return LeftOut(str(refusal), refused=True)
    except Exception:  # nibabel raises many kinds of error on broken headers
        return LeftOut("damaged NIfTI file", refused=True)


def series_of(headers: Sequence[VolumeHeader], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return values.series_of(headers, "nifti")


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the file as a volume, time last; scl_slope and scl_inter are applied: see `values.volume_of`.

    A file with the intent code of labels (1002) has unit "label".

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, needs more memory than allowed, or holds labels where a
        modality was stated.
    """
    return values.volume_of(series, progress)


def read_mask(path: str | os.PathLike[str]) -> Volume:
    """Return a file as labels: see `voxcam.io.volume_files.masks`."""
    from voxcam.io.volume_files import masks  # it knows us

    return masks.read_mask(path)


def _voxels_of_a_pair(path: Path) -> LeftOut:
    beside = _header_beside(path)
    if beside is None:
        return LeftOut(
            "header half missing: voxels (.img) without the .hdr that says what they are", refused=True
        )
    pair = "an Analyze 7.5" if _kind_at(beside) == "unmarked" else "a NIfTI"
    return LeftOut(f"voxels of {pair} pair")


def _header_beside(path: Path) -> Path | None:
    return _beside(path, ".hdr")


def _voxels_beside(path: Path) -> Path:
    voxels = _beside(path, ".img")
    if voxels is None:
        raise Refusal("voxel half missing: a NIfTI header (.hdr) without the .img that holds the voxels")
    return voxels


def _beside(path: Path, ending: str) -> Path | None:
    """Return the other half of a pair, plain or packed, its ending in the case of ours."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    ending = ending.upper() if name[-4:].isupper() else ending
    for other in (ending, f"{ending}.gz"):
        candidate = path.with_name(name[:-4] + other)
        if candidate.is_file():
            return candidate
    return None


def _kind_at(path: Path) -> str:
    try:
        return kind_of(first_bytes(path, _HEAD_BYTES)[0])
    except (Refusal, OSError):
        return "pair"  # a damaged header is a header still
