"""``voxcam demo``: where a real 3D classifier looked in a real chest CT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

SAMPLE, MODEL, FINDING = "lung_tumour", "lung_nodule_3d", "nodule"


def demo(
    out: Annotated[Path | None, typer.Option("--out", help="New folder; voxcam-demo unless told.")] = None,
    no_window: Annotated[bool, typer.Option("--no-window", help="Figures only.")] = False,
) -> int:
    """Explain a sample chest CT with a tumour by the demo classifier; show it, and save figures."""
    import voxcam
    from voxcam.cli.answers import print_explanation, print_line
    from voxcam.cli.explain import write_results
    from voxcam.cli.progress import shown
    from voxcam.cli.window import show, why_no_window
    from voxcam.core.landing import free_place
    from voxcam.core.localisation import localise
    from voxcam.core.windows import Window
    from voxcam.export import ExportOptions
    from voxcam.io import read_mask
    from voxcam.samples import SAMPLES, model_path, sample_path

    place = out or _next_free(Path("voxcam-demo"))
    free_place(place)
    sample = SAMPLES[SAMPLE]
    volume = voxcam.read(voxcam.scan(sample_path(sample.scan)).choose(None))
    # The file states no window; a lung is looked at in a lung window.
    volume = replace(volume, windows=(Window(-600, 1500, "lung"), *volume.windows))
    mask = read_mask(sample_path(str(sample.labels)))
    with shown("loading the classifier"):
        classifier = voxcam.load_classifier(model_path(MODEL))
    with shown("explaining") as progress:
        explanation = voxcam.explain(volume, classifier, methods=("grad-cam", "layer-cam"), progress=progress)
    print_explanation(explanation)
    truth = localise(explanation.heatmap(FINDING), mask)
    where = "inside" if truth.peak_in_mask else f"{truth.peak_distance_mm:.1f} mm from"
    print_line(f"The peak of {FINDING!r} lies {where} the tumour as it was drawn by hand.")
    files = write_results(explanation, place, ("png", "nifti"), ExportOptions(mask=mask))
    print_line(f"{len(files)} files in {place}, figures in {place / 'png'}")
    reason = "--no-window was given" if no_window else why_no_window()
    if reason:
        print_line(f"No window: {reason}.")
        return 0
    return show(volume=volume, bundle=model_path(MODEL), explanation=explanation, mask=mask)


def _next_free(place: Path) -> Path:
    number, candidate = 1, place
    while candidate.exists():
        number += 1
        candidate = place.with_name(f"{place.name}-{number}")
    return candidate
