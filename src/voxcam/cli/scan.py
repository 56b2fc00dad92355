"""``voxcam scan``: what lies at a place, by headers only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scan(
    place: Annotated[Path, typer.Argument(help="A file, or a folder of files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """List the series at PLACE and what is odd or missing. Reads headers only."""
    from voxcam.cli.answers import print_json, print_line, print_table
    from voxcam.cli.progress import shown
    from voxcam.io import scan as scan_place

    with shown("scanning") as progress:
        study = scan_place(place, progress=progress)
    if as_json:
        print_json(study.document())
        return 0
    rows = [
        (
            number,
            series.modality or "?",
            " x ".join(str(n) for n in series.shape),
            " x ".join(f"{mm:.3g}" for mm in series.spacing_mm),
            series.description,
            series.uid,
        )
        for number, series in enumerate(study.series)
    ]
    print_table("", ("#", "modality", "voxels", "spacing mm", "description", "series"), rows)
    for number, series in enumerate(study.series):
        for finding in series.findings:
            print_line(f"series {number}: {finding.text}")
    for finding in study.findings:
        print_line(finding.text)
    return 0
