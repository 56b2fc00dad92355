"""Classifiers kept warm: loaded once, held while their files are unchanged, a few at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcam.model.loading import load_classifier
from voxcam.model.statement.beside import place_beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.classifier import Classifier

# Each holds its weights: a DenseNet121 30 MB, a ResNet200 250 MB.
MOST = 3

Key = tuple[Any, ...]


class Warm:
    """The classifiers loaded last, the least used one let go first; safe to share between threads.

    Parameters
    ----------
    most
        How many are held.
    """

    def __init__(self, most: int = MOST) -> None:
        self._held: OrderedDict[Key, Classifier] = OrderedDict()
        self._most, self._guard = most, threading.Lock()

    def load(
        self,
        place: str | Path,
        device: str = "auto",
        cancelled: Callable[[], bool] | None = None,
        **asked: Any,
    ) -> Classifier:
        """Return the classifier at `place` as `load_classifier` does: anew only if a file changed."""
        key = (Path(place).resolve(), device, tuple(sorted(asked.items())), _stamps(Path(place)))
        with self._guard:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        loaded = load_classifier(place, device, cancelled=cancelled, **asked)
        with self._guard:
            for other in [held for held in self._held if held[:3] == key[:3]]:
                del self._held[other]  # the same model before its files changed
            self._held[key] = loaded
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return loaded

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)


def _stamps(place: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change of every file that a model is read from."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    found = []
    for file in [*files, place_beside(place)]:
        if file.is_file():
            status = file.stat()
            found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)
