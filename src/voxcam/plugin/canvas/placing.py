"""Setting and hiding napari's layers without needless redraws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.plugin.canvas.appearance import placed

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.plugin.canvas.frame import Placement


def order_of(viewer: ViewerModel) -> tuple[int, int, int]:
    """Return the display axes as napari orders them, without time: stepped through, down, across.

    A viewer without a scan has two axes; all are then in their places.
    """
    offset = viewer.dims.ndim - 3
    if offset < 0:
        return 0, 1, 2
    a, b, c = (axis - offset for axis in viewer.dims.order if axis >= offset)
    return a, b, c


def set_what_differs(layer: Any, attributes: dict[str, Any]) -> None:
    """Set what differs: every set redraws."""
    for name, value in attributes.items():
        current = getattr(layer, name)
        if name == "metadata":
            layer.metadata = value
        elif name == "colormap":
            if getattr(current, "name", None) != getattr(value, "name", value):
                layer.colormap = value
        elif not np.array_equal(np.asarray(current, dtype=object), np.asarray(value, dtype=object)):
            setattr(layer, name, value)


def blank(layer: Any, placement: Placement | None) -> None:
    """Hide a layer until it is used again, on the study's grid: hidden layers stretch the sliders too."""
    layer.visible = False
    if placement is None:
        return
    colour = (layer.data.shape[-1],) if getattr(layer, "rgb", False) else ()
    layer.data = np.broadcast_to(np.zeros((), layer.dtype), (*placement.geometry.shape, *colour))
    set_what_differs(layer, placed(placement))
