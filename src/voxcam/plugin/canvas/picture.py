"""All evidence that is shown as one picture: colours laid over each other, computed a slice at a time.

napari takes 2.7 ms a step for each visible layer, and draws each over the whole canvas. Four classes in a
layer each made a step through a CT 1.8 times as long; as one picture they cost less than a second image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.lazy import Lazy, as_key, spelled_out
from voxcam.core.resampling import Resampled
from voxcam.export.style import HeatmapStyle, colours_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.heatmap import Heatmap
    from voxcam.plugin.review.look import Drawn

    Shown = Sequence[tuple[Heatmap, HeatmapStyle]]

# Pixels along an axis of a smooth picture: evidence of some tens of units needs no more.
SMOOTH_PIXELS = 320
# Shares of the range at which contours run, besides the threshold.
CONTOURS = (0.5, 0.8)
_LEAST = 0.005
# A finer table than the style's own: what differs is rounding to bytes.
_ENTRIES = 1024
_RGBA = 4


class Picture(Lazy):
    """RGBA bytes of the shown evidence on a display grid, shape (display axes, 4); alpha is straight.

    Parameters
    ----------
    grid
        The study's grid with its axes in display order.
    through
        The display axis that is stepped through; a smooth picture has fewer pixels along the others.
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, grid: Geometry, through: int = 0, shown: Shown = (), drawn: Drawn = "smooth") -> None:
        self.through, self.drawn = through, drawn
        self.grid = _thinned(grid, through) if drawn == "smooth" else grid
        self.shape = (*self.grid.shape, _RGBA)
        self.show(shown)

    def show(self, shown: Shown) -> None:
        """Show other evidence, or the same in another style; from below to above."""
        self._layers = [(_seen(heatmap, self.grid, self.drawn), style) for heatmap, style in shown]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        *asked, channels = spelled_out(key, self.shape)
        part = tuple(as_key(one) for one in asked)
        inks = (self._ink(np.asarray(seen[part]), style) for seen, style in self._layers)
        shape = tuple(len(one) for one in asked if isinstance(one, range))
        return _over(inks, shape)[..., as_key(channels)]

    def _ink(self, evidence: NDArray[np.float32], style: HeatmapStyle) -> NDArray[np.float32]:
        """Return red, green, blue, premultiplied, and alpha, shape (4, axes of the part): 0..1."""
        if self.drawn == "contours" and (plane := np.squeeze(evidence)).ndim == 2:
            lines = _lines(plane, style).reshape(evidence.shape)  # napari asks for slices one thick
            entry = np.where(lines, _entry(evidence, style), _ENTRIES)
            return np.take(_table(replace(style, threshold=0.0), lined=True), entry, axis=1, mode="clip")
        return np.take(_table(style), _entry(evidence, style), axis=1, mode="clip")


def _over(inks: Iterator[NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return inks laid over each other (Porter and Duff 1984), as napari blends: straight RGBA bytes."""
    whole = next(inks, None)
    if whole is None:
        return np.zeros((*shape, _RGBA), np.uint8)
    for ink in inks:
        whole *= 1 - ink[3]
        whole += ink
    whole[:3] /= np.maximum(whole[3], 1e-6)
    whole *= 255
    whole += 0.5
    return np.ascontiguousarray(np.moveaxis(whole.astype(np.uint8), 0, -1))


def _thinned(grid: Geometry, through: int) -> Geometry:
    """Return the same box with fewer cells across the slices."""
    shape = [n if axis == through else -(-n // -(-n // SMOOTH_PIXELS)) for axis, n in enumerate(grid.shape)]
    return grid if tuple(shape) == grid.shape else grid.coarsened(shape)


def _seen(heatmap: Heatmap, grid: Geometry, drawn: Drawn) -> Resampled:
    evidence, within = heatmap.evidence, heatmap.seen
    voxels = np.asarray(evidence.voxels, np.float32)
    if drawn != "cells":
        return Resampled(voxels, evidence.geometry, grid, within=within)
    return Resampled(voxels, evidence.geometry, grid, within=within, nearest=True, fill=np.nan)


def _entry(evidence: NDArray[np.float32], style: HeatmapStyle) -> NDArray[np.intp]:
    """Return the place in the table of each value; the last one is of what was not seen."""
    share = (evidence - np.float32(style.low)) * np.float32((_ENTRIES - 1) / (style.high - style.low))
    share += np.float32(0.5)
    unseen = np.isnan(share)
    some = bool(unseen.any())
    if some:
        share[unseen] = 0
    entry = np.clip(share, 0, _ENTRIES - 1, out=share).astype(np.intp)
    if some:
        entry[unseen] = _ENTRIES
    return np.asarray(entry)


@lru_cache(maxsize=256)
def _table(style: HeatmapStyle, *, lined: bool = False) -> NDArray[np.float32]:
    """Return ink by value, shape (4, entries + 1); lines are opaque, low colours would be faint."""
    values = np.append(np.linspace(style.low, style.high, _ENTRIES), np.nan)
    rgba = colours_of(values, style)
    if lined:
        rgba[:-1, 3] = style.opacity
    rgba[:, :3] *= rgba[:, 3:]
    return np.ascontiguousarray(rgba.T, np.float32)


def _lines(evidence: NDArray[np.float32], style: HeatmapStyle) -> NDArray[np.bool_]:
    """Whether a pixel is the first inside a contour: higher than the level, and a neighbour is not.

    Where the picture ends, or what the network saw, the evidence does not: no line runs along it. Nor is
    there one at 0, where the evidence is noise.
    """
    unseen = np.isnan(evidence)
    size = np.abs(np.nan_to_num(evidence)) if style.low < 0 else np.nan_to_num(evidence)
    lines = np.zeros(evidence.shape, bool)
    for share in {style.threshold, *(share for share in CONTOURS if share > style.threshold)}:
        if share < _LEAST:
            continue
        inside = size > share * style.high
        higher = np.pad(inside | unseen, 1, mode="edge")
        within = higher[:-2, 1:-1] & higher[2:, 1:-1] & higher[1:-1, :-2] & higher[1:-1, 2:]
        lines |= inside & ~within
    return lines
