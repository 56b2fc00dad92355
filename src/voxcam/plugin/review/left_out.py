"""Files of a place that belong to no series: how many there are, and why each was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.plugin.review.wording import counted, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from voxcam.io import Study
    from voxcam.plugin.review.catalogue import PlaceRow

# Kinds of findings of a study that tell of such files.
LEFT_OUT = ("skipped", "refused")
# Refused files that are named one by one; of the others the number is told.
_MOST_NAMED = 200


def left_out_words(studies: Iterable[Study]) -> str:
    """Return how many files were skipped and refused, in words; "" if none."""
    known = list(studies)
    skipped, refused = sum(study.skipped for study in known), sum(study.refused for study in known)
    if not skipped:
        return f"{counted(refused, 'file')} refused" if refused else ""
    return f"{counted(skipped, 'file')} skipped" + (f", {refused:,} refused" if refused else "")


def nothing_found_words(name: str, study: Study) -> str:
    """Return that a place holds no image, and what became of its files; "" of a place that has series."""
    if study.series:
        return ""
    told = left_out_words([study]) or "it holds no files"
    return f"{name}: no images found; {told}"


def left_out_lines(rows: Sequence[PlaceRow]) -> list[str]:
    """Return why files were left out, a line a reason, and the refused by name; place by place."""
    lines = []
    for row in rows:
        here = _lines_of(row.study, row.place)
        lines += [f"{row.title}:", *here] if here and len(rows) > 1 else here
    return lines


def _lines_of(study: Study, place: Path) -> list[str]:
    reasons = [sentence(finding.text) for finding in study.findings if finding.kind in LEFT_OUT]
    named = [f"{_within(file, place)}: {why}" for file, why in study.left_out[:_MOST_NAMED]]
    more = len(study.left_out) - _MOST_NAMED
    return [*reasons, *named, *([f"and {more:,} more"] if more > 0 else [])]


def _within(path: Path, place: Path) -> str:
    """Return where a file lies below a place; of what was unpacked elsewhere, nothing but its name."""
    return str(path.relative_to(place)) if path != place and path.is_relative_to(place) else path.name
