"""Study and evidence in three dimensions: brightest along each ray, one class at a time.

napari shows black planes with three or more translucent volumes (napari/napari#7980), and no graphics card
takes a texture of any size: so there are two layers, of few voxels. Evidence covers the study as it does over
a slice, its colours those of the legend; added as light it would burn out over bone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap

from voxcam.core.resampling import Resampled
from voxcam.core.volume import grey
from voxcam.plugin.canvas.appearance import appearance, windowed
from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.placing import set_what_differs
from voxcam.plugin.canvas.roles import CLASS, EVIDENCE_IN_DEPTH, ROLE, STUDY_IN_DEPTH

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.core.geometry import Geometry
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.export.style import HeatmapStyle
    from voxcam.plugin.canvas.layers import ReviewLayers
    from voxcam.plugin.review.review import Review

# Along an axis; software rendering takes a second a picture at twice as many.
MOST_VOXELS = 160
# From the front, head up: towards the back is along the second display axis (I, P, L).
_TOWARDS, _UP = (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)
_STUDY_OPACITY = 0.6


class Depth:
    """Keep the two layers of the view in three dimensions, while napari shows three dimensions.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    review
        What is read.
    layers
        The layers of the slices, which step back.
    """

    def __init__(self, viewer: ViewerModel, review: Review, layers: ReviewLayers) -> None:
        self.viewer, self.review, self.layers = viewer, review, layers
        self.study: Image | None = None
        self.evidence: Image | None = None
        self.chosen = ""
        self._of: Volume | None = None
        self._drawn: Heatmap | None = None
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        review.study_changed.connect(self._leave)
        for signal in (review.explanation_changed, review.look_changed, review.window_changed):
            signal.connect(self.show)

    @property
    def is_on(self) -> bool:
        """Whether napari shows three dimensions."""
        return bool(self.viewer.dims.ndisplay == 3)

    def close(self) -> None:
        """Show nothing any more."""
        self._hide()
        disconnect(self.viewer, self)

    def set(self, on: bool | None = None) -> None:
        """Show three dimensions, or slices again; None turns it over."""
        volume = self.review.volume
        if volume is None or (min(volume.shape) == 1 and not self.is_on):
            self.review.said.emit("Three dimensions need a volume of several slices.", False)
            return
        self.viewer.dims.ndisplay = 3 if (not self.is_on if on is None else on) else 2

    def choose(self, name: str) -> None:
        """Show another class's evidence."""
        self.chosen = name
        self.show()

    def show(self) -> None:
        """Bring the two layers in line with the review; nothing while slices are shown."""
        volume = self.review.volume
        if not self.is_on or volume is None:
            return
        grid = thinned(volume.geometry)
        if self._of is not volume:
            self.study = self._put(self.study, _study(volume, grid), {ROLE: STUDY_IN_DEPTH}, "study in 3D")
            self._of = volume
        if self.study is not None and self.review.window is not None:
            limits = windowed(volume, self.review.window)["contrast_limits"]
            set_what_differs(self.study, {"contrast_limits": limits, "visible": True})
        self._show_evidence(grid)

    def _show_evidence(self, grid: Geometry) -> None:
        visible = self.review.visible
        name = self.chosen if self.chosen in visible else next(iter(visible), "")
        heatmap = self.review.heatmap(name) if name else None
        if heatmap is None:
            if self.evidence is not None:
                self.evidence.visible = False
            return
        if heatmap is not self._drawn or self.evidence is None:
            evidence = np.nan_to_num(np.asarray(heatmap.on(grid).voxels))
            seen = replace(heatmap.evidence, voxels=evidence, geometry=grid)
            self.evidence = self._put(self.evidence, seen, {ROLE: EVIDENCE_IN_DEPTH, CLASS: name})
            self._drawn = heatmap
        style = self.review.style(name)
        limits = (max(style.low, 0.0), style.high)
        look = {"contrast_limits": limits, "opacity": style.opacity, "colormap": _colours(style)}
        set_what_differs(self.evidence, {**look, "name": f"evidence in 3D: {name}", "visible": True})

    def _put(self, layer: Image | None, volume: Volume, metadata: dict[str, str], name: str = "") -> Image:
        data, attributes = appearance(volume)
        # Without its volume: it is no scan that could be opened.
        attributes["metadata"] = metadata
        limits = attributes.pop("contrast_range", None)
        attributes.pop("interpolation2d", None)
        if layer is None or layer not in self.viewer.layers:
            layer = Image(data, name=name, rgb=False, multiscale=False, **attributes)
            layer.rendering, layer.blending = "mip", "additive" if name else "translucent_no_depth"
            self.layers.insert(layer)
        else:
            layer.data = data
            set_what_differs(layer, attributes)
        if limits:
            layer.contrast_limits_range = limits
        layer.opacity, layer.visible = (_STUDY_OPACITY if name else layer.opacity), True
        return layer

    def _on_ndisplay(self, event: object = None) -> None:
        if self.review.volume is None:
            return
        for layer in (self.layers.study, self.layers.finding):
            if layer is not None:
                layer.visible = not self.is_on and (
                    layer is self.layers.study or self.review.mask is not None
                )
        if self.is_on:
            self.show()
            self.viewer.reset_view()
            self.viewer.scene.camera.set_view_direction(_TOWARDS, _UP)
        else:
            self._hide()

    def _leave(self) -> None:
        """Show slices of another study."""
        self._of = self._drawn = None
        self.chosen = ""
        self._hide()
        if self.is_on:
            self.viewer.dims.ndisplay = 2

    def _hide(self) -> None:
        for layer in (self.study, self.evidence):
            if layer is not None:
                layer.visible = False


def thinned(geometry: Geometry) -> Geometry:
    """Return the same box with at most `MOST_VOXELS` voxels along an axis."""
    shape = tuple(min(n, MOST_VOXELS) for n in geometry.shape)
    return geometry if shape == geometry.shape else geometry.coarsened(shape)


def _study(volume: Volume, grid: Geometry) -> Volume:
    """Return the study's first moment on the grid, grey: of each place the nearest voxel, which is quick."""
    still = grey(volume.moment(0))
    seen = np.asarray(Resampled(still.voxels, still.geometry, grid, nearest=True))
    if seen.dtype.kind == "f":
        finite = seen[np.isfinite(seen)]
        seen = np.nan_to_num(seen, nan=float(finite.min()) if finite.size else 0.0)
    return replace(still, voxels=seen, geometry=grid, empty=())


def _colours(style: HeatmapStyle) -> Colormap:
    """Return the colours over a slice; of signed ones the half that speaks for the class."""
    table: Any = style.table[len(style.table) // 2 :] if style.low < 0 else style.table
    return Colormap(table, name=f"depth {style.colours} above {style.threshold:.3f}")
