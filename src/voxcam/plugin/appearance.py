"""How a volume looks as a napari layer: array and attributes, without importing napari.

Names are neutral: what was scanned, never whose scan it is nor where it lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.plugin.frame import in_display_order, place_volume

if TYPE_CHECKING:
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window

# A sigmoid reaches 0.25 % and 99.75 % at 1.5 widths from its centre.
_SIGMOID_REACH = 1.5
_MOST_COLOURS = 1024  # as many as the screen's shader holds


def appearance(volume: Volume, window: Window | None = None) -> tuple[Any, dict[str, Any]]:
    """Return what to show of `volume`: the array in display order, and the layer's attributes.

    The attributes hold scale, translate, units, axis labels and the metadata (the true affine in display
    order, the volume itself, the badge); of images also colours, contrast limits, and as
    "contrast_range", which is no constructor argument, how far these may be drawn.
    """
    placement = place_volume(volume)
    data = in_display_order(volume)
    time = data.ndim - 3
    attributes: dict[str, Any] = {
        "scale": (1.0,) * time + placement.scale,
        "translate": (0.0,) * time + placement.translate,
        "units": ("pixel",) * time + ("mm",) * 3,
        "axis_labels": ("t",) * time + placement.axis_labels,
        "metadata": {
            "affine": placement.geometry.affine,
            "geometry": placement.geometry,
            "volume": volume,
            "badge": placement.badge,
        },
    }
    if volume.unit == "label":
        return data, attributes
    window = window or volume.window
    limits = _limits(window)
    low, high = _reach(data)
    attributes |= {
        "colormap": _grey(volume, window),
        "contrast_limits": limits,
        "contrast_range": (min(limits[0], low), max(limits[1], high)),
        "interpolation2d": "linear",
    }
    return data, attributes


def volume_name(volume: Volume) -> str:
    """Return a neutral name for a layer: the modality, or what else is known."""
    return volume.modality or ("labels" if volume.unit == "label" else "image")


def evidence_name(heatmap: Heatmap) -> str:
    """Return a name for a heatmap's layer."""
    return f"evidence: {heatmap.class_name}"


def volume_words(volume: Volume) -> str:
    """Return modality, size and spacing in one line: ``CT 260 × 230 × 26, 0.63 × 0.63 × 5 mm``."""
    size = " × ".join(str(n) for n in volume.voxels.shape)
    spacing = " × ".join(f"{s:.2f}".rstrip("0").rstrip(".") for s in volume.geometry.spacing_mm)
    unit = "mm" if volume.geometry.frame != "unknown" else "(unit unknown)"
    return f"{volume.modality or 'image'} {size}, {spacing} {unit}"


def _limits(window: Window) -> tuple[float, float]:
    if window.function == "SIGMOID":
        reach = _SIGMOID_REACH * window.width
        return window.centre - reach, window.centre + reach
    return window.ends


def _grey(volume: Volume, window: Window) -> Any:
    """Return napari's grey, turned for MONOCHROME1; of a sigmoid or a table, the curve baked into colours."""
    if window.function not in ("SIGMOID", "TABLE"):
        return "gray_r" if volume.inverted else "gray"
    steps = min(max(256, len(window.table)), _MOST_COLOURS)
    grey = window.apply(np.linspace(*_limits(window), steps))
    grey = 1 - grey if volume.inverted else grey
    # The name tells colour maps apart: two tables may share centre and width.
    curve = f" {hash(window.table):x}" if window.table else ""
    name = f"{window.function.lower()} {window.centre:g} {window.width:g}{curve}"
    name += " inverted" if volume.inverted else ""
    return {"name": name, "colors": np.stack([grey, grey, grey, np.ones_like(grey)], axis=-1)}


def _reach(data: Any) -> tuple[float, float]:
    """Return the lowest and the highest value; of floats, of the finite ones."""
    low, high = float(np.min(data)), float(np.max(data))
    if np.isfinite([low, high]).all():
        return low, high
    finite = data[np.isfinite(data)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
