"""The left mouse button as a tool: points are set, regions drawn, and what is there is pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.plugin.review.handles import box, held, pulled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voxcam.plugin.canvas.measuring import Measuring
    from voxcam.plugin.canvas.shown_slice import ShownSlice

LEFT = 1  # as vispy counts buttons
POINTS = {"distance": 2, "angle": 3}
_REACH_PIXELS = 7.0  # how near a line is held by
_A_CLICK_PIXELS = 4.0  # what moves less was a click
_BY_HAND_PIXELS = 3.0  # between the corners of a region drawn by hand


class Drawing:
    """Turn what the mouse does on napari's canvas into measurements.

    Parameters
    ----------
    slice_
        The slice on the screen.
    measuring
        Is told what is drawn, chosen and pulled.
    """

    def __init__(self, slice_: ShownSlice, measuring: Measuring) -> None:
        self.slice, self.measuring = slice_, measuring
        self.pending: list[NDArray[np.float64]] = []
        self.slice_number = 0  # on which it was begun
        # Before others that take a click: they see that it is dealt with.
        slice_.viewer.mouse_drag_callbacks.insert(0, self._press)
        slice_.viewer.mouse_move_callbacks.append(self._hover)

    def _press(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self._takes(event):
            return
        self.slice_number = self.slice.number
        if self.measuring.tool is None:
            yield from self._pull(event)
        elif self.measuring.tool in POINTS:
            yield from self._points(event)
        else:
            yield from self._region(event)

    def _takes(self, event: Any) -> bool:
        """Whether a press is for us: the left button alone, and no tool of napari's in hand."""
        active = self.slice.viewer.layers.selection.active
        at_rest = getattr(active, "mode", "pan_zoom") == "pan_zoom"
        return event.button == LEFT and not len(event.modifiers) and self.slice.is_flat and at_rest

    def _points(self, event: Any) -> Iterator[None]:
        """Set the points of a distance or an angle: each by a click, or by letting go after a drag."""
        # What is dealt with here never reaches vispy's camera, which moves the picture.
        event.handled = True
        began, first = np.array(event.pos), not self.pending
        self.pending = self.pending or [self.slice.place(event), self.slice.place(event)]
        yield
        while event.type == "mouse_move":
            event.handled = True
            self._hover(self.slice.viewer, event)
            yield
        dragged = np.linalg.norm(np.array(event.pos) - began) >= _A_CLICK_PIXELS
        if not self.pending or (first and not dragged):
            return  # given up on the way; or the first point alone
        self.pending[-1] = self.slice.place(event)
        if len(self.pending) == POINTS[str(self.measuring.tool)]:
            self._finish()
        else:
            self.pending.append(self.slice.place(event))

    def _region(self, event: Any) -> Iterator[None]:
        """Draw a region in one drag."""
        event.handled = True
        corners, last = [self.slice.place(event)], np.array(event.pos)
        yield
        while event.type == "mouse_move":
            event.handled = True
            if self.measuring.tool != "freehand":
                self.pending = self._box(corners[0], self.slice.place(event))
            elif np.linalg.norm(np.array(event.pos) - last) >= _BY_HAND_PIXELS:
                last = np.array(event.pos)
                corners.append(self.slice.place(event))
                self.pending = list(corners)
            self.measuring.show()
            yield
        self._finish()

    def _pull(self, event: Any) -> Iterator[None]:
        """Choose what lies under the mouse and let it be pulled; of nothing there, the picture moves."""
        start = self.slice.place(event)
        number, part = self._under(start)
        if number < 0:
            return
        event.handled = True
        measuring, plane = self.measuring, self.slice.plane
        measuring.choose(number)
        kind, corners = measuring.measurements[number].kind, measuring.points(number)
        yield
        while event.type == "mouse_move":
            event.handled = True
            points = corners.copy()
            to = self.slice.place(event)[plane]
            points[:, plane] = pulled(kind, corners[:, plane], part, start[plane], to)
            measuring.change(number, points)
            yield
        measuring.count()

    def _hover(self, viewer: Any, event: Any) -> None:
        """Let the point that is set next follow the mouse."""
        if self.pending and self.measuring.tool in POINTS and self.slice.is_flat:
            self.pending[-1] = self.slice.place(event)
            self.measuring.show()

    def _finish(self) -> None:
        points, self.pending = np.array(self.pending), []
        if self._is_large_enough(points):
            self.measuring.add(points)
        else:
            self.measuring.show()

    def _is_large_enough(self, points: NDArray[np.float64]) -> bool:
        least = 3 if self.measuring.tool == "freehand" else 2
        if len(points) < least:
            return False
        size = np.ptp(points[:, self.slice.plane], axis=0) / self.slice.pixel_mm
        return bool((size.max() if self.measuring.tool in POINTS else size.min()) >= _A_CLICK_PIXELS)

    def _box(self, first: NDArray[np.float64], last: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        corners = np.repeat(first[None], 4, axis=0)
        corners[:, self.slice.plane] = box(first[self.slice.plane], last[self.slice.plane])
        return list(corners)

    def _under(self, at: NDArray[np.float64]) -> tuple[int, int]:
        """Return which measurement of this slice is held at a place, and by what; -1 for none."""
        reach, plane, through = _REACH_PIXELS * self.slice.pixel_mm, self.slice.plane, self.slice.through
        for number, what in reversed(list(enumerate(self.measuring.measurements))):
            points = self.measuring.points(number)
            if what.through == through and abs(points[0] - at)[through] < 1e-3:
                part = held(what.kind, points[:, plane], at[plane], reach)
                if part is not None:
                    return number, part
        return -1, 0
