"""A plate: rows of panels at one scale, a heading above and the small print below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from voxcam.export.colour_bar import draw_bar
from voxcam.export.page import Page, plain_matplotlib
from voxcam.export.panels import draw_panel
from voxcam.export.style import MASK_COLOUR

if TYPE_CHECKING:
    from voxcam.export.page import Drawn, Theme
    from voxcam.export.panels import Panel
    from voxcam.export.style import HeatmapStyle

LABEL = "Research use only. Not for diagnosis. Evidence of the model, not of disease."

# Inches.
MARGIN = 0.34
GAP = 0.44  # between panels: room for two letters
ABOVE, BELOW = 0.40, 0.22  # a panel's title and upper letter; its lower letter
BAR_WIDTH, BAR_ROOM, BAR_LEAST = 0.13, 1.0, 1.25
NARROWEST = 5.6
PANEL_LEAST = 1.1  # a slimmer picture keeps this much room for its title
LINE = 0.165
SMALL = 7.5  # points
HEAD = 0.74


@dataclass(frozen=True, eq=False)
class Plate:
    """What a figure shows.

    Parameters
    ----------
    heading, heading_mark, heading_beside
        First line: at the left, in full after it (a probability), and at the right.
    second, second_beside
        Second line, at the left and at the right.
    rows
        Panels, row by row; all at one scale.
    style, bar_label, exceeded
        Of the colour bar, see `draw_bar`.
    legend
        What the drawn line is; "" without one.
    caption
        Free words under the panels.
    source
        Model and version, beside the label in the last line.
    largest
        Inches (height, width) that the largest panel takes.
    """

    theme: Theme
    heading: str
    heading_mark: str
    heading_beside: str
    second: str
    second_beside: str
    rows: tuple[tuple[Panel, ...], ...]
    style: HeatmapStyle
    bar_label: str
    exceeded: bool
    legend: str
    caption: str
    source: str
    largest: tuple[float, float]


def compose(plate: Plate, provenance: dict[str, Any]) -> Drawn:
    """Draw `plate`; the figure carries `provenance` for whoever writes it to a file."""
    with plain_matplotlib():
        scale = _inch_per_mm(plate)
        heights = [_row_height(plate, row, scale) for row in plate.rows]
        widths = [_row_width(row, scale) for row in plate.rows]
        width = max(max(widths) + BAR_ROOM + 2 * MARGIN, NARROWEST)
        small_print = _small_print(plate, width)
        foot = _foot_height(plate, small_print)
        page = Page(width, HEAD + sum(heights) + len(heights) * (ABOVE + BELOW) + foot, plate.theme)
        _heading(page, plate)
        _rows(page, plate, scale, heights)
        _foot(page, plate, small_print)
    page.figure.provenance = provenance
    return page.figure


def _inch_per_mm(plate: Plate) -> float:
    panels = [panel for row in plate.rows for panel in row]
    tallest = max(panel.size_mm[0] for panel in panels)
    widest = max(panel.size_mm[1] for panel in panels)
    return min(plate.largest[0] / tallest, plate.largest[1] / widest)


def _row_height(plate: Plate, row: tuple[Panel, ...], scale: float) -> float:
    """Inches; a single row of flat panels still leaves the colour bar its height."""
    tallest = max(panel.size_mm[0] for panel in row) * scale
    return max(tallest, BAR_LEAST) if len(plate.rows) == 1 else tallest


def _row_width(row: tuple[Panel, ...], scale: float) -> float:
    return sum(max(panel.size_mm[1] * scale, PANEL_LEAST) for panel in row) + GAP * (len(row) - 1)


def _heading(page: Page, plate: Plate) -> None:
    top, right = page.height, page.width - MARGIN
    room = page.width - 2 * MARGIN
    mark = page.measure(plate.heading_mark, 13) * 1.15  # bold is wider
    used = page.write(MARGIN, top - 0.40, plate.heading, 13, room=room * 0.72 - mark - 0.2, bold=True)
    used += 0.2 + page.write(
        MARGIN + used + 0.2, top - 0.40, plate.heading_mark, 13, room=mark + 0.1, bold=True
    )
    page.write(
        right,
        top - 0.40,
        plate.heading_beside,
        9,
        room=room - used - 0.2,
        align="right",
        colour=page.theme.ink,
    )
    used = page.write(MARGIN, top - 0.62, plate.second, 8.5, room=room * 0.72, colour=page.theme.quiet)
    page.write(
        right,
        top - 0.62,
        plate.second_beside,
        8.5,
        room=room - used - 0.2,
        align="right",
        colour=page.theme.quiet,
    )


def _rows(page: Page, plate: Plate, scale: float, heights: list[float]) -> None:
    widest = max(_row_width(row, scale) for row in plate.rows)
    start = (page.width - widest - BAR_ROOM) / 2
    first = page.height - HEAD - ABOVE
    bottom = first
    bar_mm = 0.4 * min(panel.size_mm[1] for row in plate.rows for panel in row)
    for number, (row, height) in enumerate(zip(plate.rows, heights, strict=True)):
        bottom = bottom - height - (ABOVE + BELOW if number else 0)
        left = start
        for panel in row:
            tall, wide = (size * scale for size in panel.size_mm)
            place = max(wide, PANEL_LEAST)
            low = bottom + height - tall
            draw_panel(page, panel, (left + (place - wide) / 2, low), scale, bar_mm)
            _title(page, panel, left, low + tall + 0.22, place)
            left += place + GAP
    tall = min(first - bottom, 3.2)
    box = (start + widest + GAP * 0.75, bottom + (first - bottom - tall) / 2, BAR_WIDTH, tall)
    draw_bar(page, plate.style, plate.bar_label, box, exceeded=plate.exceeded)


def _title(page: Page, panel: Panel, left: float, level: float, room: float) -> None:
    beside = min(page.measure(panel.title_beside, 8), room * 0.75)
    used = page.write(left, level, panel.title, 8.5, room=room - beside - 0.08)
    x, quiet = left + used + 0.08, page.theme.quiet
    page.write(x, level, panel.title_beside, 8, room=room - used - 0.08, colour=quiet)


def _small_print(plate: Plate, width: float) -> list[tuple[str, float, str]]:
    """Return the last lines from below: text, size and colour of each."""
    page = Page(1, 1, plate.theme)
    room, quiet = width - 2 * MARGIN, plate.theme.quiet
    apart = page.measure(LABEL, SMALL) + page.measure(plate.source, SMALL) + 0.3 > room
    last = [(LABEL, SMALL, quiet)] + ([(plate.source, SMALL, quiet)] if apart else [])
    return last + [(line, 8.5, plate.theme.ink) for line in reversed(page.lines(plate.caption, 8.5, room))]


def _foot_height(plate: Plate, small_print: list[tuple[str, float, str]]) -> float:
    return 0.17 + LINE * (len(small_print) + bool(plate.legend)) + 0.06 * (len(small_print) > 1) + 0.1


def _foot(page: Page, plate: Plate, small_print: list[tuple[str, float, str]]) -> None:
    """Write upwards: the label, beside or under the source; the caption; what the drawn line is."""
    room, level = page.width - 2 * MARGIN, 0.17
    for number, (line, size, colour) in enumerate(small_print):
        page.write(MARGIN, level, line, size, room=room, colour=colour)
        level += LINE + (0.06 if number == 0 else 0)
    if plate.source not in [line for line, _, _ in small_print]:
        right = page.width - MARGIN
        page.write(right, 0.17, plate.source, SMALL, room=room, align="right", colour=page.theme.quiet)
    if plate.legend:
        ends, middle = (MARGIN, MARGIN + 0.22), level + 0.035
        drawn = Line2D(ends, (middle, middle), transform=page.figure.dpi_scale_trans)
        drawn.set(color=MASK_COLOUR, linewidth=1.6)
        page.figure.add_artist(drawn)
        page.write(MARGIN + 0.3, level, plate.legend, 8, room=room - 0.3, colour=page.theme.quiet)
