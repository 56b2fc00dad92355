"""A series in words, as the study browser lists it, and whether a search finds it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from voxcam.plugin.review.badges import badges_of, texts_of
from voxcam.plugin.review.wording import counted, rounded, size_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.io import Series
    from voxcam.plugin.review.badges import Badge

# Those that are not written in capitals alone.
FORMATS = {"nifti": "NIfTI", "metaimage": "MetaImage"}


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
        return modality_of(self.series)

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
        return f"{' × '.join(rounded(mm) for mm in self.series.spacing_mm[: 3 if deep else 2])} mm"

    @cached_property
    def images(self) -> str:
        """How many images it is made of: "300 images"; of other formats how many slices its file holds."""
        series = self.series
        if series.format == "dicom" and series.kind != "structures":
            return counted(len(series.headers), "image")
        if series.kind == "structures":
            return ""
        return counted(prod(series.shape[2:]), "slice")

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
        said = [self.title, self.kind, self.images, self.size, self.spacing, told, *texts_of(self.badges)]
        return tuple(filter(None, said))

    def matches(self, search: str) -> bool:
        """Whether every word of a search stands somewhere in its words, in the study's or the place's."""
        return all(word in self._searched for word in search.casefold().split())

    @cached_property
    def _searched(self) -> str:
        typed = self.size.replace(" × ", "x")
        return " ".join((*self.lines, typed, self.beside)).casefold()


def series_words(series: Sequence[Series]) -> str:
    """Return how many series, and of what modalities, the most frequent first."""
    if not series:
        return "no series"
    counts = Counter(modality_of(one) for one in series)
    return ", ".join([counted(len(series), "series", "series"), *(name for name, _ in counts.most_common())])


def modality_of(series: Series) -> str:
    """Return the modality of a series, or the format of files that state none."""
    return series.modality or FORMATS.get(series.format, series.format.upper())


def _stem(path: Path) -> str:
    stem = path.name.removesuffix(".gz")
    return stem.rpartition(".")[0] or stem
