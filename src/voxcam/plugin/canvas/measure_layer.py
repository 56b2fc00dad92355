"""The one layer of napari's shapes that shows what was drawn on the slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes

from voxcam.plugin.canvas.appearance import placed
from voxcam.plugin.canvas.captions import GAP_PIXELS, SIZE, Caption, CaptionsOverlay, apart, is_drawable
from voxcam.plugin.canvas.placing import set_what_differs
from voxcam.plugin.canvas.roles import MEASUREMENTS, ROLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from voxcam.plugin.canvas.frame import Placement
    from voxcam.plugin.review.regions import Kind

NAME, CAPTIONS = "measurements", "voxcam_captions"
# They lie on the picture, which is dark in every theme: seen on black, on white bone and on evidence.
COLOUR, CHOSEN = "#ffd54a", "#4ad9ff"
_LINE_PIXELS = 2.0
_TYPES = {"distance": "line", "angle": "path", "ellipse": "ellipse", "rectangle": "rectangle"}


@dataclass(frozen=True, eq=False)
class Shown:
    """A drawing with display coordinates (n, 3), the words beside it, and whether it is chosen."""

    kind: Kind
    points: NDArray[np.float64]
    words: str
    chosen: bool = False


class MeasureLayer:
    """Keep a layer with the drawings of the plane shown; made once, emptied and filled.

    napari would show a line of one plane in another that it happens to lie in: those of other planes
    are not in the layer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.layer: Shapes | None = None
        self._placed_for: tuple[Placement, int] | None = None
        self._is_drawable = is_drawable()
        self.captions = CaptionsOverlay()
        viewer.scene.overlays[CAPTIONS] = self.captions

    def show(self, placement: Placement, through: int, drawings: Sequence[Shown]) -> None:
        """Show drawings on slices across display axis `through` of a placed grid."""
        if not drawings and self.layer is None:
            return
        layer, where = self._layer(placement), _placed(placement, through)
        layer.data = []
        if self._placed_for != (placement, through):
            self._placed_for = (placement, through)
            set_what_differs(layer, where)
        boxed = [_box_of(one) for one in drawings if one.chosen and one.kind == "ellipse"]
        everything = [*drawings, *boxed]
        if everything:
            self._fill(layer, where, through, everything)
        layer.visible = bool(everything) and self.viewer.dims.ndisplay == 2
        self._write(drawings, through)

    def hide(self) -> None:
        """Show nothing, until the next study."""
        if self.layer is not None:
            self.layer.data = []
            self.layer.visible = False
        self.captions.visible = False

    # --- steps

    def _layer(self, placement: Placement) -> Shapes:
        if self.layer is None or self.layer not in self.viewer.layers:
            active = self.viewer.layers.selection.active
            self.layer = Shapes(None, ndim=3, name=NAME, features={"words": []}, **placed(placement))
            self.layer.opacity, self.layer.blending = 1.0, "translucent_no_depth"
            if not self._is_drawable:
                self.layer.text = {"string": "{words}", "size": SIZE, "anchor": "lower_left", "color": COLOUR}
            self.layer.events.visible.connect(self._on_visible)
            self.viewer.layers.append(self.layer)
            self.viewer.layers.selection.active = active
            self._placed_for = None
        return self.layer

    def _fill(self, layer: Shapes, where: dict[str, Any], through: int, drawings: Sequence[Shown]) -> None:
        scale, translate = np.array(where["scale"]), np.array(where["translate"])
        width = _LINE_PIXELS / self.viewer.scene.camera.zoom / scale[through - 1]
        layer.add(
            [(one.points - translate) / scale for one in drawings],
            shape_type=[_TYPES.get(one.kind, "polygon") for one in drawings],
            edge_width=[width if one.words else width / 2 for one in drawings],
            edge_color=[CHOSEN if one.chosen else COLOUR for one in drawings],
            face_color="transparent",
        )
        layer.features = {"words": [one.words for one in drawings]}
        layer.selected_data = set()

    def _write(self, drawings: Sequence[Shown], through: int) -> None:
        """Put words under the drawings, at the left, where none lie over others."""
        down, across = (axis for axis in range(3) if axis != through)
        camera = self.viewer.scene.camera
        pixel_mm, mirrored = 1 / float(camera.zoom), str(camera.orientation2d[1]) == "left"
        said = [
            Caption(
                one.words,
                float(one.points[:, down].max()) + GAP_PIXELS * pixel_mm,
                float(one.points[:, across].max() if mirrored else one.points[:, across].min()),
                CHOSEN if one.chosen else COLOUR,
            )
            for one in drawings
            if one.words.strip()
        ]
        self.captions.pixel_mm = pixel_mm
        self.captions.captions = apart(said, pixel_mm, mirrored=mirrored)
        self._on_visible()

    def _on_visible(self, event: object = None) -> None:
        """Show the words as long as the drawings are, by whomever these are hidden."""
        seen = self.layer is not None and self.layer.visible and self._is_drawable
        self.captions.visible = seen and bool(self.captions.captions)


def _placed(placement: Placement, through: int) -> dict[str, Any]:
    """Return what puts the layer on the study's slices, with as many mm a unit down as across.

    A line is as wide in the layer's units either way, and on the screen then too. No finer than the
    study's voxels, or napari's sliders would step more finely.
    """
    where, scale = placed(placement), np.array(placement.scale)
    along = [axis for axis in range(3) if axis != through]
    scale[along] = scale[along].max()
    return where | {
        "scale": tuple(scale.tolist()),
        "metadata": where["metadata"] | {ROLE: MEASUREMENTS},
    }


def _box_of(one: Shown) -> Shown:
    """Return the box of a chosen ellipse, whose corners can be pulled."""
    return Shown("rectangle", one.points, "", chosen=True)
