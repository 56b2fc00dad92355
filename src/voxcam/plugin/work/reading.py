"""Scanning places and reading series, off the window's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from voxcam.plugin.review.reading import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.io import Series, Study

    Progress = Callable[[int, int], None]


class Read(NamedTuple):
    """What a place holds, and the volumes that were read of it, each with where it came from."""

    place: Path
    study: Study
    volumes: tuple[tuple[Volume, Origin], ...]


def read_place(place: Path, series: str | int | None, progress: Progress) -> Read:
    """Scan a place and read a series: the one asked for, else the largest that can be read."""
    from voxcam.io import scan

    study = scan(place, progress)
    return read_series(place, study, [choose(study, series)], progress)


def choose(study: Study, series: str | int | None = None) -> Series:
    """Return the series asked for, else the largest that can be read."""
    images = [s for s in study.series if s.can_be_read(gaps="mark") and not s.localizer and s.kind == "image"]
    images = images or list(study.series)
    several = series is None and len(images) > 1
    return max(images, key=lambda s: _voxels(s.shape)) if several else study.choose(series)


def read_series(
    place: Path, study: Study, chosen: Sequence[Series], progress: Progress, modality: str | None = None
) -> Read:
    """Read series of a scanned place one after the other; of `modality` where their files state none."""
    from voxcam.io import read

    volumes = tuple(
        (read(one, progress, modality=modality, gaps="mark"), origin_of(place, one)) for one in chosen
    )
    return Read(place, study, volumes)


def origin_of(place: Path, series: Series) -> Origin:
    """Return what an open study remembers of where it came from."""
    return Origin(place, series.key, " ".join(f"{series.description} {series}".split()))


def _voxels(shape: tuple[int, ...]) -> int:
    product = 1
    for count in shape:
        product *= count
    return product
