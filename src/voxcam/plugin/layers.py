"""The layers of a reading: the one file that touches napari's layers.

Layers are made once and used again: their data is swapped and they are hidden, never removed and
added anew, which crashes napari 0.9 in OpenGL (napari/napari#8471).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from voxcam.core.volume import grey
from voxcam.export.panels import MASK_COLOUR
from voxcam.export.planes import peak_inside
from voxcam.export.style import HeatmapStyle
from voxcam.plugin.appearance import appearance, evidence_name, volume_name
from voxcam.plugin.frame import Placement, place_volume

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.plugin.review import Review


class ReviewLayers:
    """Keep the layers of `viewer` as the review has it.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    review
        What is read.
    """

    def __init__(self, viewer: ViewerModel, review: Review) -> None:
        self.viewer, self.review = viewer, review
        self.placement: Placement | None = None
        self.study: Image | None = None
        self.finding: Labels | None = None
        self._evidence: list[Image] = []
        self._drawn: dict[str, tuple[Image, Heatmap]] = {}
        review.study_changed.connect(self._show_study)
        review.window_changed.connect(self._show_window)
        review.explanation_changed.connect(self._show_evidence)
        review.look_changed.connect(self._show_evidence)

    def adopt(self, layer: Image) -> None:
        """Take a layer that the reader made for the study's own, before its volume is opened."""
        if self.study is not None and self.study is not layer and self.study in self.viewer.layers:
            self.study.visible = False
        self.study = layer

    @property
    def evidence(self) -> dict[str, Image]:
        """The image layer of each class that has been on the screen."""
        return {name: layer for name, (layer, _) in self._drawn.items()}

    def jump_to(self, heatmap: Heatmap) -> bool:
        """Step to the slices through the highest evidence; False if none lies in the study."""
        volume, placement = self.review.volume, self.placement
        peak = None if volume is None else peak_inside(heatmap, volume)
        if peak is None or placement is None:
            return False
        axes = [axis + self.viewer.dims.ndim - 3 for axis in range(3)]
        self.viewer.dims.set_point(axes, [float(at) for at in placement.to_display(peak)])
        return True

    def display_point(self) -> tuple[float, float, float]:
        """Return the display coordinates of the slices shown now."""
        a, b, c = self.viewer.dims.point[-3:]
        return float(a), float(b), float(c)

    def styles(self) -> dict[str, HeatmapStyle]:
        """Return the style of each visible class as its layer has it, so that figures match the screen."""
        styles = {}
        for name, (layer, _) in self._drawn.items():
            if layer.visible and layer in self.viewer.layers:
                own = self.review.style(name)
                low, high = (float(limit) for limit in layer.contrast_limits)
                styles[name] = HeatmapStyle(low, high, own.threshold, float(layer.opacity), own.colours)
        return styles

    # --- the study

    def _show_study(self) -> None:
        volume = self.review.volume
        if volume is None:
            return
        self._drawn.clear()
        self.placement = place_volume(volume)
        # One layer for every study: napari cannot turn a grey one into one of colours.
        self.study = self._put(self.study, Image, grey(volume, whole=True), volume_name(volume))
        self._show_finding()
        for layer in self._evidence:
            self._blank(layer)
        self.viewer.layers.selection.active = self.study
        flat = next((axis for axis in (1, 2) if self.placement.geometry.shape[axis] == 1), 0)
        self.show_plane(flat)
        self.viewer.reset_view()

    def show_plane(self, through: int) -> None:
        """Show the plane that display axis `through` (0 axial, 1 coronal, 2 sagittal) is across."""
        offset = self.viewer.dims.ndim - 3
        # Set, not rolled: rolling transposes the coronal plane.
        order = (through, *[axis for axis in range(3) if axis != through])
        self.viewer.dims.ndisplay = 2
        self.viewer.dims.order = (*range(offset), *[axis + offset for axis in order])
        self.viewer.reset_view()

    def _show_finding(self) -> None:
        mask = self.review.mask
        if mask is None or self.placement is None:
            if self.finding is not None:
                self._blank(self.finding)
            return
        seen = mask.on(self.placement.geometry)
        seen = replace(seen, voxels=(np.asarray(seen.voxels) > 0).astype(np.uint8))
        self.finding = self._put(self.finding, Labels, seen, "finding, as drawn")
        self.finding.colormap = {None: "transparent", 1: MASK_COLOUR}
        self.finding.contour, self.finding.opacity, self.finding.editable = 1, 1.0, False

    def _blank(self, layer: Any) -> None:
        """Hide a layer until it is used again, on the study's grid: hidden layers stretch the sliders too."""
        layer.visible = False
        if self.placement is not None:
            layer.data = np.broadcast_to(np.zeros((), layer.dtype), self.placement.geometry.shape)
            _set(layer, self._placed())

    def _put(self, layer: Any, kind: type[Any], volume: Volume, name: str) -> Any:
        """Show `volume` in `layer`, or in a new one where there is none (any more)."""
        data, attributes = appearance(volume)
        limits = attributes.pop("contrast_range", None)
        if layer is None or layer not in self.viewer.layers:
            layer = kind(data, name=name, **attributes)
            self.viewer.layers.append(layer)
        else:
            layer.data = data
            _set(layer, {**attributes, "name": name})
        if limits:
            layer.contrast_limits_range = limits
        layer.visible = True
        return layer

    def _show_window(self) -> None:
        if self.review.volume is None or self.study is None or self.review.window is None:
            return
        _, attributes = appearance(grey(self.review.volume, whole=True), self.review.window)
        self.study.colormap = attributes["colormap"]
        self.study.contrast_limits = attributes["contrast_limits"]

    # --- the evidence

    def _show_evidence(self) -> None:
        """Bring every class's layer in line with the review; only what changed is touched."""
        visible = self.review.visible
        if self.review.explanation is None:
            self._drawn.clear()
        for name in visible:
            heatmap = self.review.heatmap(name)
            if heatmap is not None:
                self._draw(name, heatmap)
        on = {id(self._drawn[name][0]) for name in visible if name in self._drawn}
        for layer in self._evidence:
            if layer.visible != (id(layer) in on):
                layer.visible = id(layer) in on

    def _draw(self, name: str, heatmap: Heatmap) -> None:
        layer, drawn = self._drawn.get(name, (None, None))
        if layer is None or layer not in self.viewer.layers:
            layer, drawn = self._free_layer(heatmap), None
        if drawn is not heatmap:
            if layer.metadata.get("heatmap") is not heatmap:
                self._swap(layer, heatmap)
            layer.name = evidence_name(heatmap)
            self._drawn[name] = (layer, heatmap)
        style = self.review.style(name)
        _set(
            layer,
            {
                "contrast_limits": (style.low, style.high),
                "opacity": style.opacity,
                "gamma": 1.0,
                "colormap": _colormap(style),
            },
        )

    def _free_layer(self, heatmap: Heatmap) -> Image:
        """Return an evidence layer no class holds, or a new one, under the drawn finding."""
        held = {id(layer) for layer, _ in self._drawn.values()}
        for layer in self._evidence:
            if id(layer) not in held and layer in self.viewer.layers:
                return layer
        layer = Image(
            **self._seen(heatmap), rgb=False, multiscale=False, visible=False, contrast_limits=(0, 1)
        )
        layer.blending, layer.interpolation2d = "translucent_no_depth", "linear"
        layer.colorbar.position, layer.colorbar.size = "middle_right", (14, 130)
        layer.colorbar.font_size, layer.colorbar.visible = 9, True
        active = self.viewer.layers.selection.active
        above = self.viewer.layers.index(self.finding) if self.finding in self.viewer.layers else None
        self.viewer.layers.insert(len(self.viewer.layers) if above is None else above, layer)
        if active is not None:  # the study stays selected: its value is read under the mouse
            self.viewer.layers.selection.active = active
        self._evidence.append(layer)
        return layer

    def _swap(self, layer: Image, heatmap: Heatmap) -> None:
        seen = self._seen(heatmap)
        layer.data = seen.pop("data")
        _set(layer, seen)

    def _seen(self, heatmap: Heatmap) -> dict[str, Any]:
        """Return the heatmap on the study's displayed grid, whose slices are computed when drawn."""
        placed = self._placed()
        grid = placed["metadata"]["geometry"]
        return placed | {
            "data": heatmap.on(grid).voxels,
            "metadata": placed["metadata"] | {"heatmap": heatmap},
        }

    def _placed(self) -> dict[str, Any]:
        """Return the attributes that put a layer on the study's grid."""
        if self.placement is None:
            raise RuntimeError("evidence is shown on an open study")
        at = self.placement
        return {
            "scale": at.scale,
            "translate": at.translate,
            "units": ("mm",) * 3,
            "axis_labels": at.axis_labels,
            "metadata": {"affine": at.geometry.affine, "geometry": at.geometry, "badge": at.badge},
        }


def _set(layer: Any, attributes: dict[str, Any]) -> None:
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


def _colormap(style: HeatmapStyle) -> Colormap:
    # The name tells tables apart, so that an unchanged one is not uploaded again.
    return Colormap(style.table, name=f"evidence {style.colours} above {style.threshold:.3f}")
