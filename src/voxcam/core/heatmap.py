"""The evidence for one class: raw values on the network's own grid."""

from __future__ import annotations

from dataclasses import dataclass
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
        Raw values on the network's own grid, never min-max scaled: a `Volume` with unit "logit".
        Positive speaks for the class, negative against it. NaN where the network saw nothing.
    class_name, method, layer
        Whose evidence, by which key of ``voxcam.cam.METHODS``, at which module of the network.
    """

    evidence: Volume
    class_name: str
    method: str
    layer: str

    @property
    def values(self) -> NDArray[np.float32]:
        """The raw evidence, shape ``evidence.shape``."""
        return np.asarray(self.evidence.voxels, dtype=np.float32)

    @property
    def largest(self) -> float:
        """The highest evidence; NaN if the map is NaN throughout."""
        return float(np.nanmax(self.values)) if np.isfinite(self.values).any() else float("nan")

    @property
    def is_empty(self) -> bool:
        """Whether nothing speaks for the class: no value above 0."""
        return not self.largest > 0

    @property
    def peak_mm(self) -> NDArray[np.float64] | None:
        """World point of the highest evidence, the first of equals; None if nothing speaks for the class."""
        if self.is_empty:
            return None
        at = np.unravel_index(int(np.nanargmax(self.values)), self.values.shape)
        return self.evidence.geometry.to_world(at)

    def on(self, geometry: Geometry) -> Volume:
        """Return the evidence on another grid (the study's), linear between cell centres, NaN outside."""
        return self.evidence.on(geometry)

    @property
    def summary(self) -> str:
        """One phrase a reader can act on."""
        if self.is_empty:
            return "no positive evidence"
        return f"evidence up to {self.largest:.3g} logit units"
