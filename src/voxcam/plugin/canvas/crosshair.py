"""The point at which the planes cross, marked on napari's own canvas, and moved by a click on it.

An overlay of napari's scene, not a layer: it costs no slicing, is in no list, and is never selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import SceneOverlay
from psygnal import Signal

from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.placing import order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from voxcam.plugin.canvas.frame import Placement
    from voxcam.plugin.review.review import Review

NAME = "voxcam_crosshair"
_GAP = 9.0  # canvas pixels left out round the point
_STILL = 4.0  # canvas pixels a hand moves in a click
_INK, _EDGE = (0.95, 0.95, 0.96, 0.67), (0.0, 0.0, 0.0, 0.43)

End = tuple[float, float]


class CrosshairOverlay(SceneOverlay):  # type: ignore[misc]
    """Straight lines over the picture.

    Parameters
    ----------
    ends
        Where they begin and end, in turn: display coordinates down and across, mm.
    """

    ends: tuple[End, ...] = ()


class Crosshair:
    """Keep the crossing point on the canvas as the review has it; a click asks for another.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    review
        What is read.
    placement_of
        Returns where the study is shown; None without one. It is asked when the review tells of a change:
        what keeps it must have been connected before.
    """

    asked = Signal(object)  # world point, RAS+ mm

    def __init__(
        self, viewer: ViewerModel, review: Review, placement_of: Callable[[], Placement | None]
    ) -> None:
        self.viewer, self.review, self._placement_of = viewer, review, placement_of
        self.is_on = _is_drawable()
        self.overlay = CrosshairOverlay()
        viewer.scene.overlays[NAME] = self.overlay
        for signal in (review.study_changed, review.point_changed):
            signal.connect(self.refresh)
        for emitter in (viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self._on_napari)
        viewer.scene.camera.events.zoom.connect(self._on_napari)
        viewer.mouse_drag_callbacks.append(self._on_press)
        self.refresh()

    def show(self, on: bool) -> None:
        """Draw the point, or leave it out."""
        self.is_on = on and _is_drawable()
        self.refresh()

    def refresh(self) -> None:
        """Draw the point where it is now."""
        placement = self._placement_of()
        seen = self.is_on and placement is not None and self._crosses(placement)
        if seen and placement is not None:
            self.overlay.ends = self._ends(placement)
        self.overlay.visible = seen

    def close(self) -> None:
        """Leave the canvas as it was found."""
        self.show(False)
        disconnect(self.viewer, self)

    # --- where it lies

    def _crosses(self, placement: Placement) -> bool:
        """Whether a plane is shown, and other planes cross it: none do of an image one slice deep."""
        dims = self.viewer.dims
        return dims.ndisplay == 2 and dims.ndim >= 3 and 1 not in placement.geometry.shape

    def _ends(self, placement: Placement) -> tuple[End, ...]:
        """Return two lines over the study's box that leave out what they point at."""
        at = placement.to_display(self.review.point_mm)
        low = np.array(placement.translate) - np.array(placement.scale) / 2
        high = low + np.array(placement.scale) * placement.geometry.shape
        gap = _GAP / self.viewer.scene.camera.zoom
        _, down, across = order_of(self.viewer)
        lines = [
            *[
                ((at[down], x), (at[down], to_x))
                for x, to_x in _pieces(at[across], gap, low[across], high[across])
            ],
            *[
                ((y, at[across]), (to_y, at[across]))
                for y, to_y in _pieces(at[down], gap, low[down], high[down])
            ],
        ]
        # Rounded, so that a step through the slices, which moves nothing on them, draws nothing.
        return tuple((round(float(y), 5), round(float(x), 5)) for line in lines for y, x in line)

    # --- what napari tells

    def _on_napari(self, event: object = None) -> None:
        self.refresh()

    def _on_press(self, viewer: ViewerModel, event: Any) -> Iterator[None]:
        """Ask for the point that is clicked; what is dragged is the picture."""
        if not self._takes(event):
            return
        began, still = np.array(event.pos, dtype=float), True
        position = np.array(event.position[-3:], dtype=float)
        yield
        while event.type == "mouse_move":
            still = still and float(np.abs(np.array(event.pos) - began).max()) <= _STILL
            yield
        if still:
            self._ask(position)

    def _takes(self, event: Any) -> bool:
        """Whether a press is meant for the picture: the left button alone, and no tool in the hand."""
        active = self.viewer.layers.selection.active
        at_rest = getattr(active, "mode", "pan_zoom") == "pan_zoom"
        free = self.is_on and at_rest and not event.handled and not event.modifiers
        return bool(event.button == 1 and self.viewer.dims.ndisplay == 2 and free)

    def _ask(self, position: NDArray[np.float64]) -> None:
        placement = self._placement_of()
        if placement is None:
            return
        # The slice may be shown from beside the point: across the plane the point stays.
        through = order_of(self.viewer)[0]
        position[through] = placement.to_display(self.review.point_mm)[through]
        world = placement.to_world(position)
        if bool(placement.geometry.contains(world)):
            self.asked.emit(tuple(float(one) for one in world))


def _pieces(at: float, gap: float, low: float, high: float) -> list[tuple[float, float]]:
    """Return what is left of a line from `low` to `high` beside a gap round `at`."""
    before, after = min(max(at - gap, low), high), min(max(at + gap, low), high)
    return [(low, before), (after, high)]


def _is_drawable() -> bool:
    """Tell napari how the overlay is drawn; False if this napari keeps that elsewhere.

    napari has no public way to add a kind of overlay: without this there is no crosshair, and no error.
    """
    try:
        from napari._vispy.overlays.base import VispySceneOverlay
        from napari._vispy.utils.visual import overlay_to_visual
        from vispy.scene.visuals import Compound, Line
    except ImportError:
        return False
    if CrosshairOverlay in overlay_to_visual:
        return True

    class VispyCrosshair(VispySceneOverlay):  # type: ignore[misc]
        """Draws a light line on a dark one: it is seen on any grey."""

        def __init__(self, **rest: Any) -> None:
            self._lines = [
                Line(connect="segments", color=colour, width=width, antialias=False)
                for colour, width in ((_EDGE, 3), (_INK, 1))
            ]
            super().__init__(node=Compound(self._lines), **rest)
            self.overlay.events.ends.connect(self._on_ends_change)
            self.reset()

        def _on_ends_change(self) -> None:
            places = np.array(self.overlay.ends, dtype=np.float32).reshape(-1, 2)[:, ::-1]
            for line in self._lines:
                line.set_data(pos=places if len(places) else np.zeros((2, 2), np.float32))

        def reset(self) -> None:
            super().reset()
            self._on_ends_change()

    overlay_to_visual[CrosshairOverlay] = VispyCrosshair
    return True
