"""The figures of an explanation as a folder of PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.core.landing import whole_folder
from voxcam.errors import ExportError
from voxcam.export.figure import class_grid, figure, overview, write_figure
from voxcam.export.file_names import distinct, heatmap_names, safe
from voxcam.export.options import ExportOptions
from voxcam.export.style import shared_style
from voxcam.export.view import top_explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxcam.core.explanation import Explanation
    from voxcam.export.page import Drawn
    from voxcam.export.view import FigureOptions


def write_figures(
    explanation: Explanation, folder: str | Path, options: ExportOptions | None = None
) -> list[Path]:
    """Write every figure of `explanation` to a new `folder`, whole or not at all; return the files.

    ``figure-CLASS-METHOD.png`` for each class, method and layer at the hottest slice;
    ``classes-METHOD.png`` where there are several classes; ``overview-CLASS.png`` of the class with the
    highest score, by the first method. With several layers the layer follows the method.

    Raises
    ------
    ExportError
        If the folder is taken, there is nothing to draw, or the explanation was saved without its study.
    """
    options = options or ExportOptions()
    if not explanation.heatmaps:
        raise ExportError("no figures: the explanation holds scores alone, no heatmaps")
    with whole_folder(folder) as place:
        for name, drawn in _figures(explanation, options):
            write_figure(drawn, place / f"{name}.png", options.dpi)
        files = sorted(file.name for file in place.iterdir())
    return [Path(folder) / name for name in files]


def _figures(explanation: Explanation, options: ExportOptions) -> Iterator[tuple[str, Drawn]]:
    for name, heatmap in zip(heatmap_names(explanation), explanation.heatmaps, strict=True):
        look = _look(explanation, options, heatmap.method, heatmap.layer)
        yield f"figure-{name}", figure(explanation, heatmap.class_name, **look)
    pairs = list(dict.fromkeys((heatmap.method, heatmap.layer) for heatmap in explanation.heatmaps))
    several_layers = len(explanation.layers) > 1
    names = distinct([safe(m) + (f"-{safe(layer)}" if several_layers else "") for m, layer in pairs])
    if len(explanation.explained) > 1:
        for name, (method, layer) in zip(names, pairs, strict=True):
            yield f"classes-{name}", class_grid(explanation, **_look(explanation, options, method, layer))
    top = top_explained(explanation)
    yield f"overview-{safe(top)}", overview(explanation, top, **_look(explanation, options, *pairs[0]))


def _look(explanation: Explanation, options: ExportOptions, method: str, layer: str) -> FigureOptions:
    plain = options.colours == ExportOptions.colours and options.threshold == 0
    style = shared_style(explanation, method, layer, colours=options.colours, threshold=options.threshold)
    return {
        "method": method,
        "layer": layer,
        "style": None if plain else style,
        "window": options.window,
        "theme": options.theme,
        "mask": options.mask,
        "caption": options.caption,
        "volume": options.volume,
    }
