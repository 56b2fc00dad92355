"""One napari image layer for each class, for those who want napari's own controls on them.

Layers are made once and used again: their data is swapped and they are hidden, never removed and
added anew, which crashes napari 0.9 in OpenGL (napari/napari#8471).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.colormaps import Colormap

from voxcam.export.style import HeatmapStyle
from voxcam.plugin.canvas.appearance import evidence_name, placed
from voxcam.plugin.canvas.placing import blank, set_what_differs

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from voxcam.core.heatmap import Heatmap
    from voxcam.plugin.canvas.frame import Placement
    from voxcam.plugin.review.reading import Reading


class ClassLayers:
    """Keep a layer for each class that has been on the screen.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    insert
        Puts a new layer where evidence belongs.
    """

    def __init__(self, viewer: ViewerModel, insert: Callable[[Image], None]) -> None:
        self.viewer, self._insert = viewer, insert
        self._made: list[Image] = []
        self._drawn: dict[str, tuple[Image, Heatmap]] = {}

    @property
    def by_class(self) -> dict[str, Image]:
        """The layer of each class that has been on the screen since the study was opened."""
        return {name: layer for name, (layer, _) in self._drawn.items()}

    @property
    def made(self) -> tuple[Image, ...]:
        """The layers there are, shown or not."""
        return tuple(self._made)

    def leave(self, placement: Placement | None) -> None:
        """Let go of the classes, for another study."""
        self._drawn.clear()
        for layer in self._made:
            blank(layer, placement)

    def show(self, reading: Reading, placement: Placement, *, on: bool) -> None:
        """Bring every class's layer in line with the reading, or hide all; what is the same stays."""
        names = reading.visible if on else ()
        for name in names:
            heatmap = reading.heatmap(name)
            if heatmap is not None:
                self._draw(name, heatmap, reading.style(name), placement)
        visible = {id(self._drawn[name][0]) for name in names if name in self._drawn}
        for layer in self._made:
            if layer.visible != (id(layer) in visible):
                layer.visible = id(layer) in visible

    def styles(self, reading: Reading) -> dict[str, HeatmapStyle]:
        """Return the style of each visible class as its layer has it, so that figures match the screen."""
        styles = {}
        for name, (layer, _) in self._drawn.items():
            if layer.visible and layer in self.viewer.layers:
                own = reading.style(name)
                low, high = (float(limit) for limit in layer.contrast_limits)
                styles[name] = HeatmapStyle(low, high, own.threshold, float(layer.opacity), own.colours)
        return styles

    def _draw(self, name: str, heatmap: Heatmap, style: HeatmapStyle, placement: Placement) -> None:
        layer, drawn = self._drawn.get(name, (None, None))
        if layer is None or layer not in self.viewer.layers:
            layer, drawn = self._free_layer(heatmap, placement), None
        if drawn is not heatmap:
            if layer.metadata.get("heatmap") is not heatmap:
                seen = _seen(heatmap, placement)
                layer.data = seen.pop("data")
                set_what_differs(layer, seen)
            layer.name = evidence_name(heatmap)
            self._drawn[name] = (layer, heatmap)
        look = {"contrast_limits": (style.low, style.high), "opacity": style.opacity, "gamma": 1.0}
        set_what_differs(layer, {**look, "colormap": _colormap(style)})

    def _free_layer(self, heatmap: Heatmap, placement: Placement) -> Image:
        """Return a layer no class holds, or a new one."""
        held = {id(layer) for layer, _ in self._drawn.values()}
        for layer in self._made:
            if id(layer) not in held and layer in self.viewer.layers:
                return layer
        layer = Image(
            **_seen(heatmap, placement), rgb=False, multiscale=False, visible=False, contrast_limits=(0, 1)
        )
        layer.blending, layer.interpolation2d = "translucent_no_depth", "linear"
        layer.colorbar.position, layer.colorbar.size = "middle_right", (14, 130)
        layer.colorbar.font_size, layer.colorbar.visible = 9, True
        self._insert(layer)
        self._made.append(layer)
        return layer


def _seen(heatmap: Heatmap, placement: Placement) -> dict[str, Any]:
    """Return the heatmap on the study's displayed grid, whose slices are computed when drawn."""
    where = placed(placement)
    return where | {
        "data": heatmap.on(placement.geometry).voxels,
        "metadata": where["metadata"] | {"heatmap": heatmap},
    }


def _colormap(style: HeatmapStyle) -> Colormap:
    # The name tells tables apart, so that an unchanged one is not uploaded again.
    return Colormap(style.table, name=f"evidence {style.colours} above {style.threshold:.3f}")
