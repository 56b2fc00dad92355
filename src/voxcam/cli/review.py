"""``voxcam review``: the reading room in napari."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    place: Annotated[Path | None, typer.Argument(help="A file, or a folder of files.")] = None,
    bundle: Annotated[Path | None, typer.Option("--model", help="Folder of a MONAI bundle.")] = None,
    explanation: Annotated[Path | None, typer.Option("--explanation", help="Saved explanation.")] = None,
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
) -> int:
    """Open a scan, a classifier or a saved explanation in napari."""
    import voxcam
    from voxcam.cli.window import check_window, show

    check_window()
    volume = voxcam.read(voxcam.scan(place).choose(series)) if place else None
    saved = voxcam.load_explanation(explanation) if explanation else None
    return show(volume=volume, bundle=bundle, explanation=saved)
