"""NIfTI files: already RAS+ mm, one file a series. NIfTI-1 and NIfTI-2, plain or gzip."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.quiet import quiet
from voxcam.io.study import Finding, Series
from voxcam.io.volume_files.nifti_headers import NiftiHeader, Refusal, header_of

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.study import Progress

_INT16 = np.iinfo(np.int16)
_AIR_HU = -500
# nibabel lets each of these through on a damaged file.
_DAMAGE = (EOFError, OSError, ValueError, zlib.error, ImageFileError)


def recognises(path: Path, head: bytes) -> bool:
    """Whether the name ends as NIfTI's do and the bytes begin as they should; gzip is opened to see."""
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        return head[:2] == b"\x1f\x8b"
    return name.endswith((".nii", ".hdr")) and _magic(head) != ""


def read_header(path: Path) -> NiftiHeader | LeftOut:
    """Return what is kept of the file, without its voxels, or why it is left out. Never raises."""
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                magic = _magic(stream.read(352))
        else:
            with path.open("rb") as stream:
                magic = _magic(stream.read(352))
        if magic == "pair":
            return LeftOut("NIfTI in two files (.hdr and .img): convert it to one .nii", refused=True)
        if magic != "single":
            return LeftOut("damaged NIfTI header", refused=True)
        return header_of(path)
    except Refusal as refusal:
        return LeftOut(str(refusal), refused=True)
    except Exception:  # nibabel raises many kinds of error on broken headers
        return LeftOut("damaged NIfTI file", refused=True)


