"""Shares with Wilson's 95 % interval, and the table of what was called against what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Share:
    """So many of so many, and the 95 % interval (Wilson, JASA 1927); NaN of none."""

    hits: int
    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Confusion:
    """Counts at a threshold: called and true, called and untrue, missed, rightly left."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def sensitivity(self) -> Share:
        """Share of the positives that are called."""
        return wilson(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Share:
        """Share of the negatives that are not called."""
        return wilson(self.true_negative, self.true_negative + self.false_positive)


def confusion(called: NDArray[np.bool_], labels: NDArray[np.generic]) -> Confusion:
    """Count what is called against labels of 1 and 0; others (NaN: unknown) are left out."""
    true, untrue = labels == 1, labels == 0
    return Confusion(
        int((called & true).sum()),
        int((called & untrue).sum()),
        int((~called & true).sum()),
        int((~called & untrue).sum()),
    )


def share(hits: NDArray[np.bool_]) -> Share:
    """Return the share of hits."""
    return wilson(int(hits.sum()), len(hits))


def wilson(hits: int, of: int) -> Share:
    """Return hits / of with Wilson's score interval: every picture is taken for independent."""
    if not of:
        return Share(0, 0, np.nan, np.nan, np.nan)
    rate, z2 = hits / of, NORMAL_95**2
    middle = (rate + z2 / (2 * of)) / (1 + z2 / of)
    reach = NORMAL_95 / (1 + z2 / of) * np.sqrt(rate * (1 - rate) / of + z2 / (4 * of**2))
    return Share(hits, of, rate, max(0.0, float(middle - reach)), min(1.0, float(middle + reach)))
