"""Planes cut out of a volume as a radiologist expects to see them: right at the left, front and head up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from voxcam.core.volume import luminance
from voxcam.errors import ExportError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from voxcam.core.geometry import Frame, Geometry
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume

Plane = Literal["axial", "coronal", "sagittal"]

# The display frame: indices grow to the feet, the back and the left.
DISPLAY = "IPL"
_OPPOSITE = dict(zip("LRPAIS", "RLAPSI", strict=True))
# Display axis to step through, down, and across; and the world axis the first one is nearest to.
_AXES: dict[str, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
_WORLD: dict[str, tuple[str, int]] = {"axial": ("z", 2), "coronal": ("y", 1), "sagittal": ("x", 0)}
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

# Where a projection's columns and rows may grow to (PatientOrientation), in the letters of the pictures.
_STATED = {"A": "A", "P": "P", "R": "R", "L": "L", "H": "S", "F": "I"}

# Below this the nearest anatomical plane is the plane.
OBLIQUE_DEG = 1.0


class Letters(NamedTuple):
    """The anatomical direction at each edge of a slice."""

    top: str
    bottom: str
    left: str
    right: str


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane of a volume, upright.

    Parameters
    ----------
    pixels
        Shape (rows, columns); row 0 at the top, column 0 at the left.
    plane, index
        Which plane, and which one along the display axis (0 is the uppermost, foremost or rightmost).
    geometry
        Of the whole volume in the display frame: axes grow nearest to I, P, L.
    stated
        Letters of a projection, which its frame does not tell but its file did; `stated_letters`.
    """

    pixels: NDArray[Any]
    plane: Plane
    index: int
    geometry: Geometry
    stated: Letters | None = None

    @property
    def count(self) -> int:
        """How many slices the volume has in this plane."""
        return self.geometry.shape[_AXES[self.plane][0]]

    @property
    def frame(self) -> Frame:
        """Of the geometry: ``patient``, ``detector`` or ``unknown``."""
        return self.geometry.frame

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel, down and across."""
        _, down, across = _AXES[self.plane]
        return float(self.geometry.spacing_mm[down]), float(self.geometry.spacing_mm[across])

    @property
    def letters(self) -> Letters | None:
        """Directions nearest to the edges; of a projection as its file states them, None if it does not."""
        if self.frame != "patient":
            return self.stated if self.plane == "axial" else None
        _, down, across = _AXES[self.plane]
        bottom, right = DISPLAY[down], DISPLAY[across]
        return Letters(_OPPOSITE[bottom], bottom, _OPPOSITE[right], right)

    @property
    def position_mm(self) -> float:
        """World coordinate (RAS+) of the middle of the slice, along the axis the plane is across."""
        middle = (np.array(self.geometry.shape) - 1) / 2
        middle[_AXES[self.plane][0]] = self.index
        return float(self.geometry.to_world(middle)[_WORLD[self.plane][1]])

    @property
    def is_oblique(self) -> bool:
        """Whether the grid is turned, or its stack sheared, by more than a degree from the patient's axes."""
        return self.frame == "patient" and self.geometry.obliquity_deg > OBLIQUE_DEG

    @property
    def lean_deg(self) -> float:
        """How far the picture's rows and columns are from a right angle, as of a stack with gantry tilt.

        The picture shows them at a right angle: shapes are sheared by as much.
        """
        _, down, across = _AXES[self.plane]
        directions = self.geometry.directions
        return float(np.degrees(np.arcsin(np.clip(abs(directions[:, down] @ directions[:, across]), 0, 1))))

    @property
    def number(self) -> str:
        """``slice 12 of 26``."""
        return "single image" if self.count == 1 else f"slice {self.index + 1} of {self.count}"

    @property
    def words(self) -> str:
        """Where the slice is: ``axial, z = -123.4 mm, slice 12 of 26``."""
        if self.frame != "patient":
            return self.number
        # Of x and y the sign differs between RAS+ (ours) and DICOM, so it is named.
        axis, convention = _WORLD[self.plane][0], "" if self.plane == "axial" else " (RAS)"
        turned = (
            f"oblique {self.plane} ({self.geometry.obliquity_deg:.0f}°)" if self.is_oblique else self.plane
        )
        lean = f", stack leans by {self.lean_deg:.0f}°" if self.lean_deg > OBLIQUE_DEG else ""
        return f"{turned}, {axis} = {self.position_mm:.1f} mm{convention}, {self.number}{lean}"

    def to_pixel(self, world: ArrayLike) -> tuple[float, float, float]:
        """Return (row, column, slices away) of a world point (3,) in mm; whole numbers are pixel centres."""
        at = self.geometry.to_index(world)
        through, down, across = _AXES[self.plane]
        return float(at[down]), float(at[across]), float(at[through]) - self.index


