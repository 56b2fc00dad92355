"""Whether probabilities mean what they say: likelihood, Brier score, calibration error, temperature.

Everything is asked of margins: the log odds of the class, so that the probability is 1 / (1 + exp(-margin)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 5
LOG_TEMPERATURES = (-4.0, 4.0)


@dataclass(frozen=True)
class Calibration:
    """How well margins divided by a temperature fit labels."""

    temperature: float
    nll: float
    brier: float
    ece: float


def calibration(
    margins: NDArray[np.floating], labels: NDArray[np.generic], temperature: float = 1.0
) -> Calibration:
    """Return the figures of margins (n,) against labels of 1 and 0."""
    divided = np.asarray(margins, np.float64) / temperature
    return Calibration(
        temperature,
        float(losses(divided, labels).mean()),
        float(((expit(divided) - labels) ** 2).mean()),
        calibration_error(expit(divided), labels),
    )


def losses(margins: NDArray[np.floating], labels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return each picture's negative log likelihood, in nats."""
    signed = np.where(labels == 1, margins, -margins)
    return np.asarray(np.logaddexp(0, -signed), np.float64)


def calibration_error(
    probabilities: NDArray[np.floating], labels: NDArray[np.generic], bins: int = BINS
) -> float:
    """Return the expected calibration error over bins of equal width of the probability (Naeini, AAAI 2015).

    The mean gap between a bin's probability and its share of positives, weighted by the bin's pictures.
    """
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs(probabilities[which == n].mean() - labels[which == n].mean()) * (which == n).mean()
        for n in np.unique(which)
    ]
    return float(sum(gaps))


def fit_temperature(margins: NDArray[np.floating], labels: NDArray[np.generic]) -> float:
    """Return the temperature with the highest likelihood (Guo et al., ICML 2017), between e^-4 and e^4."""

    def mean_loss(log_temperature: float) -> float:
        return float(losses(margins / np.exp(log_temperature), labels).mean())

    found = minimize_scalar(mean_loss, bounds=LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
