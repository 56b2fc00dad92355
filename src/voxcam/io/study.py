"""What a scan of a place found: series, and what is odd or missing about them. Headers only, no pixels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from voxcam.errors import ReadError

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.core.geometry import Geometry

# Called with (done, total), from the thread that asked; it may raise `voxcam.errors.Cancelled` to stop.
Progress = Callable[[int, int], None]

Format = Literal["dicom", "nifti", "nrrd", "metaimage", "mgh"]
# What becomes of missing slices and uneven steps.
Gaps = Literal["refuse", "mark", "interpolate"]
# Findings that stop a series unless its gaps are marked or interpolated.
GAP_KINDS = ("missing-slices", "uneven-steps")

_HOW_TO_CHOOSE = "`voxcam scan PLACE` lists them; choose by index or UID (--series)"
# An error is one line to be read at a glance: series are named in it as long as they fit.
_LINE_LENGTH = 200


@dataclass(frozen=True)
class Finding:
    """Something odd or missing, said in words for a person: no names, no dates, no paths, no UIDs.

    Parameters
    ----------
    kind
        One short word to tell findings apart by, such as ``skipped``, ``missing-slices``, ``no-pixel-size``.
    text
        What was found, where, and what it means.
    count
        How many files or slices it concerns.
    stops
        The series cannot be read while this holds; `voxcam.read` raises it.
    """

    kind: str
    text: str
    count: int = 1
    stops: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Series:
    """One stack of slices, or one file, that becomes one `Volume`.

    Its text (`str`, `repr`) names neither patient nor place. `uid` and `description` may identify: they
    are for the reader's own screen.

    Parameters
    ----------
    uid
        SeriesInstanceUID (0020,000E), or "" where the file has none. Series that were told apart by
        plane or size share it; `key` never is shared.
    key
        Salted hash of what the series is made of: stands for it in provenance.
    modality
        DICOM's two letters (CT, MR, ...), or "" if unknown.
    description
        SeriesDescription (0008,103E): free text.
    shape
        Voxels along i, j, k, and time if there is any.
    spacing_mm
        Distance between neighbouring voxels along i, j, k; 1 where the file states none (a finding says so,
        and `spacing_known` is False).
    files
        In the order of k. What a position holds twice is listed twice.
    localizer
        A scout: set apart, and not what `Study.choose` picks on its own.
    headers
        What the reader kept from the scan, one entry an image.
    kind
        ``image``, or what was derived from one and lies on it: ``segmentation``, ``structures``,
        ``parametric map``, ``dose``.
    geometry
        Where its voxels lie, as far as headers tell: exact unless a finding stops.
    keeps
        What must last as long as the series: the folder an archive was unpacked to.
    """

    uid: str = field(repr=False)
    key: str
    modality: str
    description: str = field(repr=False)
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    files: tuple[Path, ...] = field(repr=False)
    format: Format
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    localizer: bool = False
    headers: tuple[Any, ...] = field(default=(), repr=False)
    kind: str = "image"
    geometry: Geometry | None = field(default=None, repr=False)
    keeps: object = field(default=None, repr=False)

    @property
    def readable(self) -> bool:
        """Whether no finding stops it from being read."""
        return not any(finding.stops for finding in self.findings)

    def can_be_read(self, gaps: Gaps) -> bool:
        """Whether it can be read with this policy for missing slices and uneven steps."""
        closes = GAP_KINDS if gaps != "refuse" else ()
        return not any(finding.stops and finding.kind not in closes for finding in self.findings)

    @property
    def spacing_known(self) -> bool:
        """Whether the file states a pixel size; if not, `spacing_mm` counts pixels, not mm."""
        return not any(finding.kind == "no-pixel-size" for finding in self.findings)

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.shape)
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing_mm)
        stated = f" at {spacing} mm" if self.spacing_known else ", pixel size unknown"
        derived = "" if self.kind == "image" else f" {self.kind}"
        kind = " localizer" if self.localizer else " labels" if self._labels else derived
        return f"{self.modality or self.format.upper()}{kind} {size}{stated}"

    @property
    def _labels(self) -> bool:
        """Whether the header itself says that the voxels are labels; many masks do not say so."""
        return any(getattr(header, "is_label", False) for header in self.headers)


@dataclass(frozen=True, eq=False)
class Study:
    """Everything a place holds; ``found == loaded + skipped + refused``.

    Parameters
    ----------
    series
        Series one can ask to read, images before localizers.
    findings
        About the place as a whole: kinds ``skipped`` and ``refused`` count files by reason.
    found
        Things met: files, and what is neither file nor readable folder.
    loaded
        Files that belong to a series.
    skipped
        Not images to look at: reports, structure sets, text, pipes.
    refused
        Images that cannot be read: damaged, or of a kind not supported.
    left_out
        Which files were refused, each with its reason: for the reader's own screen.
    """

    series: tuple[Series, ...]
    findings: tuple[Finding, ...]
    found: int
    loaded: int
    skipped: int
    refused: int
    left_out: tuple[tuple[Path, str], ...] = field(default=(), repr=False)

    def choose(self, which: str | int | None = None) -> Series:
        """Return the series asked for, or the only image series when nothing is asked.

        Parameters
        ----------
        which
            Index (``"0"``, 0), UID, key, or a beginning of either that only one series has.

        Raises
        ------
        ReadError
            None, or more than one, is meant; the line names the first few series, with their index.
        """
        if not self.series:
            raise ReadError(f"expected an image series, found none{self._left_out()}")
        if which is None:
            images = [s for s in self.series if s.kind == "image"] or list(self.series)
            meant = [s for s in images if not s.localizer] or images
            if len(meant) != 1:
                raise ReadError(self._listing())
            return meant[0]
        asked = str(which).strip()
        # Five digits at most: a longer number without a dot is the beginning of a key.
        if isinstance(which, int) or re.fullmatch(r"-[0-9]{1,9}|[0-9]{1,5}", asked):
            index = int(asked)
            if not 0 <= index < len(self.series):
                raise ReadError(self._listing(f"no series has index {index}; "))
            return self.series[index]
        return self._by_identity(asked)

    def _by_identity(self, asked: str) -> Series:
        exact = [s for s in self.series if asked in (s.uid, s.key)]
        begins = [s for s in self.series if asked and (s.uid.startswith(asked) or s.key.startswith(asked))]
        meant = exact or begins
        if len(meant) != 1:
            # The asked text is not repeated: a UID may identify.
            found = f"{len(meant)} series have" if meant else "no series has"
            raise ReadError(self._listing(f"{found} the UID asked for; "))
        return meant[0]

    def _listing(self, wrong: str = "") -> str:
        """Return `wrong`, how many series there are, as many of them as fit on a line, and how to choose."""
        line = f"{wrong}{len(self.series)} series here: "
        for index, series in enumerate(self.series):
            entry = f"{index}: {series}; "
            if index and len(line) + len(entry) + len("...; ") + len(_HOW_TO_CHOOSE) > _LINE_LENGTH:
                return f"{line}...; {_HOW_TO_CHOOSE}"
            line += entry
        return line + _HOW_TO_CHOOSE

    def _left_out(self) -> str:
        texts = [f.text for f in self.findings if f.kind in ("skipped", "refused")]
        return f" ({'; '.join(texts)})" if texts else ""
