"""Straight lines over napari's picture, as thick at any zoom: light on dark, so that any grey shows them.

An overlay of napari's scene, not a layer: it costs no slicing, is in no list, and is never selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import SceneOverlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE = (0.0, 0.0, 0.0, 0.43)


@dataclass(frozen=True, eq=False)
class Ends:
    """Where lines begin and end, in turn: display coordinates down and across, shape (2 * lines, 2)."""

    places: NDArray[np.float32]


class LinesOverlay(SceneOverlay):  # type: ignore[misc]
    """Lines over the picture.

    Parameters
    ----------
    ends
        `Ends`.
    ink
        Red, green, blue and alpha, 0..1.
    """

    ends: Any = None
    ink: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)


def is_drawable() -> bool:
    """Tell napari how the overlay is drawn; False if this napari keeps that elsewhere.

    napari has no public way to add a kind of overlay: without this there are no lines, and no error.
    """
    try:
        from napari._vispy.overlays.base import VispySceneOverlay
        from napari._vispy.utils.visual import overlay_to_visual
        from vispy.scene.visuals import Compound, Line
    except ImportError:
        return False
    if LinesOverlay in overlay_to_visual:
        return True

    class VispyLines(VispySceneOverlay):  # type: ignore[misc]
        """Draws a light line on a dark one."""

        def __init__(self, **rest: Any) -> None:
            self._lines = [
                Line(connect="segments", color=EDGE, width=4.0, antialias=False),
                Line(connect="segments", width=2.0, antialias=False),
            ]
            super().__init__(node=Compound(self._lines), **rest)
            self.overlay.events.ends.connect(self._on_ends_change)
            self.overlay.events.ink.connect(self._on_ends_change)
            self.reset()

        def _on_ends_change(self) -> None:
            ends = self.overlay.ends
            places = np.zeros((2, 2), np.float32) if ends is None or not len(ends.places) else ends.places
            for line, colour in zip(self._lines, (EDGE, self.overlay.ink), strict=True):
                line.set_data(pos=np.ascontiguousarray(places[:, ::-1]), color=colour)

        def reset(self) -> None:
            super().reset()
            self._on_ends_change()

    overlay_to_visual[LinesOverlay] = VispyLines
    return True