def cut(volume: Volume, plane: Plane = "axial", index: int | None = None) -> Slice:
    """Return a plane of `volume` in radiological display, without resampling.

    Parameters
    ----------
    index
        Along the display axis: 0 is the uppermost (axial), foremost (coronal) or rightmost (sagittal)
        slice. None is the middle one. Of a volume in time, the first moment is taken.

    Raises
    ------
    ExportError
        If there is no such plane or slice.
    """
    axes, flips = volume.geometry.towards(DISPLAY)
    display = volume.geometry.reordered(axes, flips)
    through, down, across = _axes(plane)
    index = _checked(index, plane, display.shape[through])
    key: list[Any] = [slice(None)] * 3
    key[axes[through]] = display.shape[through] - 1 - index if flips[through] else index
    pixels = np.asarray(volume.voxels[tuple(key)])
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    # Evidence is drawn in colours: under it a colour image is grey, so that these are the only ones.
    pixels = luminance(pixels) if volume.is_colour else pixels
    pixels = pixels if axes[down] < axes[across] else pixels.T
    pixels = pixels[:: -1 if flips[down] else 1, :: -1 if flips[across] else 1]
    return Slice(pixels, plane, index, display, stated_letters(volume))


def cut_on(seen: Volume, volume: Volume, plane: Plane = "axial", index: int | None = None) -> Slice:
    """Return `seen` (evidence, or a mask) where `cut` of `volume` lies; only that slice is computed.

    Linear between voxel centres and NaN outside, or for labels the nearest voxel and 0; `Volume.on`.
    """
    axes, flips = volume.geometry.towards(DISPLAY)
    display = volume.geometry.reordered(axes, flips)
    through, _, _ = _axes(plane)
    index = _checked(index, plane, display.shape[through])
    key: list[Any] = [slice(None)] * 3
    key[through] = index
    # The remaining display axes are already in order: down, then across.
    pixels = np.asarray(seen.on(display).voxels[tuple(key)])
    return Slice(pixels, plane, index, display, stated_letters(volume))


def stated_letters(volume: Volume) -> Letters | None:
    """Return the letters at the edges of a projection as `cut` shows it, from PatientOrientation (0020,0020).

    ``source["patient_orientation"]`` holds where columns and rows grow to as stored. Reading lays a
    projection out so that they grow to the display's right and bottom, but turns columns that grow to
    the patient's right and rows that grow to the head: these read L and I here, whatever the file's flip.
    None in the patient's own frame, and where nothing, or no two of A, P, R, L, H, F, is stated.
    """
    stated = volume.source.get("patient_orientation")
    if volume.geometry.frame == "patient" or not isinstance(stated, list | tuple) or len(stated) != 2:
        return None
    right, bottom = (_STATED.get(str(letter), "") for letter in stated)
    if not right or not bottom:
        return None
    right, bottom = "L" if right == "R" else right, "I" if bottom == "S" else bottom
    return Letters(_OPPOSITE[bottom], bottom, _OPPOSITE[right], right)


def hottest_slice(heatmap: Heatmap, volume: Volume, plane: Plane = "axial") -> int:
    """Return the index of the slice through the highest evidence that lies inside `volume`.

    The middle slice if nothing there speaks for the class.
    """
    through, _, _ = _axes(plane)
    display = volume.geometry.reordered(*volume.geometry.towards(DISPLAY))
    peak = peak_inside(heatmap, volume)
    if peak is None:
        return display.shape[through] // 2
    at = int(np.rint(display.to_index(peak)[through]))
    return min(max(at, 0), display.shape[through] - 1)


def peak_inside(heatmap: Heatmap, volume: Volume) -> NDArray[np.float64] | None:
    """Return the world point of the highest evidence in the box of `volume`, or None without any.

    Cells of the network may lie in its padding, outside the study: they cannot be shown.
    """
    peak, geometry = heatmap.peak_mm, heatmap.evidence.geometry
    if peak is None or bool(volume.geometry.contains(peak)):
        return peak
    cells = geometry.to_world(
        np.stack(np.unravel_index(np.arange(heatmap.values.size), geometry.shape), axis=-1)
    )
    values = heatmap.values.ravel()
    values = np.where(volume.geometry.contains(cells) & np.isfinite(values), values, 0)
    best = int(values.argmax())
    return np.asarray(cells[best]) if values[best] > 0 else None


def natural_plane(volume: Volume) -> Plane:
    """Return the plane an image one voxel deep lies in; axial for a volume."""
    display = volume.geometry.reordered(*volume.geometry.towards(DISPLAY))
    flat = [plane for plane in PLANES if display.shape[_AXES[plane][0]] == 1]
    return flat[0] if flat else "axial"


def _axes(plane: str) -> tuple[int, int, int]:
    if plane not in _AXES:
        raise ExportError(f"no plane {plane!r}: there is {', '.join(PLANES)}")
    return _AXES[plane]


def _checked(index: int | None, plane: str, count: int) -> int:
    if index is None:
        return count // 2
    if not 0 <= index < count:
        raise ExportError(f"no {plane} slice with index {index}: the volume has 0 to {count - 1}")
    return int(index)
