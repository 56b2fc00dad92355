"""Words beside drawings: with a dark edge, which white bone needs, and none over another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import SceneOverlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIZE = 9.0
# Canvas pixels: of a line of words, of a letter, and between a drawing and its words.
LINE_PIXELS, LETTER_PIXELS, GAP_PIXELS = 21.0, 8.0, 4.0
_EDGE = "#000000"
_AROUND = [(y, x) for y in (-1.2, 0, 1.2) for x in (-1.2, 0, 1.2) if (y, x) != (0, 0)]


@dataclass(frozen=True)
class Caption:
    """Words whose upper left corner lies at display coordinates down and across."""

    words: str
    down: float
    across: float
    colour: str


class CaptionsOverlay(SceneOverlay):  # type: ignore[misc]
    """Words over the picture.

    Parameters
    ----------
    captions
        `Caption`s.
    pixel_mm
        The size of a screen pixel.
    """

    captions: tuple[Any, ...] = ()
    pixel_mm: float = 1.0


def apart(captions: Sequence[Caption], pixel_mm: float, *, mirrored: bool = False) -> tuple[Caption, ...]:
    """Return captions of which none lies over another: the lower one is moved further down.

    Parameters
    ----------
    mirrored
        Whether display coordinates across grow to the left of the screen.
    """
    placed: list[tuple[Caption, NDArray[np.float64]]] = []
    for one in sorted(captions, key=lambda caption: caption.down):
        box = _box(one, pixel_mm, mirrored=mirrored)
        while (hit := [other for _, other in placed if _overlap(box, other)]) != []:
            box[:2] += max(other[1] for other in hit) - box[0] + 1e-9 * pixel_mm
        moved = Caption(one.words, float(box[0]), one.across, one.colour)
        placed.append((moved, box))
    return tuple(caption for caption, _ in placed)


def is_drawable() -> bool:
    """Tell napari how captions are drawn; False if this napari keeps that elsewhere.

    napari has no public way to add a kind of overlay: without this there are no captions, and no error.
    """
    try:
        from napari._vispy.overlays.base import VispySceneOverlay
        from napari._vispy.utils.visual import overlay_to_visual
        from napari._vispy.visuals.text import Text
        from vispy.scene.visuals import Compound
    except ImportError:
        return False
    if CaptionsOverlay in overlay_to_visual:
        return True

    class VispyCaptions(VispySceneOverlay):  # type: ignore[misc]
        """Draws the words in colour on themselves in black, a pixel to every side."""

        def __init__(self, font_info: Any, **rest: Any) -> None:
            self._dark, self._light = (
                Text("", pos=(0, 0), font_info=font_info, anchor_x="left", anchor_y="bottom")
                for _ in range(2)
            )
            compound = Compound([self._dark, self._light])
            super().__init__(node=compound, font_info=font_info, **rest)
            for emitter in (self.overlay.events.captions, self.overlay.events.pixel_mm):
                emitter.connect(self._on_captions_change)
            self.reset()

        def _on_captions_change(self) -> None:
            said = self.overlay.captions or (Caption("", 0, 0, _EDGE),)
            places = np.array([(one.across, one.down) for one in said], dtype=np.float32)
            beside = np.array(_AROUND, dtype=np.float32)[:, ::-1] * self.overlay.pixel_mm
            words = [one.words for one in said]
            self._write(self._light, words, places, [one.colour for one in said])
            edges = (places[:, None] + beside).reshape(-1, 2)
            self._write(self._dark, [one for one in words for _ in beside], edges, _EDGE)

        def _write(self, node: Any, words: list[str], places: Any, colour: Any) -> None:
            node.font_size, node.text, node.pos, node.color = SIZE, words, places, colour

        def reset(self) -> None:
            super().reset()
            self._on_captions_change()

    overlay_to_visual[CaptionsOverlay] = VispyCaptions
    return True


def _box(caption: Caption, pixel_mm: float, *, mirrored: bool) -> NDArray[np.float64]:
    """Return top, bottom, left and right on the screen, mm."""
    lines = caption.words.split("\n")
    left = -caption.across if mirrored else caption.across
    tall = len(lines) * LINE_PIXELS * pixel_mm
    wide = max(len(line) for line in lines) * LETTER_PIXELS * pixel_mm
    return np.array([caption.down, caption.down + tall, left, left + wide])


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3])
