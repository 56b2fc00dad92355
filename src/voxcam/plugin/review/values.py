"""What every layer holds at a point: grey value, evidence of the shown classes, finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.core.resampling import Resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Frame
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.plugin.review.reading import Point, Reading

    Index = tuple[int, int, int]


@dataclass(frozen=True)
class Evidence:
    """The evidence for a class at a place; NaN where the network saw nothing."""

    class_name: str
    value: float
    unit: str

    @property
    def number(self) -> str:
        """The value alone: ``2.31``, or that it was not seen."""
        return f"{self.value:.3g}" if np.isfinite(self.value) else "not seen"

    @property
    def value_words(self) -> str:
        """``2.31 logit units``, or that it was not seen."""
        return f"{self.number} {self.unit}" if np.isfinite(self.value) else self.number

    @property
    def words(self) -> str:
        """``nodule 2.31 logit units``, or that it was not seen."""
        return f"{self.class_name} {self.value_words}"


@dataclass(frozen=True)
class Values:
    """What a study and all that is shown over it hold at one point.

    Parameters
    ----------
    point_mm
        RAS+ mm; of a projection, mm on the detector.
    frame
        What the millimetres are of.
    index
        The voxel (i, j, k) as stored, from 0; None outside the study.
    value
        The voxel's value, or red, green and blue; None outside, and where nothing was measured.
    unit
        Of `value`.
    evidence
        Of each class on the screen, the most probable first.
    finding
        The label of the drawn finding there, 0 beside it; None without one.
    flat
        Whether it is a picture, which has pixels and no slices.
    """

    point_mm: Point
    frame: Frame
    index: Index | None
    value: float | tuple[int, int, int] | None
    unit: str = ""
    evidence: tuple[Evidence, ...] = ()
    finding: int | None = None
    flat: bool = False

    @property
    def where_words(self) -> str:
        """``L 51.6  P 32.8  I 240.0 mm``, each by the side it lies on; of a projection, on the detector."""
        x, y, z = self.point_mm
        if self.frame == "patient":
            return "  ".join(_side(at, sides) for at, sides in ((x, "RL"), (y, "AP"), (z, "SI"))) + " mm"
        if self.frame == "detector":
            return f"x {x:.1f}  y {y:.1f} mm on the detector"
        return "no size stated"

    @property
    def voxel_words(self) -> str:
        """``voxel 212, 180, 12``, of a picture ``pixel 212, 180``; or that the point is outside."""
        if self.index is None:
            return "outside the scan"
        i, j, k = self.index
        return f"pixel {i}, {j}" if self.flat else f"voxel {i}, {j}, {k}"

    @property
    def value_words(self) -> str:
        """``-872 HU``; "" outside."""
        if self.index is None:
            return ""
        if self.value is None:
            return "not measured"
        if isinstance(self.value, tuple):
            return "RGB {}, {}, {}".format(*self.value)
        number = f"{self.value:.0f}" if abs(self.value) >= 1e5 else f"{self.value:.5g}"
        return f"{number} {self.unit}".rstrip()

    @property
    def finding_words(self) -> str:
        """Whether the point is in the drawn finding; "" beside it, or without one."""
        if not self.finding:
            return ""
        return "in the finding" if self.finding == 1 else f"in finding {self.finding}"


def values_at(reading: Reading, point_mm: Point, moment: int = 0) -> Values:
    """Return what a reading's study and its shown evidence hold at a world point (RAS+ mm).

    Of voxels and labels the nearest, of evidence as it is on the screen: linear between the network's
    units, or the unit itself where cells are drawn.

    Raises
    ------
    ValueError
        If no study is open.
    """
    volume = reading.volume
    if volume is None:
        raise ValueError("no study is open")
    index = nearest_voxel(volume.geometry, point_mm)
    nearest = reading.look.drawn == "cells"
    maps = [(name, reading.heatmap(name)) for name in reading.visible] if index is not None else []
    return Values(
        point_mm,
        volume.geometry.frame,
        index,
        None if index is None else _voxel(volume, index, moment),
        "" if volume.unit == "label" else volume.unit,
        tuple(
            Evidence(name, evidence_at(heatmap, point_mm, nearest=nearest), heatmap.unit_words)
            for name, heatmap in maps
            if heatmap is not None
        ),
        _finding(reading.mask, point_mm),
        volume.geometry.frame != "patient" and volume.shape[2] == 1,
    )


def nearest_voxel(geometry: Geometry, point_mm: Point) -> Index | None:
    """Return the voxel whose box holds a world point; None outside the grid. Halves go up."""
    if not bool(geometry.contains(point_mm)):
        return None
    at = np.floor(geometry.to_index(point_mm) + 0.5).astype(int)
    i, j, k = np.clip(at, 0, np.array(geometry.shape) - 1)
    return int(i), int(j), int(k)


def evidence_at(heatmap: Heatmap, point_mm: Point, *, nearest: bool = False) -> float:
    """Return the evidence at a world point, linear between the network's units; NaN where it saw nothing."""
    evidence = heatmap.evidence
    affine = evidence.geometry.affine.copy()
    affine[:3, 3] = point_mm
    here = Geometry((1, 1, 1), affine, evidence.geometry.frame)
    voxels: NDArray[Any] = np.asarray(evidence.voxels, dtype=np.float32)
    fill = np.nan
    seen = Resampled(voxels, evidence.geometry, here, within=heatmap.seen, nearest=nearest, fill=fill)
    return float(seen[0, 0, 0])


def _side(at_mm: float, sides: str) -> str:
    """Return how far to which side of the origin, the first of `sides` towards plus."""
    rounded = round(at_mm, 1)
    return f"{sides[int(rounded < 0)]} {abs(rounded):.1f}"


def _voxel(volume: Volume, index: Index, moment: int) -> float | tuple[int, int, int] | None:
    if index[2] in volume.empty:
        return None
    at = (*index, moment) if len(volume.voxels.shape) == 4 else index
    value = volume.voxels[at]
    if volume.is_colour:
        red, green, blue = (int(channel) for channel in value.item())
        return red, green, blue
    number = float(value)
    return number if np.isfinite(number) else None


def _finding(mask: Volume | None, point_mm: Point) -> int | None:
    if mask is None:
        return None
    index = nearest_voxel(mask.geometry, point_mm)
    value = np.nan_to_num(float(mask.moment(0).voxels[index])) if index is not None else 0.0
    return int(np.ceil(value))
