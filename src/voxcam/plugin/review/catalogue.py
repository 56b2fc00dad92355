"""What the study browser lists: places, studies and series in words, and which of them a search finds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voxcam.io import Finding, Series, Study
    from voxcam.plugin.review.reading import Reading

# What is open in the room and what is on its screen.
Mark = Literal["open", "shown"]
Row = Union["PlaceRow", "StudyRow", "SeriesRow"]

# Refused files that are named one by one; of the others the number is told.
_MOST_NAMED = 200


@dataclass(frozen=True)
class Badge:
    """The findings of one weight."""

    stops: bool
    texts: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class SeriesRow:
    """A series as the browser shows it; its words are made when they are asked for.

    Its words may identify (a description is free text): for the reader's own screen.

    Parameters
    ----------
    beside
        Names of its place and study: a search finds it by them too.
    whose
        Which patient, where a place holds several and the study is this one series.
    """

    place: Path = field(repr=False)
    series: Series
    beside: str = field(default="", repr=False)
    whose: str = ""

    @property
    def key(self) -> str:
        """`Series.key`: no two series share it."""
        return self.series.key

    @cached_property
    def title(self) -> str:
        """Modality and description; of a file that has no description its name."""
        series = self.series
        description = " ".join(series.description.split())
        # What came out of an archive has a number for a name.
        if not description and series.format != "dicom" and series.files and series.keeps is None:
            description = _stem(series.files[0])
        return " ".join(filter(None, [self.modality, description]))

    @cached_property
    def modality(self) -> str:
        """Its modality, or the format of a file that states none."""
        return _modality(self.series)

    @cached_property
    def size(self) -> str:
        """Voxels along the axes: "512 × 512 × 300", "96 × 96 × 40, 5 times"."""
        return size_words(self.series.shape)

    @cached_property
    def spacing(self) -> str:
        """Distance between voxels: "0.7 × 0.7 × 1 mm"."""
        if not self.series.spacing_known:
            return "pixel size unknown"
        deep = self.series.shape[2] > 1
        return f"{' × '.join(_rounded(mm) for mm in self.series.spacing_mm[: 3 if deep else 2])} mm"

    @cached_property
    def images(self) -> str:
        """How many images it is made of: "300 images"; of other formats how many slices its file holds."""
        series = self.series
        if series.format == "dicom" and series.kind != "structures":
            return counted(len(series.headers), "image")
        if series.kind == "structures":
            return ""
        return counted(_product(series.shape[2:]), "slice")

    @cached_property
    def extent(self) -> str:
        """Size and number of images in one, as short as they can be said: "512 × 512, 300 images"."""
        if not self.images:
            return self.size
        count = self.images.partition(" ")[0].replace(",", "")
        flat = len(self.series.shape) == 3 and count == str(self.series.shape[2])
        return f"{size_words(self.series.shape[:2]) if flat else self.size}, {self.images}"

    @cached_property
    def kind(self) -> str:
        """What it is, where it is no plain image: "localizer", "segmentation"."""
        if self.series.localizer:
            return "localizer"
        if any(getattr(header, "is_label", False) for header in self.series.headers[:1]):
            return "labels"
        return "" if self.series.kind == "image" else self.series.kind

    @cached_property
    def badges(self) -> tuple[Badge, ...]:
        """Its findings: those that stop it, then the others."""
        return badges_of(self.series.findings)

    @cached_property
    def can_be_opened(self) -> bool:
        """Whether reading it can succeed: gaps are marked, other stops are final."""
        return self.series.can_be_read(gaps="mark")

    @cached_property
    def details(self) -> str:
        """What it is and how finely it was taken: "localizer, 0.7 × 0.7 mm"."""
        kind = "cannot be opened" if not self.can_be_opened else self.kind
        return ", ".join(filter(None, [kind, self.whose, self.spacing]))

    @property
    def words(self) -> str:
        """All but its findings, in a line."""
        return ", ".join(filter(None, [self.kind, self.extent, self.spacing]))

    @property
    def lines(self) -> tuple[str, ...]:
        """All there is to say of it, a line each."""
        told = "" if self.can_be_opened else "Cannot be opened:"
        texts = [text for badge in self.badges for text in badge.texts]
        return tuple(
            filter(None, [self.title, self.kind, self.images, self.size, self.spacing, told, *texts])
        )

    @cached_property
    def _searched(self) -> str:
        typed = self.size.replace(" × ", "x")
        return " ".join((*self.lines, typed, self.beside)).casefold()

    def matches(self, search: str) -> bool:
        """Whether every word of a search stands somewhere in its words, in the study's or the place's."""
        return all(word in self._searched for word in search.casefold().split())


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
        texts = [text for badge in self.badges for text in badge.texts]
        return tuple(filter(None, [self.title, self.words, self.left_out, *texts]))


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
    titles = _study_titles(list(groups))
    rows = []
    for title, group in zip(titles, groups.values(), strict=True):
        whose = title.partition(",")[0] if len(group) == 1 and title.startswith("Patient") else ""
        listed = tuple(SeriesRow(place, one, f"{name} {title}", whose) for one in group)
        rows.append(StudyRow(place, title, listed))
    return PlaceRow(place, name, study, tuple(rows))


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


def badges_of(findings: Sequence[Finding]) -> tuple[Badge, ...]:
    """Return a badge of the findings that stop, and one of the others."""
    badges = []
    for stops in (True, False):
        texts = tuple(_sentence(finding.text) for finding in findings if finding.stops == stops)
        if texts:
            badges.append(Badge(stops, texts))
    return tuple(badges)


def left_out_words(studies: Iterable[Study]) -> str:
    """Return how many files were skipped and refused, in words; "" if none."""
    known = list(studies)
    skipped, refused = sum(study.skipped for study in known), sum(study.refused for study in known)
    if not skipped:
        return f"{counted(refused, 'file')} refused" if refused else ""
    return f"{counted(skipped, 'file')} skipped" + (f", {refused:,} refused" if refused else "")


def left_out_lines(rows: Sequence[PlaceRow]) -> list[str]:
    """Return why files were left out, a line a reason, and the refused by name; place by place."""
    lines = []
    for row in rows:
        here = [_sentence(f.text) for f in row.study.findings if f.kind in ("skipped", "refused")]
        here += [f"{_within(file, row.place)}: {why}" for file, why in row.study.left_out[:_MOST_NAMED]]
        more = len(row.study.left_out) - _MOST_NAMED
        here += [f"and {more:,} more"] if more > 0 else []
        lines += [f"{row.title}:", *here] if here and len(rows) > 1 else here
    return lines


def series_words(series: Sequence[Series]) -> str:
    """Return how many series, and of what modalities, the most frequent first."""
    if not series:
        return "no series"
    counts = Counter(_modality(one) for one in series)
    return ", ".join([counted(len(series), "series", "series"), *(name for name, _ in counts.most_common())])


def size_words(shape: Sequence[int]) -> str:
    """Return a shape as a reader says it; one voxel deep is a picture."""
    spatial = shape[:3] if len(shape) > 2 and shape[2] > 1 else shape[:2]
    times = f", {counted(shape[3], 'time')}" if len(shape) > 3 else ""
    return " × ".join(str(count) for count in spatial) + times


def counted(count: int, one: str, several: str = "") -> str:
    """Return a number and its noun: "1 image", "2,000 images"."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


# --- steps


def _modality(series: Series) -> str:
    return series.modality or {"nifti": "NIfTI", "metaimage": "MetaImage"}.get(
        series.format, series.format.upper()
    )


def _stem(path: Path) -> str:
    stem = path.name.removesuffix(".gz")
    return stem.rpartition(".")[0] or stem


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


def _rounded(mm: float) -> str:
    return f"{mm:.2g}" if mm < 0.1 else f"{mm:.2f}".rstrip("0").rstrip(".")


def _study_of(series: Series) -> tuple[str, str]:
    """Return what tells patient and study apart: a hash, and a UID that is never shown."""
    first = series.headers[0] if series.headers else None
    uid = getattr(first, "study_uid", "")
    return (getattr(first, "patient", ""), uid) if uid else ("", "")


def _odd(study: Study) -> list[Finding]:
    return [finding for finding in study.findings if finding.kind not in ("skipped", "refused")]


def _within(path: Path, place: Path) -> str:
    """Return where a file lies below a place; of what was unpacked elsewhere, nothing but its name."""
    return str(path.relative_to(place)) if path != place and path.is_relative_to(place) else path.name


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _product(counts: Iterable[int]) -> int:
    product = 1
    for count in counts:
        product *= count
    return product
