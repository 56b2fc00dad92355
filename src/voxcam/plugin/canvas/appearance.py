"""How a volume looks as a napari layer: array and attributes, without importing napari.

Names are neutral: what was scanned, never whose scan it is nor where it lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.lazy import sampled
from voxcam.export.planes import DISPLAY
from voxcam.plugin.canvas.frame import in_display_order, place_volume

if TYPE_CHECKING:
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Axis, Volume
    from voxcam.core.windows import Window
    from voxcam.plugin.canvas.frame import Placement

_PICTURES = ("US", "IVUS", "ES", "XC", "OP", "OPT", "GM", "SM")
_LOOKED_AT = 24  # slices of a volume that is read as asked
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
        "axis_labels": (_fourth(volume),) * time + placement.axis_labels,
        "metadata": {
            "affine": placement.geometry.affine,
            "geometry": placement.geometry,
            "volume": volume,
            "badge": placement.badge,
        },
    }
    if volume.unit == "label":
        return data, attributes
    if volume.is_colour:
        return _bytes(data), attributes | {"rgb": True}
    window = window or volume.window
    limits = _limits(window)
    low, high = _reach(data)
    attributes |= windowed(volume, window) | {
        "contrast_range": (min(limits[0], low), max(limits[1], high)),
        "interpolation2d": "linear",
    }
    return data, attributes


def windowed(volume: Volume, window: Window) -> dict[str, Any]:
    """Return colours and contrast limits of a window; no voxel is looked at."""
    return {"colormap": _grey(volume, window), "contrast_limits": _limits(window)}


def placed(placement: Placement) -> dict[str, Any]:
    """Return the attributes that put a layer on a placed grid."""
    return {
        "scale": placement.scale,
        "translate": placement.translate,
        "units": ("mm",) * 3,
        "axis_labels": placement.axis_labels,
        "metadata": {
            "affine": placement.geometry.affine,
            "geometry": placement.geometry,
            "badge": placement.badge,
        },
    }


def _bytes(colour: Any) -> Any:
    """Return `COLOUR` voxels as napari wants them: red, green and blue along a last axis of bytes."""
    whole = np.ascontiguousarray(colour)
    return whole.view(np.uint8).reshape(*whole.shape, 3)


def _fourth(volume: Volume) -> str:
    """Return what the sliders call the axis before the slices: time, echo time, b-value, ..."""
    return volume.fourth.name if volume.fourth is not None else "t"


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


def frame_words(volume: Volume, badge: str) -> str:
    """Return the badge; of a picture that is no projection, what its millimetres are."""
    picture = volume.modality in _PICTURES and volume.geometry.frame == "detector"
    return "millimetres on the picture's own plane" if picture else badge


def measured_nothing(volume: Volume, through: int, index: int) -> bool:
    """Whether slice `index` across display axis `through` is one of the empty places of a gap."""
    axes, flips = volume.geometry.towards(DISPLAY)
    k = volume.shape[2] - 1 - index if flips[through] else index
    return axes[through] == 2 and k in volume.empty


def made_of(volume: Volume) -> str:
    """Return what of a volume on the screen was not measured, or not as it is shown; "" if all was."""
    lines = []
    if volume.is_colour:
        lines.append("a colour image, shown as grey")
    if volume.empty:
        one = len(volume.empty) == 1
        places = "slice is missing: its place is" if one else "slices are missing: their places are"
        lines.append(f"{len(volume.empty)} {places} empty")
    elif between := len(volume.source.get("gap_slices", ())):
        lines.append(f"{between} slices are interpolated, not measured")
    return "\n".join(lines)


def moment_words(axis: Axis | None, place: int, count: int) -> str:
    """Return which volume of the fourth axis is shown: ``echo time 4.9 ms (2 of 3)``."""
    name = "time" if axis is None else axis.name
    if axis is None or place >= len(axis.values):
        return f"{name} {place + 1} of {count}"
    value = axis.values[place]
    stated = value if isinstance(value, str) else f"{value:g}"
    return f"{name} {stated}{f' {axis.unit}' if axis.unit else ''} ({place + 1} of {count})"


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
    """Return the lowest and the highest value; of floats, of the finite ones; of what is lazy, of a few."""
    data = sampled(data, _LOOKED_AT)
    low, high = float(np.min(data)), float(np.max(data))
    if np.isfinite([low, high]).all():
        return low, high
    finite = data[np.isfinite(data)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
