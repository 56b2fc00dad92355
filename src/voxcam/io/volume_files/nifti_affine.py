"""Where the voxels of a NIfTI file lie: sform, qform, or voxel sizes alone; in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import HeaderDataError

from voxcam.io.study import Finding
from voxcam.io.volume_files.findings import NO_ORIENTATION, turned_to_mm
from voxcam.io.volume_files.kept import Refusal, check_affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Frame

# Corners of the grid may differ this far between sform and qform before it is said.
_AGREE_MM = 0.01
# And pixdim from the sform's spacing, where there is no qform.
_AGREE_PART = 0.01
_SPACES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI 152", 5: "template"}
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}


@dataclass(frozen=True, eq=False)
class Placed:
    """An affine to RAS+ mm, which field it is from, and what is odd about it."""

    affine: NDArray[np.float64]
    source: str
    frame: Frame
    space: str
    findings: tuple[Finding, ...]


def affine_of(header: Any, shape: tuple[int, ...]) -> Placed:
    """Return where the voxels lie.

    The affine is the sform's if its code is over 0, else the qform's, else made of the voxel sizes
    alone, as the standard says (NIfTI-1, methods 3, 2, 1).

    Raises
    ------
    Refusal
        The affine is not finite and invertible, its spacing is absurd, or the quaternion is none.
    """
    affine, source, code, findings = _chosen(header, shape)
    affine, more = _in_mm(affine, header)
    check_affine(affine)
    frame: Frame = "patient" if code > 0 else "unknown"
    return Placed(affine, source, frame, _SPACES.get(code, ""), (*findings, *more))


def _chosen(header: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], str, int, list[Finding]]:
    """Return (affine, where it is from, its code, findings)."""
    sform, s_code = header.get_sform(coded=True)
    qform, q_code = _qform(header)
    if s_code > 0:
        odd = _disagreement(sform, qform, shape) if qform is not None else _stretched(sform, header)
        return sform, "sform", int(s_code), odd
    if qform is not None:
        return qform, "qform", q_code, []
    return header.get_base_affine(), "voxel sizes", 0, [NO_ORIENTATION]


def _qform(header: Any) -> tuple[NDArray[np.float64] | None, int]:
    """Return the qform and its code; None where the code is 0.

    pixdim[0] (qfac) is 1 or -1; 0 is taken for 1, as nifti1.h says.
    """
    code = int(header["qform_code"])
    if code == 0:
        return None, 0
    handed = header.copy()
    if float(handed["pixdim"][0]) == 0:
        handed["pixdim"][0] = 1
    if float(handed["pixdim"][0]) not in (-1.0, 1.0):
        raise Refusal("damaged NIfTI header: handedness (pixdim[0]) is neither 1 nor -1")
    try:
        qform = handed.get_qform()
    except (ValueError, HeaderDataError):
        raise Refusal("damaged NIfTI header: a quaternion longer than 1 turns nothing") from None
    if not np.isfinite(qform).all():
        raise Refusal("damaged NIfTI header: a quaternion that is not finite")
    return qform, code


def _disagreement(
    sform: NDArray[np.float64], qform: NDArray[np.float64], shape: tuple[int, ...]
) -> list[Finding]:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]])).reshape(3, -1)
    difference = (sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:]
    apart = float(np.linalg.norm(difference, axis=0).max())
    if not apart > _AGREE_MM:
        return []
    return [Finding("two-affines", f"sform and qform differ by up to {apart:.3g} mm: the sform is taken")]


def _stretched(sform: NDArray[np.float64], header: Any) -> list[Finding]:
    stated = np.array(header["pixdim"][1:4], dtype=np.float64)
    with np.errstate(all="ignore"):
        part = float(np.abs(np.linalg.norm(sform[:3, :3], axis=0) / stated - 1).max())
    if not part > _AGREE_PART:
        return []
    text = (
        f"the sform's spacing differs from the one stated (pixdim) by {100 * part:.3g} %: the sform is taken"
    )
    return [Finding("two-spacings", text)]


def _in_mm(affine: NDArray[np.float64], header: Any) -> tuple[NDArray[np.float64], list[Finding]]:
    """Return the affine in mm where xyzt_units states metres or micrometres."""
    factor = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7)
    if factor is None:
        return np.array(affine, dtype=np.float64), []
    scaled = np.diag([factor, factor, factor, 1.0]) @ affine
    return scaled, turned_to_mm(factor)
