"""How evidence is looked at, what runs, and a class as the table shows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

# "smooth" is linear between the network's units, "cells" shows each unit as the block it is, "contours" draws
# lines at the threshold, half, and four fifths of the range.
Drawn = Literal["smooth", "cells", "contours"]
DRAWN: tuple[Drawn, ...] = get_args(Drawn)
# Until then the time that is left would be a guess.
_SURE_S = 1.5
# The class that speaks loudest takes perceptual colours, the others a hue each.
FIRST = "inferno"


@dataclass(frozen=True)
class Own:
    """What a class has of its own instead of all classes' threshold and opacity."""

    threshold: float
    opacity: float


@dataclass(frozen=True)
class Look:
    """How the evidence is looked at.

    Parameters
    ----------
    method, layer
        Which heatmaps; "" for the explanation's first.
    shown
        Classes whose heatmap is on.
    threshold
        Share of the range, 0 to under 1, up to which nothing is shown.
    opacity
        0..1.
    own
        Threshold and opacity of the classes that have their own.
    colours
        Class to the name of its colours, one of `voxcam.export.style.COLOURS`.
    first
        The colours of the class that speaks loudest.
    shared_range
        All classes on one range (0 to the highest evidence of any), or each on its own.
    drawn
        Smooth, the network's own cells, or contours.
    layered
        Each class as a napari layer of its own, with napari's controls, instead of all as one picture.
    hidden
        All evidence off, in one stroke; `shown` is kept.
    """

    method: str = ""
    layer: str = ""
    shown: frozenset[str] = frozenset()
    threshold: float = 0.0
    opacity: float = 0.8
    own: Mapping[str, Own] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    first: str = FIRST
    shared_range: bool = True
    drawn: Drawn = "smooth"
    layered: bool = False
    hidden: bool = False

    def of(self, name: str) -> Own:
        """Return threshold and opacity of a class."""
        return self.own.get(name, Own(self.threshold, self.opacity))


@dataclass(frozen=True)
class Running:
    """The work under way.

    Parameters
    ----------
    what
        "reading", "explaining", ...
    done, total
        Steps; 0 in all if unknown.
    stopping
        Whether it is to stop at the next step.
    forecast
        What it takes, said beforehand.
    began
        When its steps began to be counted, in seconds of a clock that only runs forward.
    left_s
        How long the rest takes if it goes on as before; None while that would be a guess.
    """

    what: str
    done: int = 0
    total: int = 0
    stopping: bool = False
    forecast: str = ""
    began: float = 0.0
    left_s: float | None = None

    def at(self, done: int, total: int, now: float) -> Running:
        """Return the work so many steps on."""
        fresh = total != self.total or done < self.done
        began = now if fresh else self.began
        elapsed, moved = now - began, done > 0 and total > 0
        sure = moved and not fresh and elapsed >= _SURE_S
        return replace(
            self,
            done=done,
            total=total,
            began=began,
            left_s=elapsed / done * (total - done) if sure else None,
        )

    @property
    def words(self) -> str:
        """One line for the screen."""
        if self.stopping:
            return "stopping after this step"
        words = f"{self.what}: {self.done} of {self.total}" if self.total else f"{self.what} ..."
        if self.left_s is not None:
            words += f", about {duration(self.left_s)} left"
        return f"{words} ({self.forecast})" if self.forecast else words


@dataclass(frozen=True)
class ClassRow:
    """One class as the table shows it.

    Parameters
    ----------
    score
        In words: "0.87", "> 0.99", "63.2 years".
    value
        The score itself, to sort by.
    share
        Of the bar that is filled, 0..1; None of a score that is no probability.
    threshold
        The score from which on the class is called; None if the model states none.
    explained
        Whether it has a heatmap.
    empty
        Whether nothing speaks for it.
    largest
        The highest evidence, to sort by; NaN without a map.
    evidence
        In words.
    """

    name: str
    score: str
    value: float
    share: float | None
    threshold: float | None
    explained: bool
    shown: bool
    empty: bool
    largest: float
    colours: str
    evidence: str

    @property
    def called(self) -> bool:
        """Whether the score reaches its threshold; False where there is none."""
        return self.threshold is not None and self.value >= self.threshold


def duration(seconds: float) -> str:
    """Return a time to wait in words: ``4 s``, ``3 min``."""
    return f"{max(round(seconds), 1)} s" if seconds < 90 else f"{round(seconds / 60)} min"
