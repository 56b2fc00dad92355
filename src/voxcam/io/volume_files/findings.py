"""What is said alike of files of every whole-volume format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.io.study import Finding

if TYPE_CHECKING:
    import numpy as np

NO_ORIENTATION = Finding(
    "no-orientation",
    "the file does not say how the image lies in the patient: left and right are not known",
)
NO_PIXEL_SIZE = Finding("no-pixel-size", "no pixel size: distances are in pixels")


def turned_to_mm(factor: float) -> list[Finding]:
    """Return what to say of lengths in a unit of `factor` mm."""
    if factor == 1:
        return []
    return [Finding("not-mm", f"the file counts in {1 / factor:g} a mm: turned into mm")]


def about_alpha(dtype: np.dtype[Any]) -> list[Finding]:
    """Return what to say of colours with a transparency."""
    if "A" not in (dtype.names or ()):
        return []
    return [Finding("no-alpha", "the transparency (alpha) of its colours is left out")]
