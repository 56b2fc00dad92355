"""What makes a figure look as the screen does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.core.windows import Window
from voxcam.export.planes import PLANES

if TYPE_CHECKING:
    from voxcam.export.view import FigureOptions
    from voxcam.plugin.canvas.layers import ReviewLayers
    from voxcam.plugin.review.reading import Reading

_SAME = 1e-3  # of two contrast limits


def as_on_screen(layers: ReviewLayers, reading: Reading, name: str) -> FigureOptions:
    """Return the options of a figure of class `name`: plane, slice, window, style and mask as shown."""
    return {
        "method": reading.look.method,
        "layer": reading.look.layer,
        "plane": PLANES[layers.order()[0]],
        "index": _slice(layers),
        "style": layers.styles().get(name, reading.style(name)),
        "window": _window(layers, reading),
        "mask": reading.mask,
    }


def _slice(layers: ReviewLayers) -> int | None:
    at, through = layers.placement, layers.order()[0]
    if at is None:
        return None
    step = (layers.display_point()[through] - at.translate[through]) / at.scale[through]
    return min(max(round(step), 0), at.geometry.shape[through] - 1)


def _window(layers: ReviewLayers, reading: Reading) -> Window | None:
    """Return the window, or the one the contrast limits were drawn to in napari's own controls."""
    window, study = reading.window, layers.study
    if window is None or study is None or study.colormap.name.startswith(("sigmoid", "table")):
        return window
    low, high = (float(limit) for limit in study.contrast_limits)
    if abs(low - window.ends[0]) < _SAME and abs(high - window.ends[1]) < _SAME:
        return window
    return Window((low + high) / 2, max(high - low, 1e-6))
