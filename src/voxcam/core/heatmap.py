"""The evidence for one class: raw values on the network's own grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume


@dataclass(frozen=True, eq=False)
class Heatmap:
    """How much each place spoke for one class, by one method, at one layer.

    Parameters
    ----------
    evidence
        Raw values on the network's own grid, never min-max scaled: a `Volume` with unit "logit", or ""
        where the method has a scale of its own.
        Positive speaks for the class, negative against it. NaN where the network saw nothing.
    class_name, method, layer
        Whose evidence, by which key of ``voxcam.cam.METHODS``, at which module of the network.
    seen
        The grid of voxels that the network saw, if not the box of `evidence`: measured units may look
        past its border, or stop short of it.
    spread
        Of several classifiers or views joined: the standard deviation between them, shape and unit of the
        evidence, NaN where less than two saw anything; None of one alone.
    """

    evidence: Volume
    class_name: str
    method: str
    layer: str
    seen: Geometry | None = None
    spread: NDArray[np.float32] | None = None

    @property
    def values(self) -> NDArray[np.float32]:
        """The raw evidence, shape ``evidence.shape``."""
        return np.asarray(self.evidence.voxels, dtype=np.float32)

    @cached_property
    def largest(self) -> float:
        """The highest evidence; NaN if the map is NaN throughout."""
        return float(np.nanmax(self.values)) if np.isfinite(self.values).any() else float("nan")

    @property
    def is_empty(self) -> bool:
        """Whether nothing speaks for the class: no value above 0."""
        return not self.largest > 0

    @property
    def flag(self) -> str | None:
        """What is odd about the map: "non-finite", "no positive evidence", "constant", or None."""
        values = self.values[np.isfinite(self.values)]
        if not values.size:
            return "non-finite"
        if values.max() <= 0:
            return "no positive evidence"
        return "constant" if values.size > 1 and values.min() == values.max() else None

    @property
    def peak_mm(self) -> NDArray[np.float64] | None:
        """World point of the highest evidence, the first of equals; None if nothing speaks for the class."""
        if self.is_empty:
            return None
        at = np.unravel_index(int(np.nanargmax(self.values)), self.values.shape)
        return self.evidence.geometry.to_world(at)

    def on(self, geometry: Geometry) -> Volume:
        """Return the evidence on another grid (the study's), linear between cells, NaN where unseen."""
        return self.evidence.on(geometry, self.seen)

    @property
    def uncertainty(self) -> Heatmap | None:
        """The spread as a heatmap of its own, to be seen on any grid; None if there is none."""
        if self.spread is None:
            return None
        return replace(self, evidence=replace(self.evidence, voxels=self.spread), spread=None)

    @property
    def summary(self) -> str:
        """One phrase a reader can act on."""
        if self.flag == "non-finite":
            return "no map: the method gave numbers that are not finite"
        if self.is_empty:
            return "no positive evidence"
        alike = ", the same at every place" if self.flag == "constant" else ""
        return f"evidence up to {self.largest:.3g} {self.unit_words}{alike}"

    @property
    def unit_words(self) -> str:
        """The unit of the values, in words."""
        return "logit units" if self.evidence.unit == "logit" else self.evidence.unit or "arbitrary units"