def series_of(headers: Sequence[NiftiHeader], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return [_series(header) for header in sorted(headers, key=lambda h: str(h.file))]


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the file as a volume, time last; scl_slope and scl_inter are applied.

    Voxels keep whole numbers as int16 where they fit, else are float32. NIfTI knows no modality: where the
    series has none either, whole numbers that reach below -500, as air does, are taken for CT in HU, and
    the first finding says so. A file with the intent code of labels (1002) has unit "label".

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, or holds labels where a modality was stated.
    """
    header: NiftiHeader = series.headers[0]
    if header.is_label and series.modality:
        raise ReadError(
            f"expected an image of modality {series.modality}, the file says it holds labels; "
            "leave the modality out, or choose the image"
        )
    voxels = _voxels(header)
    if progress is not None:
        progress(1, 1)
    if header.is_label:
        return _volume(series, header, _labels(voxels), "", "label", series.findings)
    values, odd = _values(voxels)
    modality, guessed = _modality(series, values)
    unit = "HU" if modality == "CT" else ""
    return _volume(series, header, values, modality, unit, (*guessed, *series.findings, *odd))


def read_mask(path: str | os.PathLike[str]) -> Volume:
    """Return a NIfTI file as labels: whole numbers, 0 outside, unit "label".

    Raises
    ------
    ReadError
        Not a NIfTI file, damaged, in time, or its values are not whole numbers from 0.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            known = recognises(file, stream.read(352))
    except OSError:
        raise ReadError("expected a NIfTI mask, found no file to open there; check the path") from None
    if not known:
        raise ReadError("expected a NIfTI mask (.nii or .nii.gz), found another kind of file")
    with quiet():
        found = read_header(file)
    if isinstance(found, LeftOut):
        raise ReadError(f"the mask cannot be read: {found.reason}")
    if len(found.shape) > 3:
        raise ReadError(
            f"expected a mask of three dimensions, found {len(found.shape)}; take one moment of it"
        )
    return _volume(_series(found), found, _labels(_voxels(found)), "", "label", found.findings)


def _magic(head: bytes) -> str:
    """``single``, ``pair`` or "", after the magic of NIfTI-1 (at 344) or NIfTI-2 (at 4)."""
    kinds = {b"n+1\0": "single", b"n+2\0": "single", b"ni1\0": "pair", b"ni2\0": "pair"}
    return kinds.get(head[344:348]) or kinds.get(head[4:8]) or ""


def _series(header: NiftiHeader) -> Series:
    zooms = np.linalg.norm(header.affine[:3, :3], axis=0)
    return Series(
        uid="",
        key=header.key,
        modality="",
        description="",
        shape=header.shape,
        spacing_mm=(float(zooms[0]), float(zooms[1]), float(zooms[2])),
        files=(header.file,),
        format="nifti",
        findings=header.findings,
        headers=(header,),
    )


def _voxels(header: NiftiHeader) -> NDArray[Any]:
    """Return the scaled voxels in the header's shape, whole."""
    try:
        with quiet():
            image: Any = nib.load(header.file)
            stored: NDArray[Any] = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise ReadError("the NIfTI file is not there any more; scan the place again") from None
    except _DAMAGE as error:
        raise ReadError(
            f"the NIfTI file is damaged or cut short ({type(error).__name__}); copy it again"
        ) from None
    if stored.size != np.prod(header.shape):
        raise ReadError("the NIfTI file has changed since the scan; scan the place again")
    return stored.reshape(header.shape, order="F")


def _values(voxels: NDArray[Any]) -> tuple[NDArray[Any], tuple[Finding, ...]]:
    """Return int16 or float32, and a finding on voxels that hold no number."""
    if voxels.dtype.kind in "iub":
        fits = voxels.min() >= _INT16.min and voxels.max() <= _INT16.max
        return voxels.astype(np.int16 if fits else np.float32, order="K"), ()
    values = voxels.astype(np.float32, order="K")
    bad = int(values.size - np.isfinite(values).sum())
    if not bad:
        return values, ()
    part = f"{100 * bad / values.size:.2g} % of voxels hold no finite number"
    return values, (Finding("not-finite", part, bad),)


def _labels(voxels: NDArray[Any]) -> NDArray[Any]:
    whole = np.rint(voxels) if voxels.dtype.kind == "f" else voxels
    # Also false where a voxel is not a number.
    if not np.array_equal(whole, voxels) or whole.min() < 0 or whole.max() > np.iinfo(np.int32).max:
        raise ReadError(
            "expected whole numbers from 0 in a mask, found others; is it an image or a probability?"
        )
    return whole.astype(np.uint8 if whole.max() < 256 else np.int32, order="K")


def _modality(series: Series, values: NDArray[Any]) -> tuple[str, tuple[Finding, ...]]:
    """Return the modality stated, else CT where the values look like HU, and what to say of it."""
    if not series.modality and _like_hu(values):
        return "CT", (Finding("taken-for-ct", "taken for CT in HU by its values"),)
    # Also true where no voxel is a number.
    if series.modality == "CT" and not (values < _AIR_HU).any():
        text = f"stated to be CT, but no value is below {_AIR_HU} as air is: check that they are HU"
        return "CT", (Finding("no-air", text),)
    return series.modality, ()


def _like_hu(values: NDArray[Any]) -> bool:
    """Whole numbers from air (below -500, not below the padding some scanners write, -3100) to tissue."""
    low, high = values.min(), values.max()
    if not (-3100 <= low < _AIR_HU and 0 < high <= _INT16.max):
        return False
    return values.dtype.kind == "i" or bool((values == np.rint(values)).all())


def _volume(
    series: Series,
    header: NiftiHeader,
    voxels: NDArray[Any],
    modality: str,
    unit: str,
    findings: tuple[Finding, ...],
) -> Volume:
    grid = (header.shape[0], header.shape[1], header.shape[2])
    return Volume(
        voxels=voxels,
        geometry=Geometry(grid, header.affine, header.frame),
        modality=modality,
        unit=unit,
        source={
            "format": "nifti",
            "series_key": series.key,
            "files": 1,
            "spacing_mm": list(series.spacing_mm),
            "spacing_from": header.affine_from,
            "space": header.space,
            "findings": [finding.text for finding in findings],
        },
    )
