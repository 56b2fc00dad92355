"""The learning curve: losses on what no step saw, epoch by epoch, and the rule by which training stops."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean of losses and its 95 % interval by the normal rule, over the pictures asked."""

    mean: float
    low: float
    high: float


@dataclass
class Curve:
    """Rows of the learning curve, and the losses of each round's end, picture by picture."""

    rows: list[dict[str, float]] = field(default_factory=list)
    rounds: list[NDArray[np.float64]] = field(default_factory=list)

    def add(
        self,
        where: dict[str, int],
        training: float,
        validation: NDArray[np.float64],
        held_out: NDArray[np.float64] | None,
    ) -> None:
        """Add a row and print it.

        Parameters
        ----------
        where
            Round, epoch, step.
        training
            The mean of what the optimiser minimised since the last row; not of the same kind as the others.
        validation, held_out
            Loss of the label for each picture of the training people, and of the person never trained on.
            The second is written down and decides nothing.
        """
        row = where | {"training_objective": training} | _columns("validation", validation)
        if held_out is not None:
            row |= _columns("held_out", held_out)
        self.rows.append(row)
        print(", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    def write(self, place: Path) -> None:
        """Write the rows as CSV, losses with four decimals."""
        with place.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows([{name: round(value, 4) for name, value in row.items()} for row in self.rows])


def chosen_round(rounds: Sequence[NDArray[np.float64]]) -> int:
    """Return the index of the round to keep: the first that the next one does not better; else the last."""
    for number in range(1, len(rounds)):
        if not betters(rounds[number], rounds[number - 1]):
            return number - 1
    return len(rounds) - 1


def betters(after: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    """Whether the loss fell by more than chance: the paired fall's 95 % interval lies above nought."""
    return interval(before - after).low > 0


def interval(losses: NDArray[np.float64]) -> Interval:
    """Return the mean of losses with its 95 % interval."""
    mean = float(np.mean(losses))
    reach = NORMAL_95 * float(np.std(losses, ddof=1)) / np.sqrt(len(losses))
    return Interval(mean, mean - reach, mean + reach)


def _columns(name: str, losses: NDArray[np.float64]) -> dict[str, float]:
    found = interval(losses)
    return {f"{name}_loss": found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
