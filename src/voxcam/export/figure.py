"""Figures of an explanation, drawn without a viewer, and their way into a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from voxcam.core.landing import whole_file
from voxcam.errors import ExportError
from voxcam.export.page import minus, plain_matplotlib
from voxcam.export.planes import PLANES, hottest_slice, peak_inside
from voxcam.export.plate import Plate, compose
from voxcam.export.view import FigureOptions, View, top_explained, view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.export.page import Drawn
    from voxcam.export.panels import Panel

IN_A_ROW = 4  # panels of a class grid


def figure(
    explanation: Explanation, class_name: str | None = None, **options: Unpack[FigureOptions]
) -> Drawn:
    """Draw one slice three times: the image, the evidence over it, and the evidence alone.

    Parameters
    ----------
    class_name
        Unless told, the class with the highest score among those explained.
    **options
        See `FigureOptions`.

    Raises
    ------
    ExplainError
        If there is no such heatmap.
    ExportError
        If the explanation was saved without its study and none is given, or there is no such slice.
    """
    view = view_of(explanation, class_name, options)
    panels = (view.image_panel(), view.fused_panel(), view.alone_panel())
    plate = _plate((view,), (panels,), _named(view), minus(view.slice.words), largest=(3.1, 2.75))
    return compose(plate, {"figure": "slice", **view.provenance()})


def class_grid(explanation: Explanation, **options: Unpack[FigureOptions]) -> Drawn:
    """Draw the evidence for every class explained over one slice, in one range of colours.

    Unless told it is the hottest slice of the class with the highest score; where another class has its
    peak in another slice, its panel says which.
    """
    top = view_of(explanation, None, options)
    at_top: FigureOptions = {**options, "index": top.slice.index, "plane": top.slice.plane}
    views = [view_of(explanation, name, at_top) for name in explanation.explained]
    panels = [view.fused_panel(view.heatmap.class_name, _beside(view)) for view in views]
    rows = tuple(tuple(panels[n : n + IN_A_ROW]) for n in range(0, len(panels), IN_A_ROW))
    plate = _plate(views, rows, ("Evidence for each class", ""), minus(top.slice.words), largest=(2.4, 2.2))
    each = [{key: view.provenance()[key] for key in ("class", "probability", "largest")} for view in views]
    return compose(plate, {"figure": "classes", **top.provenance(), "classes": each})


def overview(
    explanation: Explanation, class_name: str | None = None, **options: Unpack[FigureOptions]
) -> Drawn:
    """Draw the three planes through the highest evidence, at one scale; lines show where they cross.

    Of an image one voxel deep there is one plane. `plane` and `index` of the options are not used.
    """
    name = class_name or top_explained(explanation)
    views = []
    for plane in PLANES:
        at: FigureOptions = {**options, "plane": plane, "index": None}
        view = view_of(explanation, name, at)
        if min(view.slice.pixels.shape) > 1:
            views.append(view)
    row = tuple(_crossed(view) for view in views)
    plate = _plate(views, (row,), _named(views[0]), _where(views[0]), largest=(2.9, 2.6))
    slices = [{"plane": view.slice.plane, "slice": view.slice.index + 1} for view in views]
    return compose(plate, {"figure": "planes", **views[0].provenance(), "planes": slices})


def write_figure(fig: Drawn, path: str | Path, dpi: int = 200) -> Path:
    """Write `fig` as PNG, whole or not at all: the same figure gives the same bytes.

    What was drawn and how is kept as JSON in the text chunk ``voxcam``; no date, no name of a program,
    nobody's name.

    Raises
    ------
    ExportError
        If `path` is taken, does not end in .png, or cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ExportError(f"figures are written as .png, asked for {target.suffix or 'no ending'!r}")
    provenance = json.dumps(dict(fig.provenance), sort_keys=True, allow_nan=False)
    metadata = {"Software": None, "voxcam": provenance}
    with whole_file(target) as beside, plain_matplotlib():
        fig.savefig(
            beside, format="png", dpi=dpi, facecolor=fig.get_facecolor(), bbox_inches=None, metadata=metadata
        )
    return target


def _plate(
    views: Sequence[View],
    rows: tuple[tuple[Panel, ...], ...],
    heading: tuple[str, str],
    second: str,
    *,
    largest: tuple[float, float],
) -> Plate:
    first = views[0]
    legends = [view.legend for view in views if view.legend]
    return Plate(
        theme=first.theme,
        heading=heading[0],
        heading_mark=heading[1],
        heading_beside=first.how,
        second=second,
        second_beside=first.range_words,
        rows=rows,
        style=first.style,
        bar_label=first.unit_words,
        exceeded=any(view.exceeded for view in views),
        legend=min(legends, key=len, default=""),
        caption=first.caption,
        source=first.source_words,
        largest=largest,
    )


def _named(view: View) -> tuple[str, str]:
    return view.heatmap.class_name, view.probability_words


def _beside(view: View) -> str:
    """Return the probability, and where the peak is if not here."""
    hottest = hottest_slice(view.heatmap, view.volume, view.slice.plane)
    away = not view.heatmap.is_empty and hottest != view.slice.index
    return view.probability_words + (f" · peak in slice {hottest + 1}" if away else "")


def _where(view: View) -> str:
    peak = peak_inside(view.heatmap, view.volume)
    if peak is None:
        return "middle planes"
    if view.slice.frame != "patient":
        return "planes through the highest evidence"
    x, y, z = peak
    return minus(f"planes through the highest evidence, x, y, z = {x:.1f}, {y:.1f}, {z:.1f} mm (RAS)")


def _crossed(view: View) -> Panel:
    panel = view.fused_panel(view.plane_words, view.slice.number)
    return replace(panel, crossing=None if view.peak is None else view.peak[:2])
