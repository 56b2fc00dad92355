"""``voxcam explain``: scores, heatmaps and figures of one series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.export import ExportOptions


def explain(  # noqa: PLR0913 - a command's options
    place: Annotated[Path, typer.Argument(help="A file, or a folder of files.")],
    bundle: Annotated[Path, typer.Option("--model", help="Folder of a MONAI bundle.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the results.")],
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="CAM method; may be given again.")] = None,
    classes: Annotated[str, typer.Option(help="all, top3, or class names with commas.")] = "all",
    layer: Annotated[list[str] | None, typer.Option(help="Layer of the network; may be given again.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    formats: Annotated[str, typer.Option("--format", help="With commas: png, nifti.")] = "png",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Explain the series at PLACE by the classifier in BUNDLE, into a new folder."""
    import voxcam
    from voxcam.cli.answers import explanation_document, print_explanation, print_json, print_line
    from voxcam.cli.export import asked_formats
    from voxcam.cli.progress import shown
    from voxcam.core.landing import free_place

    free_place(out)
    wanted = asked_formats(formats)
    with shown("reading") as progress:
        volume = voxcam.read(voxcam.scan(place).choose(series), progress=progress)
    classifier = voxcam.load_classifier(bundle, device=device)
    with shown("explaining") as progress:
        explanation = voxcam.explain(
            volume,
            classifier,
            methods=tuple(method or ("grad-cam",)),
            classes=asked_classes(classes),
            layers=layer,
            progress=progress,
        )
    files = write_results(explanation, out, wanted)
    if as_json:
        print_json(explanation_document(explanation) | {"files": files})
        return 0
    print_explanation(explanation)
    print_line(f"{len(files)} files in {out.name}")
    return 0


def asked_classes(text: str) -> Sequence[str] | int | None:
    """Return what `voxcam.explain` takes for "all", "top3" or "liver,spleen"."""
    if text == "all":
        return None
    if text.startswith("top") and text[3:].isdigit():
        return int(text[3:])
    return [name.strip() for name in text.split(",")]


def write_results(
    explanation: Explanation, out: Path, formats: Sequence[str], options: ExportOptions | None = None
) -> list[str]:
    """Write the explanation and its exports to a new folder, whole or not at all; return the files' names."""
    from voxcam.core.landing import whole_folder
    from voxcam.export import FORMATS

    with whole_folder(out) as place:
        explanation.save(place)
        for name in formats:
            FORMATS[name](explanation, place / name, options)
        return sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
