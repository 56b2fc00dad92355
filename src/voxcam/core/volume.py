"""Voxels with their place, unit and windows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.resampling import Resampled
from voxcam.core.windows import PRESETS, Window, window_of_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry, Shape


# Colour voxels are one element each, as nibabel's are, so that a shape means the same for every volume.
COLOUR = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@dataclass(frozen=True)
class Axis:
    """What the fourth axis of voxels counts.

    Parameters
    ----------
    name
        "time", "echo time", "b-value", "cardiac phase", "image type", ...
    unit
        Of `values`: "s", "ms", "s/mm²", or "".
    values
        One for each place along the axis, or () where the file states none.
    stated_by
        What told the volumes apart: ``EchoTime (0018,0081)``.
    """

    name: str
    unit: str = ""
    values: tuple[float | str, ...] = ()
    stated_by: str = ""


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels on a geometry. A radiograph is a volume one voxel deep.

    Parameters
    ----------
    voxels
        Shape ``geometry.shape``, or ``(*geometry.shape, time)``; an array, or array-like that computes
        slices as asked (`Resampled`). Modality values (HU, ...), never windowed; of a colour image, `COLOUR`.
    geometry
        Where they lie.
    modality
        DICOM's two letters (CT, MR, CR, ...), or "" if unknown.
    unit
        "HU", "logit", "label", or "" for arbitrary units.
    windows
        What the file proposes for viewing, first is default.
    source
        Where it came from, free of patient names: format, counts, findings.
    inverted
        Low values are to be shown bright (MONOCHROME1); the values themselves are untouched.
    fourth
        What the last axis counts, where voxels have four.
    empty
        Slices k at which nothing was measured, only put there so that the others keep their place.
    """

    voxels: Any
    geometry: Geometry
    modality: str = ""
    unit: str = ""
    windows: tuple[Window, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    inverted: bool = False
    fourth: Axis | None = None
    empty: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if tuple(self.voxels.shape[:3]) != self.geometry.shape or len(self.voxels.shape) not in (3, 4):
            raise ValueError(f"voxels {self.voxels.shape} do not fit the grid {self.geometry.shape}")

    @property
    def shape(self) -> Shape:
        """Voxels along i, j, k."""
        return self.geometry.shape

    @property
    def affine(self) -> NDArray[np.float64]:
        """Shape (4, 4): voxel index to world RAS+ mm."""
        return self.geometry.affine

    @property
    def is_colour(self) -> bool:
        """Whether voxels are red, green and blue (`COLOUR`) instead of one number."""
        return bool(self.voxels.dtype.names)

    @property
    def window(self) -> Window:
        """The window to show first: the file's, else the modality's preset, else percentiles."""
        if self.windows:
            return self.windows[0]
        if self.unit == "HU":
            return PRESETS["CT"][0]
        return window_of_values(self.voxels)

    def digest(self, salt: str) -> str:
        """Return a keyed digest of voxels and affine: tells one volume from another, and no more.

        Parameters
        ----------
        salt
            Hexadecimal, at most 64 bytes; with another salt the same volume has another digest.
        """
        digest = hashlib.blake2b(key=bytes.fromhex(salt), digest_size=16)
        digest.update(np.ascontiguousarray(self.voxels).tobytes())
        digest.update(self.affine.tobytes())
        return digest.hexdigest()

    def on(self, geometry: Geometry, within: Geometry | None = None) -> Volume:
        """Return this volume as seen on another grid, linear between voxel centres, NaN outside its box.

        With `within`, a grid of parallel axes, the outermost voxels are held up to that one's box instead.
        Labels (unit "label") take the nearest voxel, and 0 outside. Slices are computed as asked;
        ``numpy.asarray(volume.on(g).voxels)`` computes all. Of a volume in time, the first moment.
        """
        still = np.asarray(self.voxels)
        still = still[..., 0] if still.ndim == 4 else still
        voxels = Resampled(still, self.geometry, geometry, nearest=self.unit == "label", within=within)
        return replace(self, voxels=voxels, geometry=geometry)

    def reordered(self, codes: str) -> Volume:
        """Return the same voxels with axes transposed and flipped to grow nearest towards `codes`; a view."""
        axes, flips = self.geometry.towards(codes)
        voxels = np.asarray(self.voxels)
        voxels = voxels.transpose(*axes, *range(3, voxels.ndim))
        voxels = voxels[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
        return replace(self, voxels=voxels, geometry=self.geometry.reordered(axes, flips))
