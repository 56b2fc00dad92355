"""What is kept of a NIfTI file's header: shape, affine, and what is odd about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from voxcam.io.identity import content_sample, salted
from voxcam.io.study import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.core.geometry import Frame

_LABEL_INTENT = 1002
# Corners of the grid may differ this far between sform and qform before it is said.
_AGREE_MM = 0.01
_SPACES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI 152", 5: "template"}
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}


class Refusal(Exception):  # noqa: N818 - caught where the file is met, and becomes its reason
    """Why a file that is NIfTI cannot be read."""


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """One NIfTI image of three dimensions, or four with time; affine from voxel index to RAS+ mm."""

    file: Path = field(repr=False)
    key: str
    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    frame: Frame
    affine_from: str
    space: str
    is_label: bool
    findings: tuple[Finding, ...]


def header_of(path: Path) -> NiftiHeader:
    """Return the header of a NIfTI file.

    The affine is the sform's if its code is over 0, else the qform's, else made of the voxel sizes
    alone, as the standard says (NIfTI-1, methods 3, 2, 1).

    Raises
    ------
    Refusal
        Colour or complex voxels, more than four dimensions, or an affine that cannot be.
    """
    image: Any = nib.load(path)
    header = image.header
    _check_type(header.get_data_dtype())
    shape = _shape(header.get_data_shape())
    affine, affine_from, code, findings = _affine(header, shape)
    affine, more = _in_mm(affine, header)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise Refusal("NIfTI affine is not finite and invertible: nothing says where the voxels lie")
    return NiftiHeader(
        file=path,
        key=salted([content_sample(path)]),
        shape=shape,
        affine=affine,
        frame="patient" if code > 0 else "unknown",
        affine_from=affine_from,
        space=_SPACES.get(code, ""),
        is_label=int(header["intent_code"]) == _LABEL_INTENT,
        findings=(*findings, *more),
    )


def _check_type(dtype: np.dtype[Any]) -> None:
    if dtype.names is not None:
        raise Refusal("colour NIfTI (RGB): only grey images are read")
    if dtype.kind not in "iuf":
        raise Refusal("NIfTI of complex numbers or unknown type: only real numbers are read")


def _shape(stated: tuple[int, ...]) -> tuple[int, ...]:
    """Return three or four counts: trailing ones beyond the third are dropped, missing ones added."""
    shape = tuple(int(n) for n in stated) + (1,) * (3 - len(stated))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:
        raise Refusal("NIfTI of vectors: only one value a voxel is read")
    if len(shape) > 4 or min(shape) < 1:
        raise Refusal("NIfTI of more than four dimensions, or of none")
    return shape


def _affine(header: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], str, int, list[Finding]]:
    """Return (affine, where it is from, its code, findings)."""
    sform, s_code = header.get_sform(coded=True)
    try:
        qform, q_code = header.get_qform(coded=True)
    except (ValueError, HeaderDataError):
        qform, q_code = None, 0
    if s_code > 0:
        return sform, "sform", int(s_code), _disagreement(sform, qform if q_code > 0 else None, shape)
    if q_code > 0 and qform is not None:
        return qform, "qform", int(q_code), []
    text = "the file does not say how the image lies in the patient: left and right are not known"
    return header.get_base_affine(), "voxel sizes", 0, [Finding("no-orientation", text)]


def _disagreement(
    sform: NDArray[np.float64], qform: NDArray[np.float64] | None, shape: tuple[int, ...]
) -> list[Finding]:
    if qform is None:
        return []
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]])).reshape(3, -1)
    difference = (sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:]
    apart = float(np.linalg.norm(difference, axis=0).max())
    if not apart > _AGREE_MM:
        return []
    return [Finding("two-affines", f"sform and qform differ by up to {apart:.3g} mm: the sform is taken")]


def _in_mm(affine: NDArray[np.float64], header: Any) -> tuple[NDArray[np.float64], list[Finding]]:
    """Return the affine in mm where xyzt_units states metres or micrometres."""
    factor = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7)
    if factor is None:
        return np.array(affine, dtype=np.float64), []
    scaled = np.diag([factor, factor, factor, 1.0]) @ affine
    return scaled, [Finding("not-mm", f"the file counts in {1 / factor:g} a mm: turned into mm")]
