"""Words on the picture: orientation letters, which slice, the window, the badge, the scale bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcam.export.planes import PLANES, Slice
from voxcam.plugin.canvas.appearance import measured_nothing, moment_words
from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.frame import letters, place_volume
from voxcam.plugin.canvas.placing import order_of
from voxcam.plugin.canvas.plates import words_overlay
from voxcam.plugin.canvas.roles import CLASS, EVIDENCE_IN_DEPTH, STUDY, STUDY_IN_DEPTH, seen
from voxcam.plugin.canvas.sayings import (
    direction_letters,
    evidence_lines,
    grey_line,
    label_lines,
    side_words,
    study_lines,
)

if TYPE_CHECKING:
    from typing import Any

    from napari.components import ViewerModel

    from voxcam.core.volume import Volume
    from voxcam.plugin.review.review import Review

_EDGES = {"top": "top_center", "bottom": "bottom_center", "left": "middle_left", "right": "middle_right"}
_CORNERS = {"where": "top_left", "label": "bottom_left", "badge": "top_right", "welcome": "middle_center"}
# Few different letters: napari draws each for the first time in 3 ms.
_WELCOME = "drop a scan here"
# A picture is read on black whatever the theme; words lie on a dark plate, for bone is white.
_PAPER, _INK, _PLATE = "#000000", "#ffffff", (0.0, 0.0, 0.0, 0.62)
# napari cuts the size to whole points to measure the plate: of 9.999 it would be a point too narrow.
_LETTER, _WORDS = 15.01, 10.01


class Overlays:
    """Keep the words on the canvas as viewer and review have it."""

    def __init__(self, viewer: ViewerModel, review: Review) -> None:
        self.viewer, self.review = viewer, review
        self._paper_before = viewer.canvas.background_color_override
        viewer.canvas.background_color_override = _PAPER
        for name, position in (*_EDGES.items(), *_CORNERS.items()):
            size = _LETTER if name in _EDGES else _WORDS
            look = {"position": position, "font_size": size, "color": _INK, "box_color": _PLATE}
            viewer.canvas.overlays[f"voxcam_{name}"] = words_overlay(**look, box=True, visible=False)
        for signal in (review.study_changed, review.window_changed, review.look_changed):
            signal.connect(self.refresh)
        review.explanation_changed.connect(self.refresh)
        for emitter in (viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self._on_napari)
        viewer.scene.camera.events.orientation.connect(self._on_napari)
        viewer.scene.camera.events.angles.connect(self._on_turn)
        viewer.layers.events.inserted.connect(self._on_layer)
        viewer.layers.events.removed.connect(self.refresh)
        viewer.canvas.events.size.connect(self.refresh)
        viewer.canvas.overlays.scale_bar.font_size = _WORDS
        self._closed = False
        for layer in viewer.layers:
            self._watch(layer)
        self.refresh()

    def refresh(self, event: object = None) -> None:
        """Write every word anew; what has nothing to say is hidden."""
        if self._closed:
            return
        for name, words in self.words().items():
            overlay = self.viewer.canvas.overlays[f"voxcam_{name}"]
            if words and overlay.text != words:
                overlay.text = words
            if overlay.visible != bool(words):
                overlay.visible = bool(words)
        volume = self._volume()
        has_mm = volume is not None and volume.geometry.frame != "unknown"
        self.viewer.canvas.overlays.scale_bar.visible = has_mm

    def close(self) -> None:
        """Take every word away."""
        self._closed = True
        disconnect(self.viewer, self)
        for name in (*_EDGES, *_CORNERS):
            self.viewer.canvas.overlays[f"voxcam_{name}"].visible = False
        self.viewer.canvas.background_color_override = self._paper_before

    def words(self) -> dict[str, str]:
        """Return what stands at each edge and corner."""
        words = dict.fromkeys((*_EDGES, *_CORNERS), "")
        if self.review.volume is None:
            return words | {"welcome": "" if len(self.viewer.layers) else _WELCOME}
        volume, badge = self._volume(), ""
        if volume is not None:
            badge = study_lines(volume)
            words |= {"where": self._where(volume), **self._letters(volume)}
        if self.review.explanation is not None and len(self.viewer.layers):
            words["label"] = label_lines(self.viewer.canvas.size[1])
            badge = "\n".join(filter(None, (badge, evidence_lines(self.review.reading, self._drawn()))))
        return words | {"badge": badge}

    # --- what is on the canvas

    def _volume(self) -> Volume | None:
        """Return the study, if it is on the canvas: napari's own list can hide its layer, or delete it."""
        on_canvas = seen(self.viewer, STUDY, STUDY_IN_DEPTH) is not None and self.viewer.dims.ndim >= 3
        return self.review.volume if on_canvas else None

    def _drawn(self) -> tuple[str, ...]:
        """Return the classes whose evidence is drawn: in three dimensions one alone is."""
        if self.viewer.dims.ndisplay == 2:
            return self.review.visible
        layer = seen(self.viewer, EVIDENCE_IN_DEPTH)
        return () if layer is None else (layer.metadata[CLASS],)

    # --- the words

    def _where(self, volume: Volume) -> str:
        dims = self.viewer.dims
        lines = [grey_line(volume, self.review.window)]
        if dims.ndisplay == 2:
            through = order_of(self.viewer)[0]
            placement = place_volume(volume)
            at = (dims.point[-3 + through] - placement.translate[through]) / placement.scale[through]
            cut = Slice(np.empty((0, 0)), PLANES[through], round(float(at)), placement.geometry)
            # Two lines: beside other docks the picture is narrow.
            lines += cut.words.replace(", slice", "\nslice").split("\n")
            if measured_nothing(volume, through, cut.index):
                lines.append("nothing was measured here")
        elif volume.geometry.frame == "patient":
            lines.append(side_words(self.viewer.scene.camera.view_direction))
        if dims.ndim == 4:
            place, count = int(dims.current_step[0]), int(dims.nsteps[0])
            lines.append(moment_words(volume.fourth, place, count))
        return "\n".join(lines)

    def _letters(self, volume: Volume) -> dict[str, str]:
        """Return the anatomical direction at each edge."""
        camera = self.viewer.scene.camera
        if self.viewer.dims.ndisplay == 2:
            down, right = camera.orientation[-2:]
            found = letters(place_volume(volume), order_of(self.viewer), (str(down), str(right)))
            return found._asdict() if found else {}
        if volume.geometry.frame != "patient":
            return {}
        up, view = np.array(camera.up_direction), np.array(camera.view_direction)
        # (I, P, L) is right-handed, and so is napari's camera.
        across = np.cross(view, up)
        ways = {"top": up, "bottom": -up, "right": across, "left": -across}
        return {edge: direction_letters(way) for edge, way in ways.items()}

    # --- what napari tells

    def _on_napari(self, event: object = None) -> None:
        # Any viewer has two axes before the first scan.
        if self.viewer.dims.ndim >= 3:
            self.refresh()

    def _on_turn(self, event: object = None) -> None:
        if self.viewer.dims.ndisplay == 3:
            self.refresh()

    def _on_layer(self, event: Any) -> None:
        self._watch(event.value)
        self.refresh()

    def _watch(self, layer: Any) -> None:
        """Hear when the layer is shown, hidden, or shows another class, which its name tells."""
        layer.events.visible.connect(self.refresh)
        layer.events.name.connect(self.refresh)
