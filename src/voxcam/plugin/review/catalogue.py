"""What the study browser lists: places, the studies in each, and which of their series are open."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

from voxcam.plugin.review.badges import badges_of, texts_of
from voxcam.plugin.review.left_out import LEFT_OUT, left_out_words
from voxcam.plugin.review.series_row import SeriesRow, series_words
from voxcam.plugin.review.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voxcam.io import Finding, Series, Study
    from voxcam.plugin.review.badges import Badge
    from voxcam.plugin.review.reading import Reading

# What is open in the room and what is on its screen.
Mark = Literal["open", "shown"]
Row = Union["PlaceRow", "StudyRow", "SeriesRow"]


@dataclass(frozen=True, eq=False)
class StudyRow:
    """The series of one study, numbered within the place; without a StudyInstanceUID, of one format."""

    place: Path = field(repr=False)
    title: str
    rows: tuple[SeriesRow, ...]
    left_out: str = ""
    badges: tuple[Badge, ...] = ()

    @property
    def key(self) -> str:
        """What no other study shares."""
        return f"{self.place} {self.title}"

    @cached_property
    def words(self) -> str:
        """How many series, and of what modalities: "3 series, CT, MR"."""
        return series_words([row.series for row in self.rows])

    @property
    def lines(self) -> tuple[str, ...]:
        """All there is to say of it, a line each."""
        return (self.title, self.words)


@dataclass(frozen=True, eq=False)
class PlaceRow:
    """What was scanned, under its folder's name: for the reader's own screen."""

    place: Path = field(repr=False)
    title: str = field(repr=False)
    study: Study
    studies: tuple[StudyRow, ...]

    @property
    def key(self) -> str:
        """What no other place shares."""
        return str(self.place)

    @cached_property
    def words(self) -> str:
        """What it holds: "2 studies, 14 series, CT, MR"."""
        count = len(self.studies)
        studies = f"{counted(count, 'study', 'studies')}, " if count > 1 else ""
        return studies + series_words(self.study.series)

    @cached_property
    def badges(self) -> tuple[Badge, ...]:
        """What is odd about the place as a whole; files left out are told by `left_out`."""
        return badges_of(_odd(self.study))

    @cached_property
    def left_out(self) -> str:
        """How many files belong to no series: "14 files skipped, 2 refused"; "" if none."""
        return left_out_words([self.study])

    @property
    def lines(self) -> tuple[str, ...]:
        """All there is to say of it, a line each."""
        return tuple(filter(None, [self.title, self.words, self.left_out, *texts_of(self.badges)]))


def catalogue(places: Mapping[Path, Study], known: Sequence[PlaceRow] = ()) -> tuple[PlaceRow, ...]:
    """Return what was scanned, in the order of scanning; rows `known` before are the same ones."""
    names = place_names(places)
    made = {(row.place, row.title, row.study): row for row in known}
    return tuple(
        made.get((place, names[place], study)) or place_row(place, study, names[place])
        for place, study in places.items()
    )


def place_row(place: Path, study: Study, name: str) -> PlaceRow:
    """Return a place with its studies: as the scan lists them, by StudyInstanceUID."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for series in study.series:
        groups.setdefault(_study_of(series), []).append(series)
    titled = zip(_study_titles(list(groups)), groups.values(), strict=True)
    studies = tuple(_study_row(place, title, group, name) for title, group in titled)
    return PlaceRow(place, name, study, studies)


def place_names(places: Iterable[Path]) -> dict[Path, str]:
    """Return the name of each place: the folder's or file's own, longer by its parents where two share it."""
    known = list(places)
    named: dict[Path, str] = {}
    for place in known:
        parts, others = place.parts, [other.parts for other in known if other != place]
        length = 1
        while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
            length += 1
        named[place] = Path(*parts[-length:]).as_posix()
    return named


def marks(readings: Iterable[Reading], shown: Reading) -> dict[str, Mark]:
    """Return which series are open, by `Series.key`, and which of them is on the screen."""
    return {one.origin.key: "shown" if one is shown else "open" for one in readings if one.origin is not None}


def placeless(readings: Iterable[Reading], places: Iterable[Path]) -> tuple[Reading, ...]:
    """Return what is open and was found in none of these places: no row of theirs leads back to it."""
    known = set(places)
    return tuple(one for one in readings if one.origin is None or one.origin.place not in known)


# --- steps


def _study_of(series: Series) -> tuple[str, str]:
    """Return what tells patient and study apart: a hash, and a UID that is never shown."""
    first = series.headers[0] if series.headers else None
    uid = getattr(first, "study_uid", "")
    return (getattr(first, "patient", ""), uid) if uid else ("", "")


def _study_titles(groups: Sequence[tuple[str, str]]) -> list[str]:
    """Return what (patient, study) groups are called: numbered, of several patients within each."""
    patients = list(dict.fromkeys(patient for patient, uid in groups if uid))
    titles, studies = [], Counter[str]()
    for patient, uid in groups:
        studies[patient if len(patients) > 1 else ""] += bool(uid)
        if not uid:
            titles.append("Files")
        elif len(patients) > 1:
            titles.append(f"Patient {patients.index(patient) + 1}, study {studies[patient]}")
        else:
            titles.append(f"Study {studies['']}")
    return titles


def _study_row(place: Path, title: str, series: Sequence[Series], beside: str) -> StudyRow:
    whose = title.partition(",")[0] if len(series) == 1 and title.startswith("Patient") else ""
    return StudyRow(place, title, tuple(SeriesRow(place, one, f"{beside} {title}", whose) for one in series))


def _odd(study: Study) -> list[Finding]:
    return [finding for finding in study.findings if finding.kind not in LEFT_OUT]
