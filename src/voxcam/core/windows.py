"""Grey-scale windows: from modality values to what the eye is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True)
class Window:
    """A centre and width in the volume's unit, with the function that joins them.

    DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. `width` is over 0.
    """

    centre: float
    width: float
    name: str = ""
    function: WindowFunction = "LINEAR_EXACT"

    def __post_init__(self) -> None:
        if not self.width > 0 or not math.isfinite(self.width + self.centre):
            raise ValueError(
                f"a window has a finite centre and a width over 0, found W {self.width} / L {self.centre}"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """Values shown black and white; of a sigmoid, where its tangent reaches them."""
        if self.function == "LINEAR":
            # C.11.2.1.2.1: integers, so the ramp is one step shorter and half a step lower.
            low = self.centre - self.width / 2
            return low, low + max(self.width - 1, 1e-6)
        return self.centre - self.width / 2, self.centre + self.width / 2

    def apply(self, values: ArrayLike) -> NDArray[np.float32]:
        """Return brightness 0..1 of `values`, same shape."""
        x = np.asarray(values, dtype=np.float32)
        if self.function == "SIGMOID":
            # 1 / (1 + exp(-4 t)), written so that it cannot overflow
            bright = 0.5 + 0.5 * np.tanh(2 * (x - self.centre) / self.width)
        else:
            low, high = self.ends
            bright = np.clip((x - low) / (high - low), 0, 1)
        return np.asarray(bright, dtype=np.float32)

    def __str__(self) -> str:
        label = f"{self.name} " if self.name else ""
        return f"{label}W {self.width:g} / L {self.centre:g}"


_LOOKED_AT = 1_000_000  # values, at most, to find a window from

# By modality; the first is the default where a file states none.
PRESETS: dict[str, tuple[Window, ...]] = {
    "CT": (
        Window(40, 400, "abdomen"),
        Window(-600, 1500, "lung"),
        Window(50, 350, "mediastinum"),
        Window(480, 2500, "bone"),
        Window(40, 80, "brain"),
        Window(90, 150, "liver"),
        Window(40, 40, "stroke"),
        Window(300, 600, "angio"),
    ),
}


def window_of_values(values: ArrayLike) -> Window:
    """Return the window from the 1st to the 99th percentile of the finite values that are not the lowest.

    For images that state no window; the lowest value is taken for air or padding. At most
    about a million values are looked at, evenly spread.
    """
    seen = np.asarray(values).ravel(order="K")
    if seen.size > _LOOKED_AT:
        # A whole-numbered stride can divide the image's width and see one column, or one slice, only.
        seen = seen[np.linspace(0, seen.size - 1, _LOOKED_AT).astype(np.intp)]
    seen = seen[np.isfinite(seen)].astype(np.float64)
    inside = seen[seen > seen.min()] if seen.size else seen
    if inside.size == 0:
        return Window(float(seen.min()) if seen.size else 0.0, 1.0, "constant")
    low, high = np.percentile(inside, (1, 99))
    return Window(float(low + high) / 2, max(float(high - low), 1e-6), "1-99 %")
