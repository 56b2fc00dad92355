"""The colours of a class as Qt paints them: a gradient from low to high, a swatch, and one hue for a line."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRect, QSize
from qtpy.QtGui import QColor, QIcon, QLinearGradient, QPainter, QPixmap

from voxcam.export.style import COLOURS, SIGNED, colour_table
from voxcam.plugin.docks.theme import contrast

if TYPE_CHECKING:
    from typing import Any

# Where in its colours a class's own hue is: the seven hues are themselves there.
_HUE_AT = 0.6
# WCAG 2 asks this of lines in a drawing.
_SEEN = 3.0
_STOPS = 48
_SWATCH = QSize(40, 14)
_DENSITY = 3


def colour_words(colours: str) -> str:
    """Return what the palette calls a choice of colours."""
    return {
        "jet": "jet (not perceptual)",
        SIGNED: "signed: blue against the class, orange for it",
    }.get(colours, colours)


def offered() -> tuple[str, ...]:
    """Return `COLOURS` as the palette offers them: jet last, its bands are not in the evidence."""
    return (*(name for name in COLOURS if name != "jet"), "jet")


def gradient(colours: str, box: QRect, threshold: float = 0.0, *, on_black: bool = False) -> QLinearGradient:
    """Return the colours from low (left) to high; `on_black` as they look with their alpha over black."""
    fill = QLinearGradient(box.left(), 0, box.left() + box.width(), 0)
    for at, colour in _stops(colours, threshold, on_black):
        fill.setColorAt(at, QColor(colour))
    return fill


@lru_cache(maxsize=512)
def hue(colours: str, ground: str) -> str:
    """Return one colour that stands for `colours` in a line, and can be seen on `ground`."""
    at = 0.85 if colours == SIGNED else _HUE_AT
    red, green, blue = (float(value) for value in colour_table(colours)[round(255 * at), :3])
    tone, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    towards = 1.0 if contrast("#ffffff", ground) > contrast("#000000", ground) else 0.0
    shown = _hex((red, green, blue))
    for step in range(1, 21):
        if contrast(shown, ground) >= _SEEN:
            break
        level = lightness + (towards - lightness) * step / 20
        shown = _hex(colorsys.hls_to_rgb(tone, level, saturation))
    return shown


@lru_cache(maxsize=64)
def swatch(colours: str) -> QIcon:
    """Return a strip of the colours, low to high, for menus."""
    # Dense enough for any screen: Qt scales it down.
    pixmap = QPixmap(_SWATCH * _DENSITY)
    pixmap.setDevicePixelRatio(_DENSITY)
    box = QRect(0, 0, _SWATCH.width(), _SWATCH.height())
    painter = QPainter(pixmap)
    painter.fillRect(box, gradient(colours, box))
    painter.end()
    return QIcon(pixmap)


@lru_cache(maxsize=512)
def _stops(colours: str, threshold: float, on_black: bool) -> tuple[tuple[float, str], ...]:
    table = colour_table(colours, threshold)
    shown = table[:, :3] * table[:, 3:] if on_black else table[:, :3]
    picked = np.linspace(0, len(shown) - 1, _STOPS).round().astype(int)
    return tuple((float(n / (len(shown) - 1)), _hex(shown[n])) for n in picked)


def _hex(colour: Any) -> str:
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in colour)
