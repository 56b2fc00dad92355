"""How a classifier's outputs are read: what a score is, and from where on a class is called."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Activation = Literal["softmax", "sigmoid", "ordinal", "regression", "not stated"]
Aggregate = Literal["highest", "clearest", "mean", "noisy-or"]

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
# How the scores of windows or slices become the study's.
AGGREGATES: dict[Aggregate, str] = {
    "highest": "of each class its highest window",
    "clearest": "all from the window that speaks most clearly against the background class",
    "mean": "the mean of all windows",
    "noisy-or": "the probability that at least one window is right, were windows independent",
}


@dataclass(frozen=True)
class Answer:
    """The reading of outputs.

    Parameters
    ----------
    activation
        "softmax" (one class is true), "sigmoid" (each class by itself), "ordinal" (each output asks
        "at least this grade?"), "regression" (outputs are values), or "not stated": raw outputs are shown.
    temperature
        Logits are divided by it before the activation (Guo et al., On calibration of modern neural
        networks, 2017); above 0. Maps stay in the network's own logits.
    aggregate
        A key of `AGGREGATES`; "" for the activation's usual one.
    background
        Index of the softmax class that means "nothing found", or None.
    thresholds
        Class name to the score from which on it is called.
    unit
        Of a regression: "years", "mm", ...
    """

    activation: Activation = "not stated"
    temperature: float = 1.0
    aggregate: Aggregate | Literal[""] = ""
    background: int | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(f"a temperature is a number above 0, found {self.temperature}")

    @property
    def is_probability(self) -> bool:
        """Whether scores lie between 0 and 1."""
        return self.activation in ("softmax", "sigmoid", "ordinal")

    @property
    def rule(self) -> Aggregate:
        """The rule by which windows become a study."""
        if self.aggregate:
            return self.aggregate
        if self.activation in ("sigmoid", "ordinal"):
            return "highest"
        return "clearest" if self.background is not None else "mean"

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores (n, classes) of logits (n, classes)."""
        from scipy.special import expit, softmax

        values = logits.astype(np.float64) / (self.temperature if self.is_probability else 1.0)
        if self.activation == "softmax":
            values = softmax(values, axis=1)
        elif self.is_probability:
            values = expit(values)
        return np.asarray(values, dtype=np.float32)

    def of_study(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the study's logits and scores, (classes,) each, from those of its windows (n, classes)."""
        values, scores = logits.astype(np.float64), self.scores(logits).astype(np.float64)
        if len(values) == 1:
            return values[0], scores[0]
        if self.rule == "highest":
            return values.max(axis=0), scores.max(axis=0)
        if self.rule == "clearest":
            at = int(scores[:, self.background or 0].argmin())
            return values[at], scores[at]
        if self.rule == "noisy-or":
            return _at_least_one(scores)
        return values.mean(axis=0), scores.mean(axis=0)

    def called(self, scores: Mapping[str, float]) -> tuple[str, ...]:
        """Return the classes whose score reaches its threshold; of those without one nothing is said."""
        return tuple(name for name, least in self.thresholds.items() if scores.get(name, -math.inf) >= least)

    def words(self, score: float) -> str:
        """Return a score in words that never round to certainty: ``0.87``, ``> 0.99``, ``63.2 years``."""
        if not math.isfinite(score):
            return "unknown"
        if not self.is_probability:
            return f"{score:.3g} {self.unit or 'raw output'}"
        return "> 0.99" if score > 0.99 else "< 0.01" if score < 0.01 else f"{score:.2f}"

    @property
    def noun(self) -> str:
        """What a score is: "probability", "value" or "output"."""
        if self.is_probability:
            return "probability"
        return "value" if self.activation == "regression" else "output"


def _at_least_one(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # In logarithms: of hundreds of windows the product of (1 - p) would underflow.
    none = np.log1p(-np.minimum(scores, 1 - 1e-12)).sum(axis=0)
    some = -np.expm1(none)
    return np.log(np.maximum(some, 1e-300)) - none, some
