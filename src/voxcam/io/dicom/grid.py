"""From the headers of one series to the grid its slices form: order, affine, fourth axis, and what is odd.

The only place where DICOM's LPS turns into RAS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxcam.core.geometry import Frame, Geometry
from voxcam.io.dicom.dimensions import cine_axis, fourth_of
from voxcam.io.dicom.spacing import NONE, spacing_findings
from voxcam.io.dicom.steps import duplicate_findings, grid_steps, same_place, step_findings, usual_gap
from voxcam.io.study import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.core.volume import Axis
    from voxcam.io.dicom.headers import Header

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Slices = tuple[tuple["Header", ...], ...]
# r . c of ImageOrientationPatient may be this far from 0, and their lengths from 1: rounding in the file.
_PERPENDICULAR = 1e-3
_UNIT_LENGTH = 1e-2
_TILT_DEG = 0.5
_FARTHEST_MM = 1e9


@dataclass(frozen=True, eq=False)
class Grid:
    """Slices in the order of k, each with whatever else lies at its position, and where they lie.

    The geometry is exact where no finding stops; else it only serves to list the series. With a `fourth`
    axis every position holds its images in that axis' order; without, what else it holds are copies.
    """

    slices: Slices
    geometry: Geometry
    spacing_from: str
    findings: tuple[Finding, ...]
    fourth: Axis | None = None

    @property
    def moments(self) -> int:
        """How many images of each position become voxels."""
        return len(self.slices[0]) if self.fourth is not None else 1


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
    first = headers[0]
    spacing = first.spacing_mm or (1.0, 1.0)
    findings = spacing_findings(first.spacing_from)
    axes = axes_of(first.orientation) if first.placed and first.orientation else None
    if axes is None:
        if first.placed:
            text = "orientation is not two perpendicular directions of length 1: re-export the series"
            findings.append(Finding("orientation", f"the image {text}", len(headers), stops=True))
        slices, fourth = _cine(headers)
        affine = _projection_affine(first, spacing)
    else:
        slices, fourth, more = _places(headers, axes[2])
        affine, steps = _stack(slices, axes, spacing)
        findings += more + steps
    geometry, absurd = _geometry((first.columns, first.rows, len(slices)), affine, first)
    return Grid(slices, geometry, first.spacing_from, (*findings, *absurd), fourth)


def _geometry(
    shape: tuple[int, int, int], affine: NDArray[np.float64], header: Header
) -> tuple[Geometry, list[Finding]]:
    """Return the geometry; where the numbers are those of no place, one to list the series by, and why."""
    try:
        if np.abs(affine).max() < _FARTHEST_MM:
            return Geometry(shape, affine, _frame(header)), []
    except ValueError:
        pass
    text = "pixel size, thickness or positions are no lengths there can be: export the series again"
    return Geometry(shape, np.eye(4), "unknown"), [Finding("no-geometry", text, stops=True)]


def _frame(header: Header) -> Frame:
    if header.spacing_from == NONE:
        return "unknown"
    return "patient" if header.placed and header.spacing_from.startswith("PixelSpacing") else "detector"


def _cine(headers: Sequence[Header]) -> tuple[Slices, Axis | None]:
    """Return images that lie nowhere as moments of one place: the frames of one file."""
    ordered = tuple(sorted(headers, key=lambda h: h.frame))
    return (ordered,), cine_axis(ordered) if len(ordered) > 1 else None


def _places(
    headers: Sequence[Header], normal: NDArray[np.float64]
) -> tuple[Slices, Axis | None, list[Finding]]:
    """Return the positions in order with their images, the axis these make, and findings on both."""
    slices = same_place(headers, normal)
    several = fourth_of(slices)
    if several is None:
        return slices, None, duplicate_findings(slices)
    ordered, axis = several
    text = f"{len(ordered[0])} volumes, told apart by {axis.stated_by}"
    return ordered, axis, [Finding("fourth-axis", text, len(ordered[0]))]


def axes_of(orientation: Sequence[float]) -> NDArray[np.float64] | None:
    """Return unit vectors of growing column index, row index, and their normal as rows; LPS.

    None where the two are not perpendicular directions of length 1.
    """
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
    slices: Slices, axes: NDArray[np.float64], spacing: Sequence[float]
) -> tuple[NDArray[np.float64], list[Finding]]:
    """Return the affine to RAS, and findings, for positions in order along the normal."""
    r, c, normal = axes
    origins = np.array([here[0].position for here in slices])
    findings = step_findings(slices, normal)
    if len(slices) == 1:
        depth, more = _depth(slices[0][0])
        step = normal * depth
        findings += more
    elif any(finding.stops for finding in findings):
        step = _step_of_gaps(origins, normal)
    else:
        step = (origins[-1] - origins[0]) / (len(slices) - 1)
        findings += _lean(step, normal) + _thickness(slices[0][0], float(step @ normal))
    between_rows, between_columns = spacing
    lps = np.eye(4)
    lps[:3, :3] = np.stack([r * between_columns, c * between_rows, step], axis=1)
    lps[:3, 3] = origins[0]
    return LPS_TO_RAS @ lps, findings


def _step_of_gaps(origins: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the step of a stack with slices missing; of an uneven one, the usual gap along the normal."""
    steps = grid_steps(origins @ normal)
    if steps is None:
        return np.asarray(normal * usual_gap(origins @ normal))
    return np.asarray((origins[-1] - origins[0]) / steps.sum())


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


def _projection_affine(header: Header, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Return the affine of an image without a place in the patient: mm (or pixels) on its own plane.

    Shown as an axial slice would be, it stands as stored: the column index grows towards L, the row
    index towards P. Where PatientOrientation (0020,0020) says that columns grow towards the patient's
    right, or rows towards the head, that axis is turned, so that the patient's left comes to lie on
    the picture's right, and the head up.
    """
    letters = (*header.patient_orientation, "", "")
    across = 1 if letters[0].startswith("R") else -1
    down = 1 if letters[1].startswith("H") else -1
    between_rows, between_columns = spacing
    return np.diag([across * between_columns, down * between_rows, 1.0, 1.0])
