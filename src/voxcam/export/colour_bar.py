"""The colour bar of a figure: what a colour says, in logit units."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from voxcam.export.page import minus
from voxcam.export.style import SIGNED, paint

if TYPE_CHECKING:
    from voxcam.export.page import Page
    from voxcam.export.panels import Box
    from voxcam.export.style import HeatmapStyle

SIZE = 7.5


def draw_bar(page: Page, style: HeatmapStyle, label: str, box: Box, *, exceeded: bool) -> None:
    """Draw the colours of `style` as they look over black, with ticks and `label` at their right.

    Parameters
    ----------
    box
        Place of the colours.
    exceeded
        A map shown reaches beyond `style.high`: the upper end says "or more".
    """
    left, bottom, width, height = box
    axes = page.axes(*box)
    values = np.linspace(style.low, style.high, 512)[:, None]
    ends = (0, 1, style.low, style.high)
    axes.imshow(
        paint(np.zeros_like(values), values, replace(style, opacity=1.0)),
        aspect="auto",
        origin="lower",
        extent=ends,
    )
    frame = Rectangle((0, style.low), 1, style.high - style.low, fill=False, edgecolor=page.theme.rule)
    frame.set(linewidth=0.8, clip_on=False)
    axes.add_patch(frame)
    for value in _threshold_values(style):
        axes.plot((0, 1), (value, value), color="#f2f3f5", linewidth=0.8, linestyle=(0, (2, 1.5)))
    longest = 0.0
    for value, text in ticks(style, room=height, exceeded=exceeded):
        y = bottom + height * (value - style.low) / (style.high - style.low)
        _tick(page, left + width, y)
        length = page.write(
            left + width + 0.07, y - 0.036, minus(text), SIZE, room=0.7, colour=page.theme.quiet
        )
        longest = max(longest, length)
    x = left + width + 0.07 + longest + 0.13
    page.write(
        x,
        bottom + height / 2,
        label,
        SIZE,
        room=height,
        align="center",
        colour=page.theme.quiet,
        upright=True,
    )


def ticks(style: HeatmapStyle, *, room: float, exceeded: bool) -> list[tuple[float, str]]:
    """Return values and labels: both ends and round values between, not closer than 0.2 inch of `room`."""
    span = style.high - style.low
    gap = span * 0.2 / room
    between = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(style.low, style.high)
    kept = [float(v) for v in between if style.low + gap <= v <= style.high - gap and abs(v) > 1e-9 * span]
    if style.colours == SIGNED:
        kept.append(0.0)
    top = f"{style.high:.3g}"
    labels = [(style.low, f"{style.low:.3g}")] + [(v, f"{v:.4g}") for v in sorted(kept)]
    return [*labels, (style.high, f"≥ {top}" if exceeded else top)]


def _threshold_values(style: HeatmapStyle) -> tuple[float, ...]:
    if style.threshold == 0:
        return ()
    if style.colours == SIGNED:
        return -style.threshold * style.high, style.threshold * style.high
    return (style.low + style.threshold * (style.high - style.low),)


def _tick(page: Page, x: float, y: float) -> None:
    inches = page.figure.dpi_scale_trans
    page.figure.add_artist(
        Line2D((x, x + 0.04), (y, y), color=page.theme.quiet, linewidth=0.8, transform=inches)
    )
