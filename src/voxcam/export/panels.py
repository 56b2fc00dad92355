"""One picture on a page: pixels in true proportion, letters, scale bar, contours, marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

from voxcam.export.style import MASK_COLOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.export.page import Page
    from voxcam.export.planes import Slice

Box = tuple[float, float, float, float]  # left, bottom, width, height in inches

WHITE = "#f2f3f5"
INSET = 0.12  # inches from the picture's corner to the scale bar
_ROUND = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture of a slice and what is drawn on it.

    Parameters
    ----------
    picture
        Shape (rows, columns, 3), 0..1.
    slice
        Where it lies: letters and pixel sizes.
    title, title_beside
        Above it: at the left, and quieter after it.
    note
        Written into the picture, at its top.
    drawn, unseen
        Bool (rows, columns): the drawn mask, and where the network saw nothing. None or empty: no line.
    peak, crossing
        (row, column) of a ring, and of a pair of lines.
    """

    picture: NDArray[np.float64]
    slice: Slice
    title: str = ""
    title_beside: str = ""
    note: str = ""
    drawn: NDArray[np.bool_] | None = None
    unseen: NDArray[np.bool_] | None = None
    peak: tuple[float, float] | None = None
    crossing: tuple[float, float] | None = None

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width."""
        rows, columns = self.picture.shape[:2]
        down, across = self.slice.pixel_mm
        return rows * down, columns * across


def scale_bar(slice_: Slice, reach: float | None = None) -> tuple[float, str]:
    """Return the length in pixels and the label of a bar of a round length.

    In mm; of a radiograph in mm at its detector; without known spacing in pixels.

    Parameters
    ----------
    reach
        The longest it may be, mm; 0.4 of the width unless told.
    """
    across = slice_.pixel_mm[1]
    reach = 0.4 * slice_.pixels.shape[1] * across if reach is None else reach
    if slice_.frame == "unknown":
        pixels = max((n for n in _ROUND if n <= reach / across), default=1)
        return float(pixels), f"{pixels} px"
    length = max((n for n in _ROUND if n <= reach), default=reach)
    where = " at the detector" if slice_.frame == "detector" else ""
    return length / across, f"{length:.2g} mm{where}" if length < 1 else f"{length:g} mm{where}"


def draw_panel(
    page: Page, panel: Panel, corner: tuple[float, float], inch_per_mm: float, bar_mm: float
) -> None:
    """Draw `panel` with the picture's lower left `corner` at (left, bottom) inches.

    The scale bar is at most `bar_mm` long.
    """
    left, bottom = corner
    height, width = (size * inch_per_mm for size in panel.size_mm)
    axes = page.axes(left, bottom, width, height)
    rows, columns = panel.picture.shape[:2]
    finer_than_print = columns > width * 200 or rows > height * 200
    smoothing = "hanning" if finer_than_print else "bilinear"
    axes.imshow(np.clip(panel.picture, 0, 1), aspect="auto", interpolation=smoothing)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    box = (left, bottom, width, height)
    _contours(axes, panel)
    _marks(page, axes, panel, box)
    _letters(page, panel, box)
    _scale_bar(page, axes, panel, box, bar_mm)
    if panel.note:
        below_top = left + width / 2, bottom + max(height - 0.24, height / 2)
        page.write(*below_top, panel.note, 8.5, room=width - 0.2, align="center", colour=WHITE, backed=True)


def _contours(axes: Any, panel: Panel) -> None:
    if panel.drawn is not None and panel.drawn.any():
        # A border of nothing closes the line where the mask reaches the edge.
        rows, columns = panel.drawn.shape
        outline = axes.contour(
            np.arange(-1, columns + 1), np.arange(-1, rows + 1), np.pad(panel.drawn, 1).astype(float), [0.5]
        )
        outline.set(edgecolor=MASK_COLOUR, linewidth=1.1)
        outline.set_path_effects([withStroke(linewidth=2.2, foreground="black", alpha=0.7)])
    if panel.unseen is not None and panel.unseen.any() and not panel.unseen.all():
        border = axes.contour(panel.unseen.astype(float), [0.5])
        border.set(edgecolor="#8a929c", linewidth=0.8, linestyle=(0, (3, 2)))


def _marks(page: Page, axes: Any, panel: Panel, box: Box) -> None:
    if panel.crossing is not None:
        row, column = panel.crossing
        thin = {"color": WHITE, "linewidth": 0.6, "alpha": 0.55}
        axes.axhline(row, **thin)
        axes.axvline(column, **thin)
    if panel.peak is not None:
        row, column = panel.peak
        rows, columns = panel.picture.shape[:2]
        left, bottom, width, height = box
        centre = left + (column + 0.5) / columns * width, bottom + (1 - (row + 0.5) / rows) * height
        for colour, thickness in (("black", 2.2), (WHITE, 1.0)):
            page.figure.add_artist(
                Circle(
                    centre,
                    0.07,
                    transform=page.figure.dpi_scale_trans,
                    fill=False,
                    edgecolor=colour,
                    linewidth=thickness,
                )
            )


def _letters(page: Page, panel: Panel, box: Box) -> None:
    """Write the directions outside the picture, where they hide nothing and fit a strip as well."""
    letters = panel.slice.letters
    if letters is None:
        return
    left, bottom, width, height = box
    across, down = left + width / 2, bottom + height / 2 - 0.042
    places = (
        (across, bottom + height + 0.055, letters.top),
        (across, bottom - 0.15, letters.bottom),
        (left - 0.1, down, letters.left),
        (left + width + 0.1, down, letters.right),
    )
    for x, y, letter in places:
        page.write(x, y, letter, 8.5, room=0.2, align="center", colour=page.theme.quiet)


def _scale_bar(page: Page, axes: Any, panel: Panel, box: Box, reach: float) -> None:
    """Draw bar and label on a dark pane in the lower left corner; all lengths in inches but the bar's."""
    left, bottom, width, height = box
    rows, columns = panel.picture.shape[:2]
    pixels, label = scale_bar(panel.slice, reach)
    level = min(0.12, height / 4)
    room = width - 2 * INSET
    length = page.write(left + INSET, bottom + level + 0.065, label, 7.5, room=room, colour=WHITE)
    per_x, per_y = columns / width, rows / height

    def placed(x: float, y: float, size: tuple[float, float], **look: Any) -> Rectangle:
        # Rows grow downwards.
        corner = (x * per_x - 0.5, rows - 0.5 - (y + size[1]) * per_y)
        return Rectangle(corner, size[0] * per_x, size[1] * per_y, edgecolor="none", **look)

    bar = pixels / per_x
    pane = (max(bar, length) + 0.1, 0.245)
    axes.add_patch(placed(INSET - 0.05, level - 0.05, pane, facecolor="black", alpha=0.55, zorder=2))
    axes.add_patch(placed(INSET, level, (bar, 0.024), facecolor=WHITE, zorder=3, gid="scale bar"))
