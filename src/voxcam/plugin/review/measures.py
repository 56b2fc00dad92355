"""Measuring on a slice: distances, angles, and what lies inside a region. In the scan's true geometry."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from voxcam.core.volume import grey
from voxcam.plugin.review.regions import Drawn
from voxcam.plugin.review.wording import value_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.plugin.review.reading import Reading
    from voxcam.plugin.review.regions import Kind, Measurement
_COLUMNS = (
    *("number", "kind", "slice", "size", "size unit", "angle (degrees)"),
    *("voxels", "mean", "SD", "minimum", "maximum", "unit"),
)


@dataclass(frozen=True)
class InRegion:
    """Values of the voxels whose centres lie in a region: how many, and their statistics (SD: of n)."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    def words(self, unit: str) -> tuple[str, str, str, str]:
        """Return mean, SD, lowest and highest as finely as they matter."""
        mean, sd, low, high = (
            value_words(value, unit, self.high - self.low)
            for value in (self.mean, self.sd, self.low, self.high)
        )
        return mean, sd, low, high


@dataclass(frozen=True)
class Measured:
    """The numbers of a measurement; what it does not have is None.

    Parameters
    ----------
    size
        A distance or an area, in `size_unit`: mm, mm², or pixels where the file states no size.
    angle_deg
        0 to 180.
    grey
        The voxels of a region, in `unit`.
    evidence
        Class, mean evidence over the voxels the network saw (NaN where it saw none), and its unit.
    where
        Plane and slice.
    """

    kind: Kind
    where: str
    size: float | None = None
    size_unit: str = ""
    angle_deg: float | None = None
    grey: InRegion | None = None
    unit: str = ""
    evidence: tuple[tuple[str, float, str], ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All numbers but the evidence, a line each."""
        if self.angle_deg is not None:
            return (f"{self.angle_deg:.1f}°",)
        size = f"{_said(self.size)} {self.size_unit}" if self.size is not None else ""
        if self.grey is None:
            return (size,)
        if not self.grey.n:
            return (size, "no voxel centre inside")
        unit = f" {self.unit}" if self.unit else ""
        mean, sd, low, high = self.grey.words(self.unit)
        return (f"mean {mean}{unit}, SD {sd}", f"{low} to {high}, n = {self.grey.n}", size)

    @property
    def caption(self) -> str:
        """What stands beside the drawing: short, for drawings lie close to each other."""
        if self.grey is None or not self.grey.n:
            return "\n".join(self.lines)
        mean, sd, _, _ = self.grey.words(self.unit)
        return f"{mean} ± {sd} {self.unit}".rstrip() + f"\n{self.lines[-1]}"

    @property
    def evidence_lines(self) -> tuple[str, ...]:
        """The mean evidence of each class in a region, a line each."""
        return tuple(
            f"{name} {value:.3g} {unit}" if np.isfinite(value) else f"{name} not seen"
            for name, value, unit in self.evidence
        )


def measured(what: Measurement, reading: Reading, moment: int = 0) -> Measured:
    """Return the numbers of a measurement on the study of a reading, at a place of its fourth axis.

    Raises
    ------
    ValueError
        If no study is open.
    """
    if reading.volume is None:
        raise ValueError("no study is open")
    shape = Drawn(what, reading.volume)
    where = _where(shape, moment)
    if what.kind == "distance":
        return Measured(what.kind, where, shape.length, shape.unit)
    if what.kind == "angle":
        return Measured(what.kind, where, angle_deg=shape.angle_deg)
    return Measured(
        what.kind,
        where,
        shape.area,
        f"{shape.unit}²",
        grey=_statistics(_measured_inside(shape, moment)),
        unit=reading.volume.unit,
        evidence=tuple(_evidence(shape, reading)),
    )


def as_table(found: Sequence[Measured]) -> str:
    """Return measurements as comma-separated values with a heading; nothing in it tells whose scan it is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys(name for one in found for name, _, _ in one.evidence))
    writer.writerow([*_COLUMNS, *(f"mean evidence {name}" for name in names)])
    for number, one in enumerate(found, 1):
        inside = one.grey or InRegion(0, *[float("nan")] * 4)
        evidence = {name: value for name, value, _ in one.evidence}
        counted = [inside.mean, inside.sd, inside.low, inside.high]
        numbers = [inside.n if one.grey else "", *map(_number, counted), one.unit if one.grey else ""]
        size = [_number(one.size), one.size_unit, _number(one.angle_deg)]
        seen = [_number(evidence.get(name)) for name in names]
        writer.writerow([number, one.kind, one.where, *size, *numbers, *seen])
    return text.getvalue()


class Measurements:
    """What was drawn on each study, kept for as long as the study is."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Volume, tuple[Measurement, ...]] = WeakKeyDictionary()

    def of(self, volume: Volume | None) -> tuple[Measurement, ...]:
        """Return what was drawn on a study, the first first."""
        return () if volume is None else self._of.get(volume, ())

    def add(self, volume: Volume, what: Measurement) -> None:
        """Take a measurement to a study's."""
        self._of[volume] = (*self.of(volume), what)

    def change(self, volume: Volume, number: int, what: Measurement) -> None:
        """Put a measurement in the place of the one of this number, from 0."""
        now = self.of(volume)
        self._of[volume] = (*now[:number], what, *now[number + 1 :])

    def remove(self, volume: Volume, numbers: Sequence[int]) -> None:
        """Drop the measurements of these numbers, from 0."""
        self._of[volume] = tuple(what for n, what in enumerate(self.of(volume)) if n not in numbers)


# --- steps


def _where(shape: Drawn, moment: int) -> str:
    return f"{shape.where}, moment {moment + 1}" if len(shape.volume.voxels.shape) == 4 else shape.where


def _measured_inside(shape: Drawn, moment: int) -> NDArray[np.float64]:
    volume = grey(shape.seen.moment(moment))
    values = np.asarray(volume.voxels[shape.key], dtype=np.float64)[shape.inside & shape.taken]
    return values[np.isfinite(values)]


def _inside(shape: Drawn, volume: Volume) -> NDArray[np.float64]:
    """Return the finite values inside the shape, of a volume on the display grid."""
    values = np.asarray(volume.voxels[shape.key], dtype=np.float64)[shape.inside]
    return values[np.isfinite(values)]


def _statistics(values: NDArray[np.float64]) -> InRegion:
    if not values.size:
        return InRegion(0, *[float("nan")] * 4)
    return InRegion(
        values.size, float(values.mean()), float(values.std()), float(values.min()), float(values.max())
    )


def _evidence(shape: Drawn, reading: Reading) -> list[tuple[str, float, str]]:
    found = []
    for name in reading.visible:
        heatmap = reading.heatmap(name)
        if heatmap is not None:
            values = _inside(shape, heatmap.on(shape.geometry))
            found.append((name, float(values.mean()) if values.size else float("nan"), heatmap.unit_words))
    return found


def _said(value: float, digits: int = 4) -> str:
    """Return a number with so many digits; whole ones stay whole, for 1.5e+04 mm² is hard to read."""
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    return f"{value:.{digits}g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.6g}"
