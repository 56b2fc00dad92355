"""Files of a place that belong to no series, each with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxcam.io.study import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class LeftOut:
    """A file that is not loaded.

    Parameters
    ----------
    reason
        Why, in words that fit any file: no names.
    refused
        True: an image that cannot be read. False: not an image to look at.
    series_uid
        The series it would have belonged to, or "".
    damaged
        Part of that series is lost with it.
    file
        Which: for the reader's own screen, as it may identify.
    """

    reason: str
    refused: bool = False
    series_uid: str = ""
    damaged: bool = False
    file: Path | None = field(default=None, repr=False)


def reasons(left_out: Iterable[LeftOut]) -> list[Finding]:
    """Return one finding for each reason, the refused first, then the most frequent."""
    counts = Counter((item.refused, item.reason) for item in left_out)
    ranked = sorted(counts.items(), key=lambda entry: (not entry[0][0], -entry[1], entry[0][1]))
    findings = []
    for (refused, reason), count in ranked:
        kind = "refused" if refused else "skipped"
        files = "1 file" if count == 1 else f"{count} files"
        findings.append(Finding(kind, f"{files} {kind}: {reason}", count))
    return findings
