"""What a model's files say, and how a scan fits it, found in a thread: the window never waits for a disk."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from voxcam.plugin.work.bundles import describe, offers
from voxcam.plugin.work.recent import recent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.plugin.work.bundles import Description

log = logging.getLogger(__name__)


class Describer(QObject):  # type: ignore[misc]
    """Looks at models, and tells by signal; of each kind of question only the newest is answered.

    It has no Qt parent: a thread may outlive the window, and still finds its signals there.
    """

    offered = Signal(object)  # the `Offer`s
    described = Signal(object)  # a `Description`
    fitted = Signal(object)  # a `Fit`, or None: not known

    _found = Signal(str, int, object)

    def __init__(self) -> None:
        super().__init__()
        self._newest = {"offered": 0, "described": 0, "fitted": 0}
        self._closed = False
        self._found.connect(self._on_found)

    def offer(self) -> None:
        """Look which models there are to choose from."""
        self._start("offered", lambda: offers(recent()))

    def describe(self, model: Path | None) -> None:
        """Look what a model's files say; None: no model, and nothing is told of the one before."""
        if model is None:
            self._newest["described"] += 1
        else:
            self._start("described", lambda: describe(model))

    def fit(self, description: Description | None, volume: Volume | None) -> None:
        """Look how a volume fits what a model states; None where either is missing, at once."""
        statement = None if description is None else description.statement
        if statement is None or volume is None:
            self._newest["fitted"] += 1
            self.fitted.emit(None)
            return

        def look() -> Any:
            from voxcam.model.fitness import fit_of

            return fit_of(statement, volume, look=True)

        self._start("fitted", look)

    def close(self) -> None:
        """Tell nothing more."""
        self._closed = True

    def _start(self, kind: str, look: Callable[[], object]) -> None:
        self._newest[kind] += 1
        ticket = self._newest[kind]

        def work() -> None:
            try:
                found = look()
            except Exception:  # a look at a model is a convenience: the run will say what is wrong
                log.exception("looking at a model failed")
                found = None
            if not self._closed:
                self._found.emit(kind, ticket, found)

        # A daemon: it may hang at a network drive that is gone, and holds nothing of torch.
        threading.Thread(target=work, name=f"voxcam {kind}", daemon=True).start()

    def _on_found(self, kind: str, ticket: int, found: object) -> None:
        if not self._closed and ticket == self._newest[kind] and (found is not None or kind == "fitted"):
            getattr(self, kind).emit(found)
