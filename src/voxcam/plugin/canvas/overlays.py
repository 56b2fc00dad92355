"""Words on the picture: orientation letters, which slice, the window, the badge, the scale bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.components.overlays import TextOverlay

from voxcam.export.planes import PLANES, Slice
from voxcam.plugin.canvas.appearance import frame_words, made_of, measured_nothing, moment_words
from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.frame import letters, place_volume
from voxcam.plugin.review.reading import NO_LAYER
from voxcam.plugin.review.review import LABEL

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.plugin.review.review import Review

_EDGES = {"top": "top_center", "bottom": "bottom_center", "left": "middle_left", "right": "middle_right"}
_CORNERS = {"where": "top_left", "label": "bottom_left", "badge": "top_right", "welcome": "middle_center"}
# Few different letters: napari draws each for the first time in 3 ms.
_WELCOME = "drop a scan here"
_MOST_NAMES = 3
_NARROW = 760  # canvas pixels across


class Overlays:
    """Keep the words on the canvas as viewer and review have it."""

    def __init__(self, viewer: ViewerModel, review: Review) -> None:
        self.viewer, self.review = viewer, review
        for name, position in (*_EDGES.items(), *_CORNERS.items()):
            size = 15 if name in _EDGES else 10
            box = name not in _EDGES
            overlay = TextOverlay(position=position, font_size=size, box=box, visible=False)
            viewer.canvas.overlays[f"voxcam_{name}"] = overlay
        for signal in (review.study_changed, review.window_changed, review.look_changed):
            signal.connect(self.refresh)
        review.explanation_changed.connect(self.refresh)
        for emitter in (viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self._on_napari)
        viewer.scene.camera.events.orientation.connect(self._on_napari)
        viewer.layers.events.inserted.connect(self.refresh)
        viewer.canvas.events.size.connect(self.refresh)
        viewer.canvas.overlays.scale_bar.font_size = 10
        self.refresh()

    def refresh(self, event: object = None) -> None:
        """Write every word anew; what has nothing to say is hidden."""
        for name, words in self.words().items():
            overlay = self.viewer.canvas.overlays[f"voxcam_{name}"]
            if words and overlay.text != words:
                overlay.text = words
            overlay.visible = bool(words)
        volume = self.review.volume
        has_mm = volume is not None and volume.geometry.frame != "unknown"
        self.viewer.canvas.overlays.scale_bar.visible = has_mm

    def close(self) -> None:
        """Take every word away."""
        for name in (*_EDGES, *_CORNERS):
            self.viewer.canvas.overlays[f"voxcam_{name}"].visible = False
        disconnect(self.viewer, self)

    def words(self) -> dict[str, str]:
        """Return what stands at each edge and corner."""
        words = dict.fromkeys((*_EDGES, *_CORNERS), "")
        volume = self.review.volume
        if volume is None:
            return words | {"welcome": "" if len(self.viewer.layers) else _WELCOME}
        placement = place_volume(volume)
        said = frame_words(volume, placement.badge).replace(": ", ":\n")
        badge = "\n".join(filter(None, (said, made_of(volume))))
        words |= {"where": self._where(), "badge": badge}
        if self.review.explanation is not None:
            words["label"] = self._label()
            words["badge"] = "\n".join(filter(None, (badge, self._evidence())))
        if self.viewer.dims.ndisplay == 2:
            down, right = self.viewer.scene.camera.orientation[-2:]
            found = letters(placement, self._order(), (str(down), str(right)))
            words |= found._asdict() if found else {}
        return words

    def _label(self) -> str:
        """Return the label in lines short enough to leave the lower letter free."""
        lines = LABEL.replace("diagnosis. ", "diagnosis.\n")
        if self.viewer.canvas.size[1] < _NARROW:
            lines = lines.replace("only. ", "only.\n").replace("model, ", "model,\n")
        return lines

    def _where(self) -> str:
        volume, window, dims = self.review.volume, self.review.window, self.viewer.dims
        if volume is None:
            return ""
        lines = [volume.modality or "image"]
        if window is not None:
            lines[0] += f"   {window}"
        if dims.ndisplay == 2:
            through = self._order()[0]
            placement = place_volume(volume)
            at = (dims.point[-3 + through] - placement.translate[through]) / placement.scale[through]
            cut = Slice(np.empty((0, 0)), PLANES[through], round(float(at)), placement.geometry)
            # Two lines: beside other docks the picture is narrow.
            lines += cut.words.replace(", slice", "\nslice").split("\n")
            if measured_nothing(volume, through, cut.index):
                lines.append("nothing was measured here")
        if dims.ndim == 4:
            place, count = int(dims.current_step[0]), int(dims.nsteps[0])
            lines.append(moment_words(volume.fourth, place, count))
        return "\n".join(lines)

    def _evidence(self) -> str:
        """Return what is seen in colour: the classes, the method, the unit of the colour bars."""
        names = self.review.visible
        if not names:
            return "evidence hidden" if self.review.look.hidden else "no evidence shown"
        heatmap = self.review.heatmap(names[0])
        if heatmap is None:
            return _few(names)
        where = "" if heatmap.layer == NO_LAYER else f" at {heatmap.layer}"
        return f"{_few(names)}\n{heatmap.method}{where}\nin {heatmap.unit_words}"

    def _order(self) -> tuple[int, int, int]:
        """Display axes as napari orders them, without time."""
        offset = self.viewer.dims.ndim - 3
        a, b, c = (axis - offset for axis in self.viewer.dims.order if axis >= offset)
        return a, b, c

    def _on_napari(self, event: object = None) -> None:
        # Any viewer has two axes before the first scan.
        if self.viewer.dims.ndim >= 3:
            self.refresh()


def _few(names: tuple[str, ...]) -> str:
    """Return the first names in a line, and how many more there are."""
    more = f", + {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
