"""The napari layer that shows all evidence as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from voxcam.plugin.canvas.appearance import placed
from voxcam.plugin.canvas.picture import Picture
from voxcam.plugin.canvas.placing import blank, set_what_differs

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from voxcam.plugin.canvas.frame import Placement
    from voxcam.plugin.review.reading import Reading

NAME = "evidence"


class PictureLayer:
    """Keep one layer with the evidence of all shown classes.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    insert
        Puts a new layer where evidence belongs.
    """

    def __init__(self, viewer: ViewerModel, insert: Callable[[Image], None]) -> None:
        self.viewer, self._insert = viewer, insert
        self.layer: Image | None = None
        self.picture: Picture | None = None
        self._made_for: tuple[Any, ...] = ()

    def leave(self, placement: Placement | None) -> None:
        """Show nothing, on another study's grid."""
        self._made_for = ()
        if self.layer is not None:
            blank(self.layer, placement)

    def prepare(self, placement: Placement) -> None:
        """Make the layer while nobody waits: napari takes a tenth of a second for it."""
        if self.layer is None or self.layer not in self.viewer.layers:
            self._swap(placement, Picture(placement.geometry))

    def hide(self) -> None:
        """Show nothing."""
        if self.layer is not None and self.layer.visible:
            self.layer.visible = False

    def show(self, reading: Reading, placement: Placement, through: int) -> None:
        """Show the evidence across display axis `through`; only the visible slice is computed."""
        made_for = (id(placement), through, reading.look.drawn)
        if self.layer is None or self.layer not in self.viewer.layers or made_for != self._made_for:
            self._made_for = made_for
            self.picture = Picture(placement.geometry, through, reading.shown, reading.look.drawn)
            self._swap(placement, self.picture)
        elif self.picture is not None:
            self.picture.show(reading.shown)
            if self.layer.visible:
                self.layer.refresh(extent=False)
        if self.layer is not None:
            # Cells and lines have edges; a smooth picture has fewer pixels than the screen.
            wanted = "linear" if reading.look.drawn == "smooth" else "nearest"
            set_what_differs(self.layer, {"interpolation2d": wanted, "visible": True})

    def _swap(self, placement: Placement, picture: Picture) -> None:
        where = _placed(placement, picture)
        if self.layer is None or self.layer not in self.viewer.layers:
            self.layer = Image(
                picture,
                **where,
                rgb=True,
                multiscale=False,
                name=NAME,
                visible=False,
                contrast_limits=(0, 255),
            )
            self.layer.blending = "translucent_no_depth"
            self._insert(self.layer)
        else:
            self.layer.data = picture
            set_what_differs(self.layer, where)


def _placed(placement: Placement, picture: Picture) -> dict[str, Any]:
    """Return what puts the picture's cells, of which there may be fewer than voxels, on the study's box."""
    where, scale = placed(placement), np.array(placement.scale)
    cells = scale * placement.geometry.shape / picture.grid.shape
    translate = np.array(placement.translate) - scale / 2 + cells / 2
    return where | {"scale": tuple(cells.tolist()), "translate": tuple(translate.tolist())}
