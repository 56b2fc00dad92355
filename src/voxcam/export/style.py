"""How evidence becomes colour: one table of RGBA for figures and for the viewer's layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from voxcam.core.explanation import Explanation

ENTRIES = 256
HIGHEST_THRESHOLD = 0.99  # leaves some entries of the table above it

# Perceptual maps, cut where they are too dark to be seen over grey. Jet is here for those who ask
# for it by name: its bands are not in the evidence (Borland and Taylor 2007).
_MAPS = {
    "inferno": (0.30, 0.97),
    "magma": (0.30, 0.97),
    "plasma": (0.10, 0.97),
    "viridis": (0.15, 1.00),
    "cividis": (0.20, 1.00),
    "jet": (0.00, 1.00),
}

# Okabe and Ito 2008: told apart by readers with any colour vision.
_HUES = {
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "green": "#009e73",
    "vermillion": "#d55e00",
    "purple": "#cc79a7",
    "yellow": "#f0e442",
    "blue": "#0072b2",
}

# What somebody drew: told apart from every colour of evidence.
MASK_COLOUR = "#5ce1ff"
SIGNED = "signed"
COLOURS = (*_MAPS, *_HUES, SIGNED)
CLASS_COLOURS = tuple(_HUES)


@dataclass(frozen=True)
class HeatmapStyle:
    """What a value of evidence looks like.

    Parameters
    ----------
    low, high
        The ends of the colours, in logit units; the same for all maps shown side by side. `low` is 0 or
        more; with the colours "signed" it is ``-high``, and 0 lies in the middle.
    threshold
        Share of the range, 0 to 0.99, up to which nothing is shown. Of signed colours: of each half.
    opacity
        0..1, multiplies every alpha.
    colours
        A name in `COLOURS`.

    Raises
    ------
    ValueError
        If the range is empty or the numbers are out of bounds.
    """

    low: float
    high: float
    threshold: float = 0.0
    opacity: float = 0.8
    colours: str = "inferno"

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(f"a colour range grows from low to high, found {self.low} to {self.high}")
        if self.colours == SIGNED and not np.isclose(self.low, -self.high):
            raise ValueError(f"signed colours need low = -high, found {self.low} to {self.high}")
        if self.colours != SIGNED and self.low < 0:
            raise ValueError(f"a range that begins below 0 ({self.low:g}) needs the colours {SIGNED!r}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity lies in 0..1, found {self.opacity}")
        colour_table(self.colours, self.threshold)

    @property
    def table(self) -> NDArray[np.float64]:
        """The colours from `low` to `high`, shape (256, 4), as `colour_table` gives them."""
        return colour_table(self.colours, self.threshold)


def shared_style(
    explanation: Explanation,
    method: str | None = None,
    layer: str | None = None,
    *,
    colours: str = "inferno",
    threshold: float = 0.0,
) -> HeatmapStyle:
    """Return the style that all classes of `explanation` share: 0 to the highest evidence of any class."""
    _, high = explanation.value_range(method, layer)
    return HeatmapStyle(-high if colours == SIGNED else 0.0, high, threshold, colours=colours)


def colour_table(name: str, threshold: float = 0.0) -> NDArray[np.float64]:
    """Return the RGBA of evenly spaced values from the low to the high end of the range.

    Colour depends on the value alone. Alpha is 0 up to the threshold, and rises from there to 1. Between
    entries both are linear, as in a napari ``Colormap(table)``. Alpha is straight, not premultiplied.

    Parameters
    ----------
    name
        One of `COLOURS`.
    threshold
        Share of the range (of signed colours: of each half), 0 to 0.99.

    Returns
    -------
    ndarray
        Shape (256, 4), 0..1, read-only.
    """
    if name not in COLOURS:
        raise ValueError(f"no colours {name!r}: there is {', '.join(COLOURS)}")
    if not 0 <= threshold <= HIGHEST_THRESHOLD:
        raise ValueError(f"a threshold lies in 0..{HIGHEST_THRESHOLD}, found {threshold}")
    return _table(name, float(threshold))


def colours_of(evidence: ArrayLike, style: HeatmapStyle) -> NDArray[np.float64]:
    """Return the RGBA (..., 4) of `evidence` (...), opacity included; NaN is fully transparent."""
    values = np.asarray(evidence, dtype=np.float64)
    seen = np.isfinite(values)
    share = (np.where(seen, values, style.low) - style.low) / (style.high - style.low)
    at = np.linspace(0, 1, ENTRIES)
    rgba = np.stack([np.interp(share, at, channel) for channel in style.table.T], axis=-1)
    rgba[..., 3] *= np.where(seen, style.opacity, 0.0)
    return np.asarray(rgba)


def paint(grey: ArrayLike, evidence: ArrayLike, style: HeatmapStyle) -> NDArray[np.float64]:
    """Return the RGB of `evidence` laid over `grey`: source over, as napari blends a translucent layer.

    Parameters
    ----------
    grey
        Brightness 0..1, shape (H, W); or the (H, W, 3) of an earlier call, to lay a second class on top.
    evidence
        Shape (H, W), logit units.

    Returns
    -------
    ndarray
        Shape (H, W, 3), 0..1.
    """
    base = np.nan_to_num(np.asarray(grey, dtype=np.float64))
    base = np.repeat(base[..., None], 3, axis=-1) if base.ndim == 2 else base
    rgba = colours_of(evidence, style)
    alpha = rgba[..., 3:]
    return np.asarray(rgba[..., :3] * alpha + base * (1 - alpha))


@lru_cache(maxsize=256)
def _table(name: str, threshold: float) -> NDArray[np.float64]:
    if name == SIGNED:
        table = _signed_table(threshold)
    else:
        at = np.linspace(0, 1, ENTRIES)
        table = np.column_stack([_rgb(name, at), _rise(at, threshold)])
    table.flags.writeable = False
    return table


def _signed_table(threshold: float) -> NDArray[np.float64]:
    """Against the class in sky blue, for it in vermillion, nothing in between."""
    signed = (2 * np.arange(ENTRIES) - (ENTRIES - 1)) / (ENTRIES - 1)
    size = np.abs(signed)
    rgb = np.where(signed[:, None] < 0, _rgb("sky", size), _rgb("vermillion", size))
    return np.column_stack([rgb, _rise(size, threshold)])


def _rgb(name: str, at: NDArray[np.float64]) -> NDArray[np.float64]:
    import matplotlib  # a tenth of a second, which a window that opens need not wait
    from matplotlib.colors import to_rgb

    if name in _MAPS:
        first, last = _MAPS[name]
        return np.asarray(matplotlib.colormaps[name](first + (last - first) * at)[:, :3], dtype=np.float64)
    hue = np.array(to_rgb(_HUES[name]))
    stops = np.array([hue * 0.55, hue, hue + (1 - hue) * 0.65])
    return np.column_stack([np.interp(at, (0.0, 0.6, 1.0), channel) for channel in stops.T])


def _rise(at: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Alpha: 0 up to the threshold, then even to opaque at four fifths of the rest.

    Steeper at the low end would lay a haze over the whole image. The ramp starts at an entry at or above
    the threshold: linear interpolation towards the next entry would otherwise colour values below it.
    """
    start = float(at[at >= threshold].min())
    return np.asarray(np.clip((at - start) / (0.8 * (1 - start)), 0, 1))
