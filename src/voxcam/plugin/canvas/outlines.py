"""The outline of the drawn finding on the slice: between the voxels, and thin however thick these are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.export.style import MASK_COLOUR
from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.lines import Ends, LinesOverlay, is_drawable
from voxcam.plugin.canvas.placing import order_of
from voxcam.plugin.review.plane import outline

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from voxcam.plugin.canvas.frame import Placement

NAME = "voxcam_finding"


class Outline:
    """Keep the outline on the canvas as the slice and the finding's layer have it.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.overlay = LinesOverlay(ink=_rgba(MASK_COLOUR))
        self._is_drawable = is_drawable()
        self._layer: Labels | None = None
        self._placement: Placement | None = None
        self._drawn: tuple[Any, ...] = ()
        viewer.scene.overlays[NAME] = self.overlay
        for emitter in (viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self.refresh)
        viewer.layers.events.removed.connect(self.refresh)

    def show(self, layer: Labels | None, placement: Placement | None) -> None:
        """Draw the outline of a layer, 0 outside the finding, on a placed grid; None for nothing."""
        if layer is not None and layer is not self._layer:
            # As long as the layer is shown, by whomever.
            layer.events.visible.connect(self.refresh)
        self._layer, self._placement, self._drawn = layer, placement, ()
        self.refresh()

    def refresh(self, event: object = None) -> None:
        """Draw the outline of the slice shown now; of the same one nothing is drawn anew."""
        layer, placement = self._layer, self._placement
        if layer is None or placement is None or not self._is_seen(layer):
            self.overlay.visible = False
            return
        through, *plane = order_of(self.viewer)
        count = placement.geometry.shape[through]
        at = (self.viewer.dims.point[-3 + through] - placement.translate[through]) / placement.scale[through]
        index = min(max(round(float(at)), 0), count - 1)
        if (through, index) != self._drawn:
            self._drawn = (through, index)
            # Indexed, not taken: np.take copies the whole finding where its slices are not contiguous.
            inside = np.asarray(layer.data[(slice(None),) * through + (index,)]) > 0
            self.overlay.ends = Ends(_ends(inside, placement, plane))
        self.overlay.visible = len(self.overlay.ends.places) > 0

    def close(self) -> None:
        """Draw nothing more."""
        self.show(None, None)
        disconnect(self.viewer, self)

    def _is_seen(self, layer: Labels) -> bool:
        dims = self.viewer.dims
        shown = layer.visible and layer in self.viewer.layers
        return bool(self._is_drawable and shown and dims.ndisplay == 2 and dims.ndim >= 3)


def _ends(inside: NDArray[np.bool_], placement: Placement, plane: list[int]) -> NDArray[np.float32]:
    """Return the ends of the lines, down and across, in display coordinates."""
    scale, first = np.array(placement.scale)[plane], np.array(placement.translate)[plane]
    corners = outline(inside).reshape(-1, 2)[:, ::-1]
    return np.asarray(corners * scale + first - scale / 2, dtype=np.float32)


def _rgba(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue, 1.0
