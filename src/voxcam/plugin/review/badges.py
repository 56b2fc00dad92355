"""Findings of a series or a place as its row shows them: counted, those that stop it apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcam.plugin.review.wording import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.io import Finding


@dataclass(frozen=True)
class Badge:
    """The findings of one weight."""

    stops: bool
    texts: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.texts)


def badges_of(findings: Sequence[Finding]) -> tuple[Badge, ...]:
    """Return a badge of the findings that stop, and one of the others."""
    badges = []
    for stops in (True, False):
        texts = tuple(sentence(finding.text) for finding in findings if finding.stops == stops)
        if texts:
            badges.append(Badge(stops, texts))
    return tuple(badges)


def texts_of(badges: Sequence[Badge]) -> list[str]:
    """Return all that the badges count, a sentence each."""
    return [text for badge in badges for text in badge.texts]
