"""Whether one set of weights does better than another on the same pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.roc import Area, resampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def difference(
    statistic: Callable[[Any, NDArray[np.intp]], float],
    before: Any,
    after: Any,
    clusters: NDArray[np.generic],
) -> Area:
    """Return how much a statistic of some pictures grows, with its 95 % interval.

    Percentile bootstrap of whole clusters; both answers are asked of the same draw, so what makes a draw
    easy or hard falls out. Draws of which the statistic is NaN are left out.
    """
    every = np.arange(len(clusters))
    grown = [statistic(after, drawn) - statistic(before, drawn) for drawn in resampled(clusters)]
    low, high = np.nanpercentile(grown, [2.5, 97.5])
    return Area(statistic(after, every) - statistic(before, every), float(low), float(high))
