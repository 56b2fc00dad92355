"""The distance between pixel centres, and what it was measured at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.io.study import Finding

if TYPE_CHECKING:
    from voxcam.io.dicom.attributes import Attributes, Vector

# What `pixel_spacing` names where nothing is stated.
NONE = "none"
_NOTES = {
    "ImagerPixelSpacing": (
        "detector-spacing",
        "pixel size is that at the detector (ImagerPixelSpacing): lengths in the body are magnified",
    ),
    "ImagerPixelSpacing / magnification": (
        "magnified-spacing",
        "pixel size is the detector's over the stated magnification factor: an estimate, not calibrated",
    ),
    "NominalScannedPixelSpacing": (
        "scanned-spacing",
        "pixel size is that of the scanned film (NominalScannedPixelSpacing), not of the body",
    ),
    "ultrasound region": (
        "region-spacing",
        "pixel size is that of the calibrated ultrasound region: not true for what is drawn round it",
    ),
    NONE: ("no-pixel-size", "no pixel size: distances are in pixels"),
}


def pixel_spacing(attributes: Attributes) -> tuple[Vector | None, str]:
    """Return ((between rows, between columns) in mm, where it is from).

    PixelSpacing where it is over 0, with PixelSpacingCalibrationType if given; else the detector's pixel
    size, over EstimatedRadiographicMagnificationFactor if that is given; else the scanned film's.
    PS3.3 10.7, C.8.7.10, C.8.11.3. An ultrasound's calibrated regions are asked for elsewhere.
    """
    stated = positive(attributes.numbers("PixelSpacing", 2))
    if stated is not None:
        calibration = attributes.term("PixelSpacingCalibrationType", ("GEOMETRY", "FIDUCIAL"))
        return stated, f"PixelSpacing ({calibration})" if calibration else "PixelSpacing"
    detector = positive(attributes.numbers("ImagerPixelSpacing", 2))
    if detector is not None:
        factor = attributes.number("EstimatedRadiographicMagnificationFactor")
        if factor is not None and factor >= 1:
            return tuple(mm / factor for mm in detector), "ImagerPixelSpacing / magnification"
        return detector, "ImagerPixelSpacing"
    scanned = positive(attributes.numbers("NominalScannedPixelSpacing", 2))
    return (scanned, "NominalScannedPixelSpacing") if scanned is not None else (None, NONE)


def spacing_findings(source: str) -> list[Finding]:
    """Return what must be said of a pixel size from `source`, as `pixel_spacing` names it."""
    note = _NOTES.get(source)
    return [Finding(*note)] if note else []


def positive(numbers: Vector | None) -> Vector | None:
    """Return the numbers if all are over 0."""
    return numbers if numbers is not None and min(numbers) > 0 else None
