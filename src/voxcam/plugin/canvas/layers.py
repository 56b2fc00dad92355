"""The layers of a reading, as napari shows them: the study, a drawn finding, the evidence.

Layers are made once and used again: their data is swapped and they are hidden, never removed and
added anew, which crashes napari 0.9 in OpenGL (napari/napari#8471).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from voxcam.core.volume import grey
from voxcam.export.style import MASK_COLOUR
from voxcam.plugin.canvas.appearance import appearance, volume_name, windowed
from voxcam.plugin.canvas.class_layers import ClassLayers
from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.frame import Placement, place_volume
from voxcam.plugin.canvas.outlines import Outline
from voxcam.plugin.canvas.picture_layer import PictureLayer
from voxcam.plugin.canvas.placing import blank, order_of, set_what_differs
from voxcam.plugin.canvas.roles import FINDING, MEASUREMENTS, ROLE, STUDY, with_role

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.core.volume import Volume
    from voxcam.export.style import HeatmapStyle
    from voxcam.plugin.review.review import Review

_LEFT = 2  # the display axis that grows to the patient's left


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
        self.picture = PictureLayer(viewer, self.insert)
        self.classes = ClassLayers(viewer, self.insert)
        self.outline = Outline(viewer)
        self._flat = True
        review.study_changed.connect(self._show_study)
        review.mask_changed.connect(self._show_finding)
        review.window_changed.connect(self._show_window)
        review.point_changed.connect(self._show_point)
        review.explanation_changed.connect(self._show_evidence)
        review.look_changed.connect(self._show_evidence)
        review.convention_changed.connect(self._show_convention)
        viewer.dims.events.point.connect(self._on_step)
        viewer.dims.events.order.connect(self._on_order)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def adopt(self, layer: Image) -> None:
        """Take a layer that the reader made for the study's own, before its volume is opened."""
        if self.study is not None and self.study is not layer and self.study in self.viewer.layers:
            self.study.visible = False
            self.study.metadata.pop(ROLE, None)
        self.study = layer
        self._restack()

    def display_point(self) -> tuple[float, float, float]:
        """Return the display coordinates of the slices shown now."""
        a, b, c = self.viewer.dims.point[-3:]
        return float(a), float(b), float(c)

    def order(self) -> tuple[int, int, int]:
        """Return the display axes as napari orders them, without time: stepped through, down, across."""
        return order_of(self.viewer)

    def close(self) -> None:
        """Show no evidence any more: nobody says now what it is. The study stays as napari's."""
        self.picture.hide()
        self.classes.leave(None)
        self.outline.close()
        disconnect(self.viewer, self)

    def show_plane(self, through: int) -> None:
        """Show the plane that display axis `through` (0 axial, 1 coronal, 2 sagittal) is across."""
        offset = self.viewer.dims.ndim - 3
        # Set, not rolled: rolling transposes the coronal plane.
        order = (through, *[axis for axis in range(3) if axis != through])
        self.viewer.dims.ndisplay = 2
        self.viewer.dims.order = (*range(offset), *[axis + offset for axis in order])
        self.viewer.reset_view()

    def insert(self, layer: Image) -> None:
        """Put a layer of evidence under the drawn finding; the study stays selected, its value is read."""
        active = self.viewer.layers.selection.active
        above = self.viewer.layers.index(self.finding) if self.finding in self.viewer.layers else None
        self.viewer.layers.insert(len(self.viewer.layers) if above is None else above, layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    def prepare(self) -> None:
        """Make what the first evidence will need, while nobody waits."""
        if self.placement is not None and self.viewer.dims.ndisplay == 2:
            self.picture.prepare(self.placement)

    def styles(self) -> dict[str, HeatmapStyle]:
        """Return the style of each visible class as the screen has it, so that figures match it."""
        reading = self.review.reading
        return {name: reading.style(name) for name in reading.visible} | self.classes.styles(reading)

    # --- the study

    def _show_study(self) -> None:
        volume = self.review.volume
        if volume is None:
            self._show_nothing()
            return
        self.placement = place_volume(volume)
        self._flat = False  # the sliders still stand where they stood in the study before
        # One layer for every study: napari cannot turn a grey one into one of colours.
        self.study = self._put(self.study, Image, grey(volume, whole=True), volume_name(volume))
        self._restack()
        self._show_window()
        self._show_finding()
        self.picture.leave(self.placement)
        self.classes.leave(self.placement)
        self.viewer.layers.selection.active = self.study
        flat = next((axis for axis in (1, 2) if self.placement.geometry.shape[axis] == 1), 0)
        self.show_plane(flat)
        self._show_point()
        self._flat = True
        self.viewer.reset_view()

    def _show_nothing(self) -> None:
        for layer in (self.study, self.finding):
            if layer is not None:
                layer.visible = False
        self.outline.show(None, None)
        self.picture.leave(None)
        self.classes.leave(None)
        self.placement = None

    def _show_finding(self) -> None:
        mask = self.review.mask
        if mask is None or self.placement is None:
            self.outline.show(None, None)
            if self.finding is not None:
                blank(self.finding, self.placement)
            return
        seen = mask.on(self.placement.geometry)
        seen = replace(seen, voxels=(np.asarray(seen.voxels) > 0).astype(np.uint8))
        self.finding = self._put(self.finding, Labels, seen, "finding, as drawn")
        self.finding.colormap = {None: "transparent", 1: MASK_COLOUR}
        # Its outline is drawn over it; an opacity chosen in napari's controls fills it.
        self.finding.visible = self.viewer.dims.ndisplay == 2
        self.finding.opacity, self.finding.editable = 0.0, False
        self._restack()
        self.outline.show(self.finding, self.placement)

    def _put(self, layer: Any, kind: type[Any], volume: Volume, name: str) -> Any:
        """Show `volume` in `layer`, or in a new one where there is none (any more)."""
        data, attributes = appearance(volume)
        limits = attributes.pop("contrast_range", None)
        attributes["metadata"][ROLE] = STUDY if kind is Image else FINDING
        if kind is Labels:
            del attributes["metadata"]["volume"]  # ours, not one that a reader brings
        if layer is None or layer not in self.viewer.layers:
            layer = kind(data, name=name, **attributes)
            self.viewer.layers.append(layer)
        else:
            layer.data = data
            set_what_differs(layer, {**attributes, "name": name})
        if limits:
            layer.contrast_limits_range = limits
        layer.visible = True
        return layer

    def _restack(self) -> None:
        """Bring each of our layers above what it lies on; the reader's own stay where they are."""
        layers = self.viewer.layers
        drawn = [layer for layer in layers if with_role(layer, MEASUREMENTS)]
        ours = [self.picture.layer, *self.classes.made, self.finding, *drawn]
        ours = [layer for layer in ours if layer is not None and layer in layers]
        if self.study in layers and ours:
            lowest = min(layers.index(layer) for layer in ours)
            if layers.index(self.study) > lowest:
                layers.move(layers.index(self.study), lowest)
        for below, above in pairwise(ours):
            if layers.index(above) < layers.index(below):
                layers.move(layers.index(above), layers.index(below) + 1)

    def _show_window(self) -> None:
        if self.review.volume is None or self.study is None or self.review.window is None:
            return
        attributes = windowed(self.review.volume, self.review.window)
        low, high = self.study.contrast_limits_range
        first, last = attributes["contrast_limits"]
        # Typed or dragged past what the voxels hold: napari would clip it (napari/napari#5228).
        self.study.contrast_limits_range = (min(low, first), max(high, last))
        self.study.colormap = attributes["colormap"]
        self.study.contrast_limits = attributes["contrast_limits"]

    # --- the point the planes cross at

    def _show_point(self) -> None:
        if self.placement is None:
            return
        axes = [axis + self.viewer.dims.ndim - 3 for axis in range(3)]
        self.viewer.dims.set_point(
            axes, [float(at) for at in self.placement.to_display(self.review.point_mm)]
        )

    def _on_step(self, event: object = None) -> None:
        """Tell the review that another slice is shown; of the other axes its point stays."""
        if (
            self.placement is None
            or self.review.volume is None
            or not self._flat
            or self.viewer.dims.ndim < 3
        ):
            return
        through = self.order()[0]
        at = np.array(self.placement.to_display(self.review.point_mm))
        shown = self.display_point()[through]
        if abs(at[through] - shown) > self.placement.scale[through] / 2 + 1e-6:
            at[through] = shown
            x, y, z = (float(one) for one in self.placement.to_world(at))
            self.review.go_to((x, y, z))

    # --- the evidence

    def _show_evidence(self) -> None:
        """Bring the evidence in line with the review: all as one picture, or a layer for each class."""
        if self.placement is None or self.review.volume is None:
            return
        reading, flat = self.review.reading, self.viewer.dims.ndisplay == 2
        if reading.explanation is None:
            self.classes.leave(self.placement)
        self.classes.show(reading, self.placement, on=flat and reading.look.layered)
        if flat and reading.visible and not reading.look.layered:
            self.picture.show(reading, self.placement, self.order()[0])
        else:
            self.picture.hide()

    def _on_ndisplay(self, event: object = None) -> None:
        """Come back from three dimensions where one was: napari steps to the middle."""
        self._flat = self.viewer.dims.ndisplay == 2 and self._flat
        if self.viewer.dims.ndisplay == 2:
            self._show_point()
            self._flat = True
        self._on_order()

    def _on_order(self, event: object = None) -> None:
        if self.viewer.dims.ndim >= 3:  # any viewer has two axes before the first scan
            self._show_convention()
            self._show_evidence()

    def _show_convention(self) -> None:
        """Let the patient's left be at the right, or at the left; a sagittal plane has no such sides."""
        mirrored = self.review.neurological and self.viewer.dims.ndim >= 3 and self.order()[-1] == _LEFT
        across = "left" if mirrored and self.viewer.dims.ndisplay == 2 else "right"
        self.viewer.scene.camera.orientation2d = ("down", across)
