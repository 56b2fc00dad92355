"""``voxcam review``: the reading room in napari."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcam.cli.given import AcceptWeights, How, Network, TrustCode

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.plugin.opening import Found


def review(  # noqa: PLR0913 - each is an option of the command
    place: Annotated[Path | None, typer.Argument(help="A file, a folder of files, or a zip archive.")] = None,
    bundle: Annotated[Path | None, typer.Option("--model", help="Bundle, weights, TorchScript.")] = None,
    explanation: Annotated[Path | None, typer.Option("--explanation", help="Saved explanation.")] = None,
    series: Annotated[str | None, typer.Option(help="Index or UID, as `voxcam scan` lists them.")] = None,
    modality: Annotated[str | None, typer.Option(help="Where the file states none: CT, MR.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask file of a finding, to be outlined.")] = None,
    network: Network = None,
    trust_code: TrustCode = None,
    accept_weights: AcceptWeights = None,
) -> int:
    """Open a scan, a classifier or a saved explanation in napari.

    Of a place with several series the largest is shown, unless one is asked for; all are listed.
    """
    import voxcam
    from voxcam.cli.window import check_window, show
    from voxcam.io import read_mask

    check_window()
    saved = voxcam.load_explanation(explanation) if explanation else None
    volume, found = _read(place, series, modality) if place else (None, None)
    finding = read_mask(mask) if mask else None
    if finding is not None:
        _require_overlap(finding, volume or (saved.volume if saved else None))
    if bundle:
        _check(bundle, volume, How("auto", network, trust_code, accept_weights))
    from voxcam.plugin.opening import Allowed

    allowed = Allowed(trust_code, accept_weights, network)
    return show(volume=volume, bundle=bundle, explanation=saved, mask=finding, found=found, allowed=allowed)


def _read(place: Path, series: str | None, modality: str | None) -> tuple[Volume, Found]:
    import voxcam
    from voxcam.plugin.opening import Found
    from voxcam.plugin.work.reading import choose, origin_of

    study = voxcam.scan(place)
    chosen = choose(study, series)
    volume = voxcam.read(chosen, modality=modality, gaps="mark")
    return volume, Found(study, origin_of(place, chosen))


def _require_overlap(mask: Volume, volume: Volume | None) -> None:
    """Refuse a mask that was drawn elsewhere, on another patient's scan perhaps."""
    import numpy as np

    from voxcam.errors import ReadError

    if volume is None:
        raise ReadError("a mask is outlined on a scan: give PLACE, or an explanation that holds its study")
    drawn = np.argwhere(np.asarray(mask.voxels).reshape(mask.shape) > 0)
    if len(drawn) and not volume.geometry.contains(mask.geometry.to_world(drawn)).any():
        raise ReadError("no voxel of the mask lies on the scan: it was drawn on another one")


def _check(bundle: Path, volume: Volume | None, how: How) -> None:
    """Refuse before there is a window what cannot be loaded or does not fit: in one line, as everywhere."""
    from voxcam.cli.given import classifiers
    from voxcam.model.fitness import fit_of

    (classifier,) = classifiers([bundle], how)
    if volume is not None:
        fit_of(classifier.statement, volume).require(classifier.name)
