"""``voxcam export``: figures and files from a saved explanation; no model, no study needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.export import ExportOptions


def export(
    explanation_dir: Annotated[Path, typer.Argument(help="Folder that `voxcam explain` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the files.")],
    formats: Annotated[str, typer.Option("--format", help="With commas: png, nifti.")] = "png",
    mask: Annotated[Path | None, typer.Option(help="Mask file of a finding, to be outlined.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Make figures and files from a saved explanation."""
    from voxcam.cli.answers import print_json, print_line
    from voxcam.core.explanation_folder import load
    from voxcam.core.landing import free_place, whole_folder
    from voxcam.export import ExportOptions
    from voxcam.io import read_mask

    free_place(out)
    wanted = asked_formats(formats)
    explanation = load(explanation_dir)
    options = ExportOptions(mask=read_mask(mask) if mask else None)
    with whole_folder(out) as place:
        files = write_formats(explanation, place, wanted, options)
    if as_json:
        print_json({"files": files})
    else:
        print_line(f"{len(files)} files in {out}: {', '.join(files)}")
    return 0


def write_formats(
    explanation: Explanation, place: Path, formats: Sequence[str], options: ExportOptions | None
) -> list[str]:
    """Write each format to a folder of its name in `place`; return the names of all files there."""
    from voxcam.export import FORMATS

    for name in formats:
        FORMATS[name](explanation, place / name, options)
    return sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())


def asked_formats(text: str) -> list[str]:
    """Return the formats of "png,nifti"; an unknown one is an ExportError that names those there are."""
    from voxcam.errors import ExportError
    from voxcam.export import FORMATS

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ExportError(
            f"no format is called {(', '.join(unknown) or text)!r}: there is {', '.join(FORMATS)}"
        )
    return names
