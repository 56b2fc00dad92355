"""Scanning places in the background, one after the other, while the reader goes on reading."""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from voxcam.errors import Cancelled
from voxcam.plugin.work.runner import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voxcam.io import Study

# The window is told of progress this often, not with every file.
_TELL_S = 0.05
# Parsing holds Python's lock: the window gets it for a moment, this often.
_WORK_S, _PAUSE_S = 0.012, 0.003


class Scanner(QObject):  # type: ignore[misc]
    """Scan places in a thread of its own.

    Like `Runner` it has no Qt parent: the thread may outlive the window. Signals come in the window's
    thread: `found` (place, Study), `progressed` (files done, files met), `failed` (one line, place), `ended`.
    While folders are still walked, `progressed` says 0 done of those met so far.
    """

    found = Signal(object, object)
    progressed = Signal(int, int)
    failed = Signal(str, object)
    ended = Signal()

    _went_on = Signal(int, int, int)
    _told = Signal(int, object, object)

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self._waiting: deque[Path] = deque()
        self._round = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._threads: list[threading.Thread] = []
        self._went_on.connect(self._on_progress)
        self._told.connect(self._on_told)

    @property
    def scanning(self) -> bool:
        """Whether places are being scanned."""
        return self._thread is not None

    def scan(self, places: Iterable[Path]) -> None:
        """Scan places, after those that wait; one that waits already is scanned once."""
        with self._lock:
            if self.closed:
                return
            self._waiting += [place for place in dict.fromkeys(places) if place not in self._waiting]
            if self._thread is None and self._waiting:
                self._start()

    def cancel(self) -> None:
        """Stop at the next file, and forget the places that wait; what was found stays."""
        with self._lock:
            was_scanning = self._stop()
        if was_scanning and not self.closed:
            self.ended.emit()

    def close(self) -> None:
        """Stop, and tell nothing more; the thread ends by itself at its next file."""
        self.closed = True
        with self._lock:
            self._stop()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the threads; whether they have ended."""
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        # Not a daemon: cut off while Python ends it would crash; it stops at its next file.
        self._thread = threading.Thread(target=self._work, args=(self._round,), name="voxcam scan")
        self._threads = [thread for thread in self._threads if thread.is_alive()] + [self._thread]
        self._thread.start()

    def _stop(self) -> bool:
        self._waiting.clear()
        self._round += 1
        was_scanning, self._thread = self._thread is not None, None
        return was_scanning

    # --- in the thread

    def _work(self, number: int) -> None:
        while (place := self._next(number)) is not None:
            self._told.emit(number, place, self._scanned(place, number))
        self._told.emit(number, None, None)

    def _next(self, number: int) -> Path | None:
        with self._lock:
            if number != self._round:
                return None
            if not self._waiting:
                self._thread = None
                return None
            return self._waiting.popleft()

    def _scanned(self, place: Path, number: int) -> Study | Exception:
        pace = Pace()

        def progress(done: int, total: int) -> None:
            if number != self._round:
                raise Cancelled
            if pace.breathe():
                self._went_on.emit(number, done, total)

        try:
            from voxcam.io import scan

            return scan(place, progress)
        except Exception as error:  # every end is told to the window, in one line
            return error
        finally:
            gc.unfreeze()

    # --- in the window's thread

    def _on_progress(self, number: int, done: int, total: int) -> None:
        if number == self._round and not self.closed:
            self.progressed.emit(done, total)

    def _on_told(self, number: int, place: Path | None, outcome: Study | Exception | None) -> None:
        if number != self._round or self.closed:
            return
        if place is None:
            if not self.scanning:  # or places were added while this was on its way
                self.ended.emit()
        elif isinstance(outcome, Exception):
            if not isinstance(outcome, Cancelled):
                self.failed.emit(one_line(outcome), place)
        else:
            self.found.emit(place, outcome)


class Pace:
    """Leave Python's lock to the window for a moment now and then, and tell when to tell of progress."""

    def __init__(self) -> None:
        self._rested, self._told = time.monotonic(), 0.0

    def breathe(self) -> bool:
        """Rest if it is time; whether it is time to tell of progress."""
        now = time.monotonic()
        if now - self._rested > _WORK_S:
            time.sleep(_PAUSE_S)
            self._rested = time.monotonic()
        if now - self._told < _TELL_S:
            return False
        # A collection of all garbage goes through all that lives, 0.1 s and more in which the window stands
        # still, and thousands of headers bring it on: what lives now is left out of it until the scan ends.
        gc.freeze()
        self._told = now
        return True
