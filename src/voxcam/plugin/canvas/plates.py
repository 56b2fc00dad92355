"""Words on the picture, on a plate as wide as they are."""

from __future__ import annotations

from typing import Any

from napari.components.overlays import TextOverlay

# Letters as drawn are wider than Qt measures them, by up to so much of a line.
_WIDER = 0.06


class WordsOverlay(TextOverlay):  # type: ignore[misc]
    """Words on a plate."""


def words_overlay(**look: Any) -> TextOverlay:
    """Return words on a plate that covers them; if this napari draws overlays otherwise, on napari's own."""
    return (WordsOverlay if _is_drawable() else TextOverlay)(**look)


def _is_drawable() -> bool:
    """Tell napari how the words are drawn: it has no public way to add a kind of overlay."""
    try:
        from napari._vispy.overlays.text import VispyTextOverlay
        from napari._vispy.utils.visual import overlay_to_visual
    except ImportError:
        return False
    if WordsOverlay in overlay_to_visual:
        return True

    class VispyWords(VispyTextOverlay):  # type: ignore[misc]
        """Draws napari's words on a plate that is wide enough."""

        def _on_box_change(self) -> None:
            super()._on_box_change()
            if self.box.parent is not None and self.x_size > 0:
                self.box.width += _WIDER * self.x_size

    overlay_to_visual[WordsOverlay] = VispyWords
    return True
