"""From the patient to napari's screen and back: the one file that knows napari's axes and display frame.

napari shows the last two axes of an array, downwards and to the right, and only layers whose axes
are parallel to each other are sliced rightly: an affine that turns or shears is ignored or wrong. So
every volume is shown on its own voxel grid, its axes transposed and flipped to grow nearest to
I, P, L, with a positive scale and a translation.

Display coordinates are (-S, P, L) mm, which is RAS+ world reversed and negated. An axial slice then
has the front at the top and the patient's right at the left, as radiologists read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.export.planes import DISPLAY, Letters, stated_letters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume

# A corner that lies nearer than this to where it is shown needs no word.
NEGLIGIBLE_VOXELS = 0.5
# Cosine between two grid axes above which a grid is sheared, not only turned.
SHEARED_COSINE = 1e-3

_OPPOSITE = dict(zip("IPLSAR", "SARIPL", strict=True))
_ELSEWHERE = ("slice", "down", "right")


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a grid is shown.

    Parameters
    ----------
    geometry
        The grid with its axes in display order (nearest to I, P, L) and its true affine.
    stated
        Letters at the edges of a projection, if its file states them.
    """

    geometry: Geometry
    stated: Letters | None = None

    @property
    def scale(self) -> tuple[float, float, float]:
        """Distance between voxel centres along the display axes, mm."""
        a, b, c = self.geometry.spacing_mm
        return float(a), float(b), float(c)

    @property
    def translate(self) -> tuple[float, float, float]:
        """Display coordinates of the first voxel's centre; the grid's middle is where it is in truth."""
        middle = _turned(self.geometry.centre_mm)
        a, b, c = middle - np.array(self.scale) * (np.array(self.geometry.shape) - 1) / 2
        return float(a), float(b), float(c)

    @property
    def axis_labels(self) -> tuple[str, str, str]:
        """Where each display axis grows to."""
        return (DISPLAY[0], DISPLAY[1], DISPLAY[2]) if self.geometry.frame == "patient" else _ELSEWHERE

    @property
    def moved_voxels(self) -> float:
        """How far the worst corner is shown from where it lies, in voxels along an axis."""
        corners = np.array(list(product(*[(0, n - 1) for n in self.geometry.shape])))
        shown = corners * self.scale + self.translate
        return float((np.abs(shown - _turned(self.geometry.to_world(corners))) / self.scale).max())

    @property
    def is_turned(self) -> bool:
        """Whether the scan's own planes are shown because no anatomical plane is near enough."""
        return self.geometry.frame == "patient" and self.moved_voxels >= NEGLIGIBLE_VOXELS

    @property
    def badge(self) -> str:
        """What the screen must say of the frame; "" if all is as it seems."""
        if self.geometry.frame == "unknown":
            if self.stated is not None:
                return "projection: no pixel size, distances are in pixels"
            return "orientation unknown: the file states none"
        if self.geometry.frame == "detector":
            return "projection: millimetres on the detector"
        if not self.is_turned:
            return ""
        axes = self.geometry.directions
        sheared = np.abs(axes.T @ axes - np.eye(3)).max() > SHEARED_COSINE
        staggered = "; slices are staggered" if sheared else ""
        return f"oblique {self.geometry.obliquity_deg:.1f}°: shown on the scan's own planes{staggered}"

    def to_display(self, world: ArrayLike) -> NDArray[np.float64]:
        """Return display coordinates (..., 3) of world points (..., 3): where the voxel there is drawn."""
        return np.asarray(self.geometry.to_index(world) * self.scale + self.translate)

    def to_world(self, display: ArrayLike) -> NDArray[np.float64]:
        """Return world points (..., 3) RAS+ mm of display coordinates (..., 3)."""
        index = (np.asarray(display, dtype=np.float64) - self.translate) / self.scale
        return self.geometry.to_world(index)


def place(geometry: Geometry, stated: Letters | None = None) -> Placement:
    """Return where a volume of `geometry` is shown; `stated` are a projection's letters."""
    return Placement(geometry.reordered(*geometry.towards(DISPLAY)), stated)


def place_volume(volume: Volume) -> Placement:
    """Return where `volume` is shown, with the letters its file states if it is a projection."""
    return place(volume.geometry, stated_letters(volume))


def in_display_order(volume: Volume) -> Any:
    """Return the voxels as napari wants them: axes nearest to I, P, L, and time, if any, first; a view."""
    voxels = volume.reordered(DISPLAY).voxels
    return np.moveaxis(voxels, -1, 0) if voxels.ndim == 4 else voxels


def letters(
    placement: Placement, order: Sequence[int], orientation: tuple[str, str] = ("down", "right")
) -> Letters | None:
    """Return the anatomical letter at each edge of the screen; None if neither frame nor file tells.

    Parameters
    ----------
    order
        Display axes (0, 1, 2) as napari orders them: the last two are shown.
    orientation
        Where they grow to on the screen: ("down" or "up", "right" or "left").
    """
    grows = DISPLAY
    if placement.geometry.frame != "patient":
        if placement.stated is None or 0 in order[-2:]:
            return None  # across a projection's only plane there is nothing to name
        grows = " " + placement.stated.bottom + placement.stated.right
    down, right = grows[order[-2]], grows[order[-1]]
    down = down if orientation[0] == "down" else _OPPOSITE[down]
    right = right if orientation[1] == "right" else _OPPOSITE[right]
    return Letters(_OPPOSITE[down], down, _OPPOSITE[right], right)


def _turned(world: NDArray[np.float64]) -> NDArray[np.float64]:
    """RAS+ to (-S, P, L), and back: reversed and negated."""
    return np.asarray(-world[..., ::-1])
