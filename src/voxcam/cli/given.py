"""The study and the classifiers that a command was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxcam.core.volume import Volume
    from voxcam.io import Progress
    from voxcam.io.study import Gaps, Study
    from voxcam.model.classifier import Classifier

Network = Annotated[
    str | None,
    typer.Option("--network", help="Of a file of weights: 'DenseNet121(spatial_dims=3, ...)'."),
]
TrustCode = Annotated[
    str | None,
    typer.Option("--trust-code", help="sha256:... of what may run, as `voxcam model` shows it."),
]
AcceptWeights = Annotated[
    str | None,
    typer.Option("--accept-weights", help="sha256:... of weights that changed under a known name."),
]


class How(NamedTuple):
    """How models are to be loaded."""

    device: str = "auto"
    network: str | None = None
    trust_code: str | None = None
    accept_weights: str | None = None
    tunings: tuple[str, ...] = ()


def classifiers(places: Sequence[Path], how: How) -> list[Classifier]:
    """Return the classifiers at `places`, tuned as asked; on the threads this process may use."""
    import voxcam
    from voxcam.model.devices import settle_threads
    from voxcam.model.tuning import tuned

    settle_threads()
    return [
        tuned(
            voxcam.load_classifier(
                place,
                device=how.device,
                trust_code=how.trust_code or False,
                network=how.network,
                accept_weights=how.accept_weights,
            ),
            *how.tunings,
        )
        for place in places
    ]


def volume_of(
    study: Study, series: str | None, modality: str | None, gaps: str, progress: Progress | None
) -> Volume:
    """Return the series as a volume."""
    import voxcam

    found = study.choose(series)
    return voxcam.read(found, progress=progress, modality=modality, gaps=cast("Gaps", gaps))


def sequences_of(
    study: Study, series: Mapping[str, str], onto: str | None, modality: str | None, gaps: str
) -> Volume:
    """Return several series of a study on one grid, by the names given."""
    from voxcam.core.sequences import together
    from voxcam.errors import ReadError

    read = {name: volume_of(study, which, modality, gaps, None) for name, which in series.items()}
    try:
        return together(read, onto)
    except ValueError as error:
        raise ReadError(f"the sequences do not come together: {error}") from None


def ordered(series: Mapping[str, str], members: Sequence[Classifier]) -> dict[str, str]:
    """Return the series in the order of the classifier's channels, where it states their names.

    Raises
    ------
    ReadError
        If the names are not those that it states.
    """
    from voxcam.errors import ReadError

    stated = members[0].statement.sequences
    if not stated or not series:
        return dict(series)
    if set(stated) != set(series):
        raise ReadError(
            f"the classifier reads the sequences {', '.join(stated)}, found {', '.join(series)}: "
            f"name each, as --sequence {stated[0]}=SERIES"
        )
    return {name: series[name] for name in stated}
