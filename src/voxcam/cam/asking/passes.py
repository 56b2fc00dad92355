"""How often a method asks the network: said before it starts, counted while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Extent:
    """The sizes that decide how often a method asks.

    Attributes
    ----------
    samples, classes
        B and K'.
    space
        The input's spatial sizes, in voxels.
    channels
        Feature maps of the layer; 0 for a method that needs none.
    """

    samples: int
    classes: int
    space: tuple[int, ...]
    channels: int = 0


class Counter:
    """Counts passes, one being one sample through the network, and tells `progress` of (done, in all)."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self._progress = 0, total, progress

    def __call__(self, passes: int) -> None:
        """Count `passes` more; 0 only gives `progress` the chance to end the work."""
        self.done += passes
        if self._progress is not None:
            self._progress(self.done, self.total)
