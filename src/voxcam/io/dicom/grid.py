"""From the headers of one series to the grid its slices form: order, affine, and what is odd about them.

The only place where DICOM's LPS turns into RAS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxcam.core.geometry import Frame, Geometry
from voxcam.io.dicom.steps import same_place, step_findings, usual_gap
from voxcam.io.study import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.dicom.headers import Header

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Slices = tuple[tuple["Header", ...], ...]
# r . c of ImageOrientationPatient may be this far from 0, and their lengths from 1: rounding in the file.
_PERPENDICULAR = 1e-3
_UNIT_LENGTH = 1e-2
_TILT_DEG = 0.5


@dataclass(frozen=True, eq=False)
class Grid:
    """Slices in the order of k, each with whatever else lies at its position, and where they lie.

    The geometry is exact where no finding stops; else it only serves to list the series.
    """

    slices: Slices
    geometry: Geometry
    spacing_from: str
    findings: tuple[Finding, ...]


def arrange(headers: Sequence[Header]) -> Grid:
    """Return the grid that slices of one plane, size and pixel spacing form.

    Slices are sorted by their position along the normal, row direction x column direction; never by
    instance number, slice location or file name. i counts columns, j rows, k slices along the normal. The
    step from slice to slice is the vector from the first position to the last over their number less
    one, so a tilted gantry gives the sheared affine that is exact. PS3.3 C.7.6.2.1.1.

    Parameters
    ----------
    headers
        At least one, in any order. One that is not placed in the patient comes alone.
    """
    spacing, spacing_from, frame, findings = _pixel_spacing(headers[0])
    orientation = headers[0].orientation
    axes = _axes(orientation) if headers[0].placed and orientation else None
    if axes is None:
        if headers[0].placed:
            text = "orientation is not two perpendicular directions of length 1: re-export the series"
            findings.append(Finding("orientation", f"the image {text}", len(headers), stops=True))
        slices: Slices = tuple((header,) for header in headers)
        affine = _projection_affine(headers[0], spacing)
    else:
        slices, affine, more = _stack(headers, axes, spacing)
        findings += more
    shape = (headers[0].columns, headers[0].rows, len(slices))
    return Grid(slices, Geometry(shape, affine, frame), spacing_from, tuple(findings))


def _pixel_spacing(header: Header) -> tuple[tuple[float, float], str, Frame, list[Finding]]:
    """Return ((between columns, between rows) in mm, where it is from, the frame, findings)."""
    if header.spacing_mm is not None:
        between_rows, between_columns = header.spacing_mm
        calibrated = f" ({header.calibration})" if header.calibration else ""
        frame: Frame = "patient" if header.placed else "detector"
        return (between_columns, between_rows), f"PixelSpacing{calibrated}", frame, []
    if header.detector_spacing_mm is not None:
        between_rows, between_columns = header.detector_spacing_mm
        text = "pixel size is that at the detector (ImagerPixelSpacing): lengths in the body are magnified"
        found = [Finding("detector-spacing", text)]
        return (between_columns, between_rows), "ImagerPixelSpacing", "detector", found
    found = [Finding("no-pixel-size", "no pixel size: distances are in pixels")]
    return (1.0, 1.0), "none", "unknown", found


def _axes(orientation: Sequence[float]) -> NDArray[np.float64] | None:
    """Return unit vectors of growing column index, row index, and their normal as rows; LPS."""
    r, c = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(r), np.linalg.norm(c)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1)) > _UNIT_LENGTH:
        return None
    r, c = r / lengths[0], c / lengths[1]
    if abs(r @ c) > _PERPENDICULAR:
        return None
    normal = np.cross(r, c)
    return np.stack([r, c, normal / np.linalg.norm(normal)])


def _stack(
    headers: Sequence[Header], axes: NDArray[np.float64], spacing: tuple[float, float]
) -> tuple[Slices, NDArray[np.float64], list[Finding]]:
    """Return slices in order, the affine to RAS, and findings, for headers placed in the patient."""
    r, c, normal = axes
    slices = same_place(headers, normal)
    origins = np.array([here[0].position for here in slices])
    findings = step_findings(slices, normal)
    if len(slices) == 1:
        depth, more = _depth(slices[0][0])
        step = normal * depth
        findings += more
    elif any(finding.stops for finding in findings):
        step = normal * usual_gap(origins @ normal)
    else:
        step = (origins[-1] - origins[0]) / (len(slices) - 1)
        findings += _lean(step, normal) + _thickness(slices[0][0], float(step @ normal))
    lps = np.eye(4)
    lps[:3, :3] = np.stack([r * spacing[0], c * spacing[1], step], axis=1)
    lps[:3, 3] = origins[0]
    return slices, LPS_TO_RAS @ lps, findings


def _depth(header: Header) -> tuple[float, list[Finding]]:
    for stated in (header.thickness_mm, header.between_slices_mm):
        if stated is not None and stated > 0:
            return stated, []
    return 1.0, [Finding("no-thickness", "one slice of no stated thickness: taken as 1 mm")]


def _lean(step: NDArray[np.float64], normal: NDArray[np.float64]) -> list[Finding]:
    cosine = float(step @ normal / np.linalg.norm(step))
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if angle <= _TILT_DEG:
        return []
    return [
        Finding(
            "tilt", f"the stack leans by {angle:.1f} degrees (gantry tilt): kept exactly, as a sheared grid"
        )
    ]


def _thickness(header: Header, step_mm: float) -> list[Finding]:
    thick = header.thickness_mm
    if thick is None or thick <= 0 or abs(thick - step_mm) <= 0.1 * step_mm:
        return []
    how = "overlap" if thick > step_mm else "leave gaps"
    return [Finding("thickness", f"slices {how}: {thick:.4g} mm thick at steps of {step_mm:.4g} mm")]


def _projection_affine(header: Header, spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Return the affine of an image without a place in the patient: mm (or pixels) on its own plane.

    Shown as an axial slice would be, it stands as stored: the column index grows towards L, the row
    index towards P. Where PatientOrientation (0020,0020) says that columns grow towards the patient's
    right, or rows towards the head, that axis is turned, so that the patient's left comes to lie on
    the picture's right, and the head up.
    """
    letters = (*header.patient_orientation, "", "")
    across = 1 if letters[0].startswith("R") else -1
    down = 1 if letters[1].startswith("H") else -1
    return np.diag([across * spacing[0], down * spacing[1], 1.0, 1.0])
