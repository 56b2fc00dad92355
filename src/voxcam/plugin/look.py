"""How evidence is looked at, what runs, and a class as the table shows it."""

from __future__ import annotations

from dataclasses import dataclass


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
    shared_range
        All classes on one range (0 to the highest evidence of any), or each on its own.
    hidden
        All evidence off, in one stroke; `shown` is kept.
    """

    method: str = ""
    layer: str = ""
    shown: frozenset[str] = frozenset()
    threshold: float = 0.0
    opacity: float = 0.8
    shared_range: bool = True
    hidden: bool = False


@dataclass(frozen=True)
class Running:
    """The work under way: `done` of `total` steps (0 if unknown), what it takes, whether it is to stop."""

    what: str
    done: int = 0
    total: int = 0
    stopping: bool = False
    forecast: str = ""

    @property
    def words(self) -> str:
        """One line for the screen."""
        if self.stopping:
            return "stopping after this step"
        words = f"{self.what}: {self.done} of {self.total}" if self.total else f"{self.what} ..."
        return f"{words} ({self.forecast})" if self.forecast else words


@dataclass(frozen=True)
class ClassRow:
    """One class as the table shows it.

    Parameters
    ----------
    score
        In words: "0.87", "> 0.99", "63.2 years".
    share
        Of the bar that is filled, 0..1; None of a score that is no probability.
    explained
        Whether it has a heatmap.
    evidence
        In words.
    """

    name: str
    score: str
    share: float | None
    explained: bool
    shown: bool
    empty: bool
    colours: str
    evidence: str
