"""A page measured in inches: themes, and text that never runs out of its place."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, final

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from voxcam.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ThemeName = Literal["dark", "light"]
FONT = "DejaVu Sans"  # comes with matplotlib, so that figures look the same everywhere
SMALLEST = 0.72  # of its size: how far a text may shrink before it is cut


@dataclass(frozen=True)
class Theme:
    """Colours of the page round the pictures; the pictures themselves are dark in every theme."""

    page: str
    ink: str
    quiet: str
    rule: str


THEMES: dict[str, Theme] = {
    "dark": Theme(page="#0d0f12", ink="#f2f3f5", quiet="#a3abb5", rule="#3a4048"),
    "light": Theme(page="#ffffff", ink="#16191d", quiet="#5a626c", rule="#c3c9d0"),
}


def theme_of(name: str) -> Theme:
    """Return a theme; an unknown name is an ExportError."""
    if name not in THEMES:
        raise ExportError(f"no theme {name!r}: there is {', '.join(THEMES)}")
    return THEMES[name]


def short(number: float) -> str:
    """Return `number` to four figures, never in powers of ten."""
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def minus(text: str) -> str:
    """Return `text` with a minus sign, not a hyphen, before numbers."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "\N{MINUS SIGN}", text)


@contextmanager
def plain_matplotlib() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever the user's settings are: the same input, the same bytes."""
    defaults = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    # Hinting rounds each letter to whole dots: a line would be up to a tenth longer at another resolution.
    with matplotlib.rc_context(defaults | {"text.hinting": "no_hinting"}):
        yield


@final
class Drawn(Figure):
    """A figure that knows what was drawn into it, and how."""

    provenance: Mapping[str, Any] = MappingProxyType({})

    def draw(self, renderer: Any) -> None:
        """Draw with the settings the text was measured with."""
        with plain_matplotlib():
            super().draw(renderer)


class Page:
    """A figure of a fixed size whose parts are placed in inches from the lower left corner."""

    def __init__(self, width: float, height: float, theme: Theme) -> None:
        self.theme, self.width, self.height = theme, width, height
        self.figure = Drawn(figsize=(width, height), facecolor=theme.page)
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()

    def axes(self, left: float, bottom: float, width: float, height: float) -> Any:
        """Return axes without frame or ticks."""
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def write(  # noqa: PLR0913 - where, what, how
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        room: float,
        align: str = "left",
        colour: str | None = None,
        bold: bool = False,
        backed: bool = False,
        upright: bool = False,
    ) -> float:
        """Write one line with its baseline at `y`, at most `room` inches long; return its length.

        A longer text shrinks to `SMALLEST` of its size; what is still too long is cut, with an ellipsis.
        `backed` puts a dark pane behind it, for writing over a picture.
        """
        artist = self.figure.text(
            x,
            y,
            text,
            transform=self.figure.dpi_scale_trans,
            fontsize=size,
            fontfamily=FONT,
            fontweight="bold" if bold else "normal",
            color=colour or self.theme.ink,
            ha=align,
            va="center" if upright else "baseline",
            rotation=90 if upright else 0,
            parse_math=False,  # a class called "T1 $" is no formula
        )
        if backed:
            artist.set_bbox(
                {"boxstyle": "round,pad=0.25", "facecolor": "black", "alpha": 0.55, "linewidth": 0}
            )
        self._fit(artist, room, upright=upright)
        return self._length(artist, upright=upright)

    def lines(self, text: str, size: float, room: float) -> list[str]:
        """Return `text` broken into lines at most `room` inches long."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.measure(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def measure(self, text: str, size: float) -> float:
        """Return the length of a line in inches; 0 of no text."""
        artist = self.figure.text(0, 0, text, fontsize=size, fontfamily=FONT, parse_math=False)
        length = self._length(artist, upright=False)
        artist.remove()
        return length

    def _fit(self, artist: Any, room: float, *, upright: bool) -> None:
        length = self._length(artist, upright=upright)
        if length > room:
            artist.set_fontsize(artist.get_fontsize() * max(SMALLEST, 0.99 * room / length))
        if self._length(artist, upright=upright) <= room:
            return
        text, fits, too_long = artist.get_text(), 0, len(artist.get_text())
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            artist.set_text(text[:middle].rstrip() + "…")
            if self._length(artist, upright=upright) <= room:
                fits = middle
            else:
                too_long = middle
        artist.set_text(text[:fits].rstrip() + "…")

    def _length(self, artist: Any, *, upright: bool) -> float:
        box = artist.get_window_extent(self._renderer)
        return float((box.height if upright else box.width) / self.figure.dpi)
