"""The colours of words and marks in napari's current theme, light enough or dark enough to be read."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import Signal as Told
from qtpy.compat import isalive
from qtpy.QtCore import QObject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtWidgets import QWidget

    RGB = tuple[float, float, float]

# WCAG 2 AA asks this of text; here of every colour that a word may have.
READABLE = 4.5
# napari's default dark theme, for where napari is not installed.
_DARK: Mapping[str, RGB] = {
    "background": (35, 36, 43),
    "foreground": (46, 51, 62),
    "secondary": (86, 95, 108),
    "text": (240, 241, 242),
    "warning": (227, 182, 23),
    "error": (153, 18, 31),
    "current": (69, 96, 196),
}
_GREEN: RGB = (70, 170, 100)
# How much of the text's colour is left in words that step back.
_QUIET = 0.62


@dataclass(frozen=True)
class Colours:
    """Hex colours; all but line, panel and background can be read on either of the last two."""

    text: str
    quiet: str
    warning: str
    error: str
    good: str
    accent: str
    line: str
    panel: str
    background: str


def colours() -> Colours:
    """Return the colours for napari's current theme."""
    theme = _current()
    grounds = (theme["background"], theme["foreground"])
    text = _readable(theme["text"], grounds)

    def shown(colour: RGB) -> str:
        return _hex(_readable(colour, grounds))

    return Colours(
        text=_hex(text),
        quiet=shown(_mixed(theme["background"], text, _QUIET)),
        warning=shown(theme["warning"]),
        error=shown(theme["error"]),
        good=shown(_GREEN),
        accent=shown(theme["current"]),
        line=_hex(theme["secondary"]),
        panel=_hex(theme["foreground"]),
        background=_hex(theme["background"]),
    )


def follow(widget: QWidget, restyle: Callable[[], object]) -> None:
    """Call `restyle` now and at each change of the theme, for as long as `widget` lives."""
    restyle()
    follower = _Follower(widget, restyle)
    try:
        from napari.settings import get_settings
    except ImportError:
        return
    # napari keeps a bound method weakly: the follower lives and dies with the widget, its parent.
    get_settings().appearance.events.theme.connect(follower.restyle)
    _WORN.changed.connect(follower.restyle)


def wear(theme: str) -> None:
    """Take note of the theme of the viewer itself, which its menu and its script set past the settings."""
    if theme != _WORN.theme:
        _WORN.theme = theme
        _WORN.changed.emit()


class _Worn:
    """The theme of the viewer in use; "" until one was told."""

    changed = Told()
    theme = ""


_WORN = _Worn()


class _Follower(QObject):  # type: ignore[misc]
    def __init__(self, widget: QWidget, restyle: Callable[[], object]) -> None:
        super().__init__(widget)
        self._restyle = restyle

    def restyle(self, event: Any = None) -> None:
        if event is not None:
            _WORN.theme = ""  # the settings were changed: they say it now
        # Python may still know a widget that Qt has deleted.
        if isalive(self):
            self._restyle()


def contrast(one: str, other: str) -> float:
    """Return the WCAG 2 contrast ratio of two hex colours, 1 to 21."""
    return _contrast(_rgb(one), _rgb(other))


def _current() -> Mapping[str, RGB]:
    try:
        from napari.settings import get_settings
        from napari.utils.theme import get_theme

        theme = get_theme(_WORN.theme or get_settings().appearance.theme)
    except (ImportError, ValueError):  # no napari, or the theme of a plugin that is gone
        return _DARK
    return {name: getattr(theme, name).as_rgb_tuple(alpha=False) for name in _DARK}


def _readable(colour: RGB, grounds: tuple[RGB, ...]) -> RGB:
    """Return the hue, as little lighter or darker as it takes to be read on every ground."""
    dark = max(_luminance(ground) for ground in grounds) < 0.18
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    end = 1.0 if dark else 0.0
    for step in range(41):
        level = lightness + (end - lightness) * step / 40
        red, green, blue = (round(255 * value) for value in colorsys.hls_to_rgb(hue, level, saturation))
        if all(_contrast((red, green, blue), ground) >= READABLE for ground in grounds):
            break
    return red, green, blue


def _contrast(one: RGB, other: RGB) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: RGB) -> float:
    red, green, blue = (_linear(value / 255) for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _mixed(one: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _hex(colour: RGB) -> str:
    return "#" + "".join(f"{round(value):02x}" for value in colour)


def _rgb(colour: str) -> RGB:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
