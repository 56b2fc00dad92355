"""``voxcam explain``: scores, heatmaps and figures of one series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcam.cli.given import AcceptWeights, Network, TrustCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.export import ExportOptions


def explain(  # noqa: PLR0913 - a command's options
    place: Annotated[Path, typer.Argument(help="A file, a folder of files, or a zip archive.")],
    models: Annotated[
        list[Path], typer.Option("--model", help="MONAI bundle, weights or TorchScript; again: an ensemble.")
    ],
    out: Annotated[Path, typer.Option("--out", help="New folder for the results.")],
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="CAM method; may be given again. none: scores alone.")
    ] = None,
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
    modality: Annotated[str | None, typer.Option(help="Where the file states none: CT, MR, DX, ...")] = None,
    gaps: Annotated[str, typer.Option(help="Missing slices, uneven steps: refuse, interpolate.")] = "refuse",
    moment: Annotated[
        str | None, typer.Option(help="Of a study in time: which volume, from 0; all: the clearest.")
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="A series as a channel: FLAIR=2; given again for each.")
    ] = None,
    onto: Annotated[str | None, typer.Option(help="Of several sequences: whose grid to take.")] = None,
    augment: Annotated[str, typer.Option(help="Mirrored views to join: i,j,ij. Their spread is told.")] = "",
    tune: Annotated[
        str, typer.Option(help="With commas: channels-last, channels-first, autocast, compile.")
    ] = "",
    mask: Annotated[Path | None, typer.Option(help="Mask file of a finding, to be outlined.")] = None,
    network: Network = None,
    trust_code: TrustCode = None,
    accept_weights: AcceptWeights = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Explain the series at PLACE by the classifier at --model, into a new folder."""
    import voxcam
    from voxcam.cam import METHODS
    from voxcam.cli import asked
    from voxcam.cli.answers import explanation_document, print_explanation, print_json, print_line
    from voxcam.cli.export import asked_formats
    from voxcam.cli.given import How, classifiers, ordered, sequences_of, volume_of
    from voxcam.cli.progress import print_aside, shown
    from voxcam.core.landing import free_place
    from voxcam.explain import check_names
    from voxcam.export import ExportOptions
    from voxcam.io import read_mask

    # What was asked is checked before the long work, cheapest first.
    free_place(out)
    wanted, chosen = asked_formats(formats), asked.asked_classes(classes)
    methods, when = asked.asked_methods(method), asked.asked_moment(moment)
    channels = asked.asked_sequences(sequence or [])
    study = voxcam.scan(place)
    if not channels:
        study.choose(series)
    if methods:
        check_names(methods, tuple(METHODS), "method")
    options = asked.asked_options(option or [])
    drawing = ExportOptions(mask=read_mask(mask) if mask else None)
    how = How(device, network, trust_code, accept_weights, tuple(asked.names_in(tune)))
    members = classifiers(models, how)
    if isinstance(chosen, list):
        check_names(chosen, members[0].classes, "class")
    with shown("reading") as progress:
        if channels:
            volume = sequences_of(study, ordered(channels, members), onto, modality, gaps)
        else:
            volume = volume_of(study, series, modality, gaps, progress)
    with shown("explaining") as progress:
        explanation = voxcam.explain(
            volume,
            members,
            methods,
            chosen,
            layer,
            progress,
            options=options,
            placement=placement,
            announce=print_aside,
            moment=when,
            augment=asked.names_in(augment),
        )
    files = write_results(explanation, out, wanted if methods else (), drawing)
    if as_json:
        print_json(explanation_document(explanation) | {"files": files})
        return 0
    print_explanation(explanation)
    print_line(f"{len(files)} files in {out}")
    return 0


def write_results(
    explanation: Explanation, out: Path, formats: Sequence[str], options: ExportOptions | None = None
) -> list[str]:
    """Write the explanation and its exports to a new folder, whole or not at all; return the files' names."""
    from voxcam.cli.export import write_formats
    from voxcam.core.landing import whole_folder

    with whole_folder(out) as place:
        explanation.save(place)
        return write_formats(explanation, place, formats, options)
