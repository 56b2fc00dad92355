"""The area under the ROC curve, with 95 % intervals over pictures (DeLong) and over clusters of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

NORMAL_95 = 1.959964
DRAWS = 2000


@dataclass(frozen=True)
class Area:
    """An area under the curve and its 95 % interval; `low` and `high` are NaN where none can be given."""

    value: float
    low: float
    high: float


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Return how often a positive scores above a negative, ties counted half; NaN if one kind is missing."""
    if not len(positive) or not len(negative):
        return float("nan")
    return float(_placements(positive, negative).mean())


def delong(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> Area:
    """Return the area with DeLong's interval (DeLong et al., Biometrics 1988), cut off at 0 and 1.

    It takes every picture for independent. Where all positives lie above all negatives (or below) its
    variance is nought, which says nothing, and there is no interval; nor with fewer than two of a kind.
    """
    if min(len(positive), len(negative)) < 2:
        return Area(auc(positive, negative), np.nan, np.nan)
    of_positive = _placements(positive, negative)
    of_negative = 1 - _placements(negative, positive)
    value = float(of_positive.mean())
    variance = of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    if value in (0.0, 1.0):
        return Area(value, np.nan, np.nan)
    reach = NORMAL_95 * float(np.sqrt(variance))
    return Area(value, max(0.0, value - reach), min(1.0, value + reach))


def over_clusters(
    scores: NDArray[np.floating],
    labels: NDArray[np.generic],
    clusters: NDArray[np.generic],
    seed: int = 0,
    draws: int = DRAWS,
) -> Area:
    """Return the area with a percentile bootstrap interval that draws whole clusters with replacement.

    Parameters
    ----------
    scores, labels, clusters : (n,)
        Labels are 1 or 0. Pictures of one cluster (a slice, a place in the body) resemble each other, so
        they come and go together. Draws without both labels are left out; with fewer than two clusters
        there is no interval.
    """
    value = auc(scores[labels == 1], scores[labels == 0])
    if len(np.unique(clusters)) < 2 or np.isnan(value):
        return Area(value, np.nan, np.nan)
    areas = [
        auc(scores[drawn][labels[drawn] == 1], scores[drawn][labels[drawn] == 0])
        for drawn in resampled(clusters, seed, draws)
    ]
    low, high = np.nanpercentile(areas, [2.5, 97.5])
    return Area(value, float(low), float(high))


def resampled(clusters: NDArray[np.generic], seed: int = 0, draws: int = DRAWS) -> Iterator[NDArray[np.intp]]:
    """Yield the pictures of as many clusters as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    names, which = np.unique(clusters, return_inverse=True)
    members = [np.flatnonzero(which == n) for n in range(len(names))]
    for _ in range(draws):
        yield np.concatenate([members[n] for n in rng.integers(0, len(names), len(names))])


def _placements(ours: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return, for each of ours, the share of the others that lie below it, ties counted half."""
    within = rankdata(ours)
    among = rankdata(np.concatenate([ours, others]))[: len(ours)]
    return np.asarray((among - within) / len(others), np.float64)
