"""The work under way, one at a time, each with a ticket: a result nobody waits for any more is dropped.

Work runs elsewhere and takes long. Whoever starts it is given a ticket and hands it in with all it brings;
the ticket lapses when another study comes onto the screen, another classifier is chosen, or work begins anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from psygnal import Signal

from voxcam.plugin.review.look import Running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.errors import ChangedWeightsError
    from voxcam.model.trusted import Code
    from voxcam.plugin.review.reading import Origin

NOT_A_RESULT = "Stopped: nothing was changed."


class Tickets(ABC):
    """Who may bring a result: the holder of the latest ticket, unless told to stop."""

    running_changed = Signal()
    said = Signal(str, bool)  # one line; whether it is an error
    trust_asked = Signal(object)  # the Code that would run
    weights_asked = Signal(object)  # the ChangedWeightsError

    def __init__(self) -> None:
        self.running: Running | None = None
        self._ticket = 0

    # --- what the heir knows, and takes

    @property
    @abstractmethod
    def missing(self) -> str:
        """What must be chosen before a run, in a line; "" if nothing."""

    @abstractmethod
    def open(self, volume: Volume, mask: Volume | None = None, origin: Origin | None = None) -> None:
        """Open a study that was read, and show it."""

    @abstractmethod
    def outline(self, mask: Volume) -> None:
        """Draw labels over the study on the screen."""

    @abstractmethod
    def holds(self, mask: Volume) -> bool:
        """Whether labels may belong to the study on the screen."""

    @abstractmethod
    def adopt(self, explanation: Explanation) -> None:
        """Show an explanation of the study on the screen."""

    @abstractmethod
    def _forget_asked(self) -> None:
        """Ask no more for what was noted for the next run: one with it has failed."""

    # --- beginning

    def start_reading(self) -> int:
        """Begin to read a scan and return the ticket; other work is dropped."""
        self._end()
        return self._begin("reading")

    def start(self) -> int | None:
        """Begin a run and return its ticket; None, with a word, if something is missing or runs already."""
        if self.missing:
            self.said.emit(self.missing, True)
        if self.missing or self.running is not None:
            return None
        return self._begin("explaining")

    def start_writing(self) -> int:
        """Begin to write a figure and return the ticket."""
        return self._begin("drawing the figure")

    # --- under way

    def wants(self, ticket: int) -> bool:
        """Whether the run of `ticket` should go on; may be asked from any thread."""
        running = self.running
        return ticket == self._ticket and running is not None and not running.stopping

    def progress(self, ticket: int, done: int, total: int) -> None:
        """Note how far a run is."""
        if self.wants(ticket) and self.running is not None:
            self.running = self.running.at(done, total, monotonic())
            self.running_changed.emit()

    def forecast(self, ticket: int, sentence: str) -> None:
        """Note how long a run will take."""
        if self.wants(ticket) and self.running is not None:
            self.running = replace(self.running, forecast=sentence)
            self.running_changed.emit()

    def cancel(self) -> None:
        """Ask the run to stop."""
        if self.running is not None:
            self.running = replace(self.running, stopping=True)
            self.running_changed.emit()

    # --- ending

    def finish(self, ticket: int, explanation: Explanation) -> bool:
        """Take a run's explanation; False, and nothing changes, if it is for another study or unwanted."""
        if not self.wants(ticket):
            self._stopped(ticket)
            return False
        self._end()
        self.adopt(explanation)
        return True

    def finish_reading(self, ticket: int, volumes: Sequence[tuple[Volume, Origin | None]]) -> bool:
        """Open the volumes a reading brought; False, and nothing changes, if they are no longer wanted."""
        if not self.wants(ticket):
            self._stopped(ticket)
            return False
        self._end()
        for volume, origin in volumes:
            if volume.unit == "label" and self.holds(volume):
                self.outline(volume)
            else:
                self.open(volume, origin=origin)
        return True

    def finish_writing(self, ticket: int, name: str) -> None:
        """Say that the file `name` was written: it is, wanted or not."""
        if ticket == self._ticket:
            self._end()
        self.said.emit(f"Saved {name}.", False)

    def fail(self, ticket: int, message: str | None = None) -> None:
        """End a run without a result: cancelled, or with one line of what went wrong."""
        if message and self.wants(ticket):
            self._forget_asked()
            self._end()
            self.said.emit(message, True)
        else:
            self._stopped(ticket)

    def ask_trust(self, ticket: int, code: Code) -> None:
        """End a run that would need the model's own code, and ask whether that may run."""
        if self.wants(ticket):
            self._end()
            self.trust_asked.emit(code)
        else:
            self._stopped(ticket)

    def ask_about_weights(self, ticket: int, changed: ChangedWeightsError) -> None:
        """End a run whose weights are not those seen before, and ask whether they are meant."""
        if self.wants(ticket):
            self._end()
            self.weights_asked.emit(changed)
        else:
            self._stopped(ticket)

    # --- steps

    def _begin(self, what: str) -> int:
        self._ticket += 1
        self.running = Running(what)
        self.running_changed.emit()
        return self._ticket

    def _lapse(self) -> None:
        """Let the ticket lapse: what runs is told to stop, and its result will be dropped."""
        self._ticket += 1
        self._end()

    def _stopped(self, ticket: int) -> None:
        if ticket == self._ticket and self.running is not None:
            self._end()
            self.said.emit(NOT_A_RESULT, False)

    def _end(self) -> None:
        if self.running is not None:
            self.running = None
            self.running_changed.emit()
