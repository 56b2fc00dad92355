"""``voxcam explain``: scores, heatmaps and figures of one series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.export import ExportOptions
    from voxcam.io import Progress, Series
    from voxcam.io.study import Gaps


def explain(  # noqa: PLR0913 - a command's options
    place: Annotated[Path, typer.Argument(help="A file, a folder of files, or a zip archive.")],
    bundle: Annotated[Path, typer.Option("--model", help="Folder of a MONAI bundle.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the results.")],
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="CAM method; may be given again.")] = None,
    classes: Annotated[str, typer.Option(help="all, top3, or class names with commas.")] = "all",
    layer: Annotated[list[str] | None, typer.Option(help="Layer of the network; may be given again.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    option: Annotated[
        list[str] | None, typer.Option(help="A method's own: occlusion.size=16; may be given again.")
    ] = None,
    placement: Annotated[
        str, typer.Option(help="Where a layer's units look: measured, or usual.")
    ] = "measured",
    formats: Annotated[str, typer.Option("--format", help="With commas: png, nifti.")] = "png",
    modality: Annotated[str | None, typer.Option(help="Where the file states none: CT, MR.")] = None,
    gaps: Annotated[str, typer.Option(help="Missing slices, uneven steps: refuse, interpolate.")] = "refuse",
    moment: Annotated[int | None, typer.Option(help="Of a study in time: which volume, from 0.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask file of a finding, to be outlined.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Explain the series at PLACE by the classifier in BUNDLE, into a new folder."""
    import voxcam
    from voxcam.cam import METHODS
    from voxcam.cli.answers import explanation_document, print_explanation, print_json, print_line
    from voxcam.cli.export import asked_formats
    from voxcam.cli.progress import print_aside, shown
    from voxcam.core.landing import free_place
    from voxcam.explain import check_names
    from voxcam.export import ExportOptions
    from voxcam.io import read_mask

    # What was asked is checked before the long work, cheapest first.
    free_place(out)
    wanted, chosen, methods = asked_formats(formats), asked_classes(classes), tuple(method or ("grad-cam",))
    found = voxcam.scan(place).choose(series)
    check_names(methods, tuple(METHODS), "method")
    options = asked_options(option or [])
    drawing = ExportOptions(mask=read_mask(mask) if mask else None)
    classifier = voxcam.load_classifier(bundle, device=device)
    if isinstance(chosen, list):
        check_names(chosen, classifier.classes, "class")
    with shown("reading") as progress:
        volume = read_moment(found, progress, modality, cast("Gaps", gaps), moment)
    with shown("explaining") as progress:
        explanation = voxcam.explain(
            volume,
            classifier,
            methods,
            chosen,
            layer,
            progress,
            options=options,
            placement=placement,
            announce=print_aside,
        )
    files = write_results(explanation, out, wanted, drawing)
    if as_json:
        print_json(explanation_document(explanation) | {"files": files})
        return 0
    print_explanation(explanation)
    print_line(f"{len(files)} files in {out}")
    return 0


def read_moment(
    series: Series, progress: Progress | None, modality: str | None, gaps: Gaps, moment: int | None
) -> Volume:
    """Return the series as a volume, of one in time the moment asked for."""
    import voxcam
    from voxcam.errors import ReadError

    volume = voxcam.read(series, progress=progress, modality=modality, gaps=gaps)
    if moment is None:
        return volume
    try:
        return volume.moment(moment)
    except ValueError as error:
        raise ReadError(f"{error} (--moment)") from None


def asked_classes(text: str) -> list[str] | int | None:
    """Return what `voxcam.explain` takes for "all", "top3" or "liver,spleen"."""
    from voxcam.errors import ExplainError

    if text == "all":
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or text in ("top", "top0"):
        raise ExplainError(f"no classes asked for by {text!r}: expected all, top3, or names with commas")
    return int(text[3:]) if text.startswith("top") and text[3:].isdigit() else names


def asked_options(texts: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the options of methods for texts such as "occlusion.size=16": numbers, or words."""
    from voxcam.errors import ExplainError

    options: dict[str, dict[str, object]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        method, dot, option = name.partition(".")
        if not (equals and dot and method and option and value):
            raise ExplainError(
                f"cannot read the option {text!r}: expected METHOD.NAME=VALUE, as occlusion.size=16"
            )
        options.setdefault(method, {})[option] = _number_or_word(value)
    return options


def _number_or_word(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def write_results(
    explanation: Explanation, out: Path, formats: Sequence[str], options: ExportOptions | None = None
) -> list[str]:
    """Write the explanation and its exports to a new folder, whole or not at all; return the files' names."""
    from voxcam.cli.export import write_formats
    from voxcam.core.landing import whole_folder

    with whole_folder(out) as place:
        explanation.save(place)
        return write_formats(explanation, place, formats, options)
