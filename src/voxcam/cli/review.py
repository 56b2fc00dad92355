"""``voxcam review``: the reading room in napari."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    place: Annotated[Path | None, typer.Argument(help="A file, a folder of files, or a zip archive.")] = None,
    bundle: Annotated[Path | None, typer.Option("--model", help="Folder of a MONAI bundle.")] = None,
    explanation: Annotated[Path | None, typer.Option("--explanation", help="Saved explanation.")] = None,
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
    modality: Annotated[str | None, typer.Option(help="Where the file states none: CT, MR.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask file of a finding, to be outlined.")] = None,
) -> int:
    """Open a scan, a classifier or a saved explanation in napari."""
    import voxcam
    from voxcam.cli.window import check_window, show
    from voxcam.io import read_mask

    check_window()
    saved = voxcam.load_explanation(explanation) if explanation else None
    volume = voxcam.read(voxcam.scan(place).choose(series), modality=modality) if place else None
    finding = read_mask(mask) if mask else None
    if bundle:
        # Before there is a window: what cannot be loaded or does not fit is one line here, as everywhere.
        from voxcam.model.fitness import fit_of

        classifier = voxcam.load_classifier(bundle)
        if volume is not None:
            fit_of(classifier.statement, volume).require(classifier.name)
    return show(volume=volume, bundle=bundle, explanation=saved, mask=finding)
