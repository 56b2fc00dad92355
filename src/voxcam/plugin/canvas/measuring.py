"""Measuring on napari's canvas: what was drawn on each study, its numbers, and the layer that shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from voxcam.plugin.canvas.deafness import disconnect
from voxcam.plugin.canvas.drawing import Drawing
from voxcam.plugin.canvas.measure_layer import MeasureLayer, Shown
from voxcam.plugin.canvas.shown_slice import ShownSlice
from voxcam.plugin.review.measures import Measurements, measured
from voxcam.plugin.review.regions import KINDS, Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.plugin.review.measures import Measured
    from voxcam.plugin.review.reading import Point
    from voxcam.plugin.review.regions import Kind
    from voxcam.plugin.review.review import Review

_ZOOMED = 1.4  # from here on lines are drawn anew, to be as wide on the screen as before


class Measuring:
    """Draw on the slice shown, pull what was drawn, and keep the numbers.

    With a tool: drag a distance or a region; click, or drag, the points of an angle. Without: drag a
    corner or a line of what is there, which chooses it. Escape gives up, Delete drops what is chosen.

    Parameters
    ----------
    viewer
        napari's viewer.
    review
        What is read.
    """

    changed = Signal()  # what was drawn, its numbers, or what is chosen
    tool_changed = Signal()

    def __init__(self, viewer: ViewerModel, review: Review) -> None:
        self.viewer, self.review = viewer, review
        self.drawn, self.layer = Measurements(), MeasureLayer(viewer)
        self.tool: Kind | None = None
        self.chosen: int | None = None
        self.found: tuple[Measured, ...] = ()
        self.slice = ShownSlice(viewer, review)
        self.drawing = Drawing(self.slice, self)
        self._zoom, self._moment = 1.0, 0
        self._counted: Volume | None = None
        self._evidence: tuple[object, ...] = ()
        for key in ("Delete", "Backspace"):
            viewer.bind_key(key, lambda _: self.remove(), overwrite=True)
        viewer.bind_key("Escape", lambda _: self.give_up(), overwrite=True)
        review.study_changed.connect(self._on_study)
        review.explanation_changed.connect(self._on_evidence)
        review.look_changed.connect(self._on_evidence)
        review.convention_changed.connect(self._on_plane)  # words lie at the left of what they name
        viewer.dims.events.order.connect(self._on_plane)
        viewer.dims.events.ndisplay.connect(self._on_plane)
        viewer.dims.events.current_step.connect(self._on_step)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)
        self._on_study()

    def close(self) -> None:
        """Draw no more; what was drawn is hidden."""
        self.layer.hide()
        for listener in (self, self.drawing):
            disconnect(self.viewer, listener)
        for key in ("Delete", "Backspace", "Escape"):
            self.viewer.bind_key(key, None)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was drawn on the study on the screen; `found` has the numbers, in the same order."""
        return self.drawn.of(self.review.volume)

    def points(self, number: int) -> NDArray[np.float64]:
        """Return the display coordinates (n, 3) of a measurement."""
        if self.slice.placement is None:
            raise RuntimeError("no study is open")
        return self.slice.placement.to_display(self.measurements[number].points_mm)

    def middle_mm(self, number: int) -> Point:
        """Return the world point in the middle of a measurement, to go to it."""
        x, y, z = (float(at) for at in np.mean(self.measurements[number].points_mm, axis=0))
        return x, y, z

    def use(self, tool: Kind | None) -> None:
        """Take a tool, or lay it down: the mouse then moves the picture again."""
        if tool is not None and tool not in KINDS:
            raise ValueError(f"no tool {tool!r}: there is {', '.join(KINDS)}")
        self.drawing.pending = []
        self.tool = tool
        self.show()
        self.tool_changed.emit()

    def give_up(self) -> None:
        """Drop what is being drawn; if nothing is, lay the tool down; without one, choose nothing."""
        if self.drawing.pending:
            self.drawing.pending = []
            self.show()
        elif self.tool is not None:
            self.use(None)
        else:
            self.choose(None)

    def choose(self, number: int | None) -> None:
        """Choose a measurement, from 0; None for none."""
        if number != self.chosen and (number is None or 0 <= number < len(self.measurements)):
            self.chosen = number
            self.show()
            self.changed.emit()

    def add(self, points: NDArray[np.float64]) -> None:
        """Take what the tool drew, in display coordinates (n, 3)."""
        volume = self.review.volume
        if volume is not None and self.tool is not None:
            self.drawn.add(volume, Measurement(self.tool, self._world(points), self.slice.through))
            self.chosen = len(self.measurements) - 1
            self.count()

    def change(self, number: int, points: NDArray[np.float64]) -> None:
        """Let a measurement have other points, in display coordinates (n, 3)."""
        volume = self.review.volume
        if volume is not None:
            what = replace(self.measurements[number], points_mm=self._world(points))
            self.drawn.change(volume, number, what)
            found = measured(what, self.review.reading, self.slice.moment)
            self.found = (*self.found[:number], found, *self.found[number + 1 :])
            self.show()

    def remove(self, numbers: Sequence[int] | None = None) -> None:
        """Drop measurements, from 0; without numbers the chosen one."""
        chosen = () if self.chosen is None else (self.chosen,)
        gone = chosen if numbers is None else tuple(numbers)
        if self.review.volume is not None and gone:
            self.drawn.remove(self.review.volume, gone)
            self.chosen = None
            self.count()

    def count(self) -> None:
        """Find the numbers of all measurements anew, and show them."""
        self._moment, self._counted = self.slice.moment, self.review.volume
        self.found = tuple(measured(what, self.review.reading, self._moment) for what in self.measurements)
        self.show()
        self.changed.emit()

    def show(self) -> None:
        """Show what lies in the plane on the screen, and what is being drawn."""
        if self.slice.placement is None or self.viewer.dims.ndim < 3:
            self.layer.hide()
            return
        if self._counted is not self.review.volume:
            return  # another study came, and its plane before word of it: the numbers follow
        self._zoom = float(self.viewer.scene.camera.zoom)
        through = self.slice.through
        shown = [
            Shown(what.kind, self.points(number), self._words(number), number == self.chosen)
            for number, what in enumerate(self.measurements)
            if what.through == through
        ]
        self.layer.show(self.slice.placement, through, [*shown, *self._being_drawn()])

    # --- steps

    def _words(self, number: int) -> str:
        return f"{number + 1}:  {self.found[number].caption}"

    def _being_drawn(self) -> list[Shown]:
        pending = np.array(self.drawing.pending)
        if self.tool is None or len(pending) < 2 or self.review.volume is None:
            return []
        if self.tool == "angle" and len(pending) == 2:
            return [Shown("distance", pending, " ")]
        if self.tool == "freehand":
            return [Shown("freehand", pending, " ")] if len(pending) > 2 else []
        what = Measurement(self.tool, self._world(pending), self.slice.through)
        words = measured(what, self.review.reading, self.slice.moment).caption
        return [Shown(self.tool, pending, words)]

    def _world(self, points: NDArray[np.float64]) -> tuple[Point, ...]:
        if self.slice.placement is None:
            raise RuntimeError("no study is open")
        return tuple((float(x), float(y), float(z)) for x, y, z in self.slice.placement.to_world(points))

    def _on_study(self) -> None:
        self.drawing.pending, self.chosen, self.found = [], None, ()
        if self.tool is not None:
            self.tool = None
            self.tool_changed.emit()
        self.count()

    def _on_evidence(self) -> None:
        # A threshold or an opacity changes how evidence is seen, not how much there is.
        reading = self.review.reading
        evidence = (reading.explanation, reading.look.method, reading.look.layer, reading.visible)
        if evidence != self._evidence:
            self._evidence = evidence
            if self.found:
                self.count()

    def _on_plane(self, event: object = None) -> None:
        self.drawing.pending = []
        if self.found or self.tool:
            self.show()

    def _on_step(self, event: object = None) -> None:
        # The point the planes cross at may move within the slice: what is being drawn stays.
        if self.drawing.pending and self.slice.number != self.drawing.slice_number:
            self.drawing.pending = []
            self.show()
        if self.found and self.slice.moment != self._moment:
            self.count()

    def _on_zoom(self, event: object = None) -> None:
        ratio = float(self.viewer.scene.camera.zoom) / self._zoom
        if self.found and not 1 / _ZOOMED < ratio < _ZOOMED:
            self.show()
