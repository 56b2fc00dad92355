"""Voxels with their place, unit and windows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Mapped, in_c_order, part_of
from voxcam.core.regridding import regridded
from voxcam.core.resampling import Resampled
from voxcam.core.windows import Window, preset_for, presets, window_of_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from voxcam.core.geometry import Shape


# Colour voxels are one element each, as nibabel's are, so that a shape means the same for every volume.
COLOUR = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


# Name of a fourth axis along which lie several series of one study, on one grid: channels, not moments.
SEQUENCE = "sequence"


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
        slices as asked (`Resampled`, `Stacked`). Modality values (HU, ...), never windowed; of a colour
        image, `COLOUR`.
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
    def is_sequences(self) -> bool:
        """Whether the fourth axis holds several series of one study (`voxcam.core.sequences`)."""
        return self.fourth is not None and self.fourth.name == SEQUENCE

    @property
    def window(self) -> Window:
        """The window to show first: the file's, else the body part's of CT, else the first of `presets`.

        The body part is ``source["body_part"]``, as BodyPartExamined (0018,0015) has it.
        """
        if self.windows:
            return self.windows[0]
        if self.is_colour:
            return Window(127.5, 255.0, "full range")
        if self.unit == "HU":
            return preset_for(str(self.source.get("body_part", "")))
        return next(iter(presets(self.modality, self.unit, self.voxels)), None) or window_of_values(
            self.voxels
        )

    def digest(self, salt: str) -> str:
        """Return a keyed digest of voxels and affine: tells one volume from another, and no more.

        Parameters
        ----------
        salt
            Hexadecimal, at most 64 bytes; with another salt the same volume has another digest.
        """
        digest = hashlib.blake2b(key=bytes.fromhex(salt), digest_size=16)
        for block in in_c_order(self.voxels):
            digest.update(block.tobytes())
        digest.update(self.affine.tobytes())
        return digest.hexdigest()

    def moment(self, place: int) -> Volume:
        """Return the volume at one place of the fourth axis; a view. `source` says which, and its value.

        Raises
        ------
        ValueError
            If there is no such place; a volume without a fourth axis has place 0 only.
        """
        count = self.voxels.shape[3] if len(self.voxels.shape) == 4 else 1
        if not 0 <= place < count:
            raise ValueError(f"expected a place from 0 to {count - 1} along the fourth axis, found {place}")
        if len(self.voxels.shape) == 3:
            return self
        axis = self.fourth or Axis("")
        value = {"value": axis.values[place]} if place < len(axis.values) else {}
        moment = {"place": place, "of": count, "axis": axis.name, "unit": axis.unit, **value}
        source = {**self.source, "moment": moment}
        return replace(self, voxels=part_of(self.voxels, (..., place)), source=source, fourth=None)

    def on(self, geometry: Geometry, within: Geometry | None = None) -> Volume:
        """Return this volume as seen on another grid, linear between voxel centres, NaN outside its box.

        With `within`, a grid of parallel axes, the outermost voxels are held up to that one's box instead.
        Labels (unit "label") take the nearest voxel, and 0 outside; colour is black outside. Slices are
        computed as asked; ``numpy.asarray(volume.on(g).voxels)`` computes all. Where slices are `empty`
        there is nothing, as outside. Of a volume in time, the first moment.
        """
        still = self.moment(0)
        # What is computed already asks anew for each slice of the new grid: it is computed once instead.
        voxels = np.asarray(still.voxels) if isinstance(still.voxels, Resampled) else still.voxels
        seen = Resampled(
            voxels, self.geometry, geometry, nearest=self.unit == "label", within=within, empty=self.empty
        )
        return replace(still, voxels=seen, geometry=geometry, empty=())

    def resampled(
        self, to: Geometry | float | Sequence[float], *, whole: bool = False, fill: float | None = None
    ) -> Volume:
        """Return this volume computed on another grid, as `on` shows it, moment by moment.

        Parameters
        ----------
        to
            A grid; or the spacing in mm of one over the same box, for all axes or each.
        whole
            Keep the voxels' integer type, values rounded; else float32. Labels and colour keep theirs anyway.
        fill
            What lies outside: None is NaN, 0 of labels, black of colour.

        Raises
        ------
        ValueError
            If `whole` is asked of voxels that are no whole numbers, or something lies outside and `fill`
            is no value of their type.
        """
        grid = to if isinstance(to, Geometry) else self.geometry.spaced(to)
        voxels = regridded(self, grid, whole=whole, fill=fill)
        return replace(self, voxels=voxels, geometry=grid, empty=())

    def straightened(self, *, whole: bool = False, fill: float | None = None) -> Volume:
        """Return this volume with axes at right angles: see `Geometry.straightened` and `resampled`.

        A volume that is straight already is returned as it is.
        """
        straight = self.geometry.straightened()
        return self if self.geometry.same_grid(straight) else self.resampled(straight, whole=whole, fill=fill)

    def reordered(self, codes: str) -> Volume:
        """Return the same voxels with axes transposed and flipped to grow nearest towards `codes`; a view.

        `empty` is kept while slices lie along the third axis; there is no word for it along another.
        """
        axes, flips = self.geometry.towards(codes)
        flipped: list[Any] = [slice(None)] * len(self.voxels.shape)
        for new, old in enumerate(axes):
            flipped[old] = slice(None, None, -1 if flips[new] else 1)
        voxels = part_of(self.voxels, tuple(flipped), (*axes, *range(3, len(flipped))))
        last = self.shape[2] - 1
        empty = sorted(last - k if flips[2] else k for k in self.empty) if axes[2] == 2 else ()
        geometry = self.geometry.reordered(axes, flips)
        return replace(self, voxels=voxels, geometry=geometry, empty=tuple(empty))

    def cropped(self, start: Sequence[int], stop: Sequence[int]) -> Volume:
        """Return the voxels from `start` to before `stop`, along i, j, k, which stay in place; a view.

        Raises
        ------
        ValueError
            If that is no box of at least one voxel within the volume.
        """
        geometry = self.geometry.cropped(start, stop)
        voxels = part_of(self.voxels, tuple(slice(a, b) for a, b in zip(start, stop, strict=True)))
        empty = tuple(k - start[2] for k in self.empty if start[2] <= k < stop[2])
        return replace(self, voxels=voxels, geometry=geometry, empty=empty)

    def cropped_to(self, low_mm: ArrayLike, high_mm: ArrayLike) -> Volume:
        """Return the smallest box of voxels that holds the world box `low_mm` to `high_mm` (RAS+); a view.

        Raises
        ------
        ValueError
            If the box misses the volume.
        """
        ends = np.array([low_mm, high_mm], dtype=np.float64)
        corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1).T
        return self.cropped(*self.geometry.box_around(corners))

    def cropped_around(self, mask: Volume, margin_mm: float = 0.0) -> Volume:
        """Return the smallest box of voxels that holds what `mask`, on any grid, marks and a margin; a view.

        Raises
        ------
        ValueError
            If the mask marks nothing, or nothing that lies in the volume.
        """
        values = np.asarray(mask.voxels)
        marked = np.argwhere((values != 0) & (values == values))[:, :3]
        if not len(marked):
            raise ValueError("the mask marks nothing: there is nothing to crop round")
        ends = np.stack([marked.min(axis=0) - 0.5, marked.max(axis=0) + 0.5])
        corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1).T
        return self.cropped(*self.geometry.box_around(mask.geometry.to_world(corners), margin_mm))


def grey(volume: Volume, *, whole: bool = False) -> Volume:
    """Return the luminance 0..255 of a colour volume, float32, or uint8 if `whole`; a grey one as it is.

    ITU-R BT.601, as the Y of DICOM's YBR_FULL (PS3.3 C.7.6.3.1.2).
    """
    if not volume.is_colour:
        return volume
    work = partial(luminance, whole=whole)
    array = isinstance(volume.voxels, np.ndarray)
    voxels = work(volume.voxels) if array else Mapped(volume.voxels, work, np.uint8 if whole else np.float32)
    return replace(volume, voxels=voxels)


def luminance(colour: NDArray[Any], *, whole: bool = False) -> NDArray[Any]:
    """Return the luminance of `COLOUR` voxels, as `grey` of a volume."""
    red, green, blue = (colour[name].astype(np.float32) for name in ("R", "G", "B"))
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.asarray(np.rint(luminance).astype(np.uint8) if whole else luminance)
