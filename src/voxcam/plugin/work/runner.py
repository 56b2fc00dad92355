"""Work off the window's thread: reading a scan, and loading a classifier and explaining with it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from voxcam.core.explanation import Explanation
from voxcam.errors import Cancelled, ChangedWeightsError, UntrustedCodeError, VoxcamError
from voxcam.model.waking import wake
from voxcam.plugin.work.classifiers import Classifiers, code_that_would_run, explain_study
from voxcam.plugin.work.options import RunOptions
from voxcam.plugin.work.reading import read_place, read_series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from voxcam.export.view import FigureOptions
    from voxcam.io import Series, Study
    from voxcam.model.trusted import Code
    from voxcam.plugin.review.review import Review
    from voxcam.plugin.work.reading import Read

    Progress = Callable[[int, int], None]

log = logging.getLogger(__name__)


class Runner(QObject):  # type: ignore[misc]
    """Run one job at a time in a thread of its own, and bring progress and result back to the window's.

    It has no Qt parent: the thread may outlive the window, and still finds its signals there.
    """

    _progressed = Signal(int, int, int)
    _forecast = Signal(int, str)
    _ended = Signal(int, object, object)

    def __init__(self, review: Review) -> None:
        super().__init__()
        self.review, self.closed, self.options = review, False, RunOptions()
        self._classifiers = Classifiers()
        self._thread: threading.Thread | None = None
        self._progressed.connect(self._on_progress)
        self._forecast.connect(self._on_forecast)
        self._ended.connect(self._on_end)

    def read(self, place: Path, series: str | int | None = None) -> None:
        """Scan a place, and open the series asked for, else its largest."""
        ticket = self.review.start_reading()
        self._start(ticket, lambda progress: read_place(place, series, progress), self._finish_reading)

    def read_series(
        self, place: Path, study: Study, chosen: Sequence[Series], modality: str | None = None
    ) -> None:
        """Open series of a place that was scanned, the first of them on the screen; what is open is shown.

        With a modality, which their files do not state, they are read anew.
        """
        unread = [series for series in chosen if modality or self.review.opened(series.key) is None]
        if not unread:
            self._show_opened(chosen[0])
            return
        ticket = self.review.start_reading()

        def finish(ticket: int, read: Read) -> None:
            if self._finish_reading(ticket, read):
                self._show_opened(chosen[0])

        self._start(ticket, lambda progress: read_series(place, study, unread, progress, modality), finish)

    def _show_opened(self, series: Series) -> None:
        reading = self.review.opened(series.key)
        if reading is not None:
            self.review.show(reading)

    def explain(self, moment: int | None = None) -> None:
        """Explain the open study by the chosen classifier; of one in time this moment, unless options say."""
        ticket, review = self.review.start(), self.review
        volume, bundle = review.volume, review.bundle
        if ticket is None or volume is None or bundle is None:
            return
        layers = (review.asked_layer,) if review.asked_layer else None
        device, classifiers, options = review.device, self._classifiers, self.options
        if options.moment is None:
            options = replace(options, moment=moment)
        methods = tuple(dict.fromkeys((*review.methods_to_run, *options.methods)))
        allowed = {"trust_code": review.trusted or False, "accept_weights": review.accepted or None}
        if options.network:
            allowed |= options.for_loading

        def job(progress: Progress) -> Explanation | Code | ChangedWeightsError:
            wake(progress)
            from voxcam.model.devices import settle_threads

            settle_threads()
            progress(0, 0)
            try:
                classifier = classifiers.load(
                    bundle, device, lambda: self.closed or not self.review.wants(ticket), **allowed
                )
            except UntrustedCodeError as error:
                return code_that_would_run(bundle, error)
            except ChangedWeightsError as error:
                return error
            progress(0, 0)
            return explain_study(
                volume,
                classifier,
                methods,
                layers,
                progress,
                announce=lambda sentence: self._forecast.emit(ticket, sentence),
                **options.for_explaining,
            )

        self._start(ticket, job, self._finish_explaining)

    def write_figure(self, target: Path, class_name: str, options: FigureOptions) -> None:
        """Draw the open explanation and write it to `target`."""
        explanation, volume = self.review.explanation, self.review.volume
        if explanation is None or self.review.running is not None:
            return
        ticket = self.review.start_writing()

        def job(progress: Progress) -> str:
            from voxcam.export.figure import figure, write_figure

            look: FigureOptions = {**options, "volume": volume}
            write_figure(figure(explanation, class_name, **look), target)
            return target.name

        self._start(ticket, job, self.review.finish_writing)

    def close(self) -> None:
        """Stop the work and listen no more; the thread ends by itself at its next step."""
        self.closed = True
        self.review.cancel()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _start(
        self, ticket: int, job: Callable[[Progress], Any], finish: Callable[[int, Any], object]
    ) -> None:
        def progress(done: int, total: int) -> None:
            if self.closed or not self.review.wants(ticket):
                raise Cancelled
            self._progressed.emit(ticket, done, total)

        def work() -> None:
            try:
                outcome = job(progress)
            except Exception as error:  # every end is told to the window, in one line
                outcome = error
            self._ended.emit(ticket, outcome, finish)

        # Not a daemon: cutting torch off while Python ends crashes; it stops at its next step.
        self._thread = threading.Thread(target=work, name="voxcam run")
        self._thread.start()

    def _on_progress(self, ticket: int, done: int, total: int) -> None:
        if not self.closed:
            self.review.progress(ticket, done, total)

    def _on_forecast(self, ticket: int, sentence: str) -> None:
        if not self.closed:
            self.review.forecast(ticket, sentence)

    def _on_end(self, ticket: int, outcome: Any, finish: Callable[[int, Any], object]) -> None:
        if self.closed:
            return
        if isinstance(outcome, Cancelled):
            self.review.fail(ticket)
        elif isinstance(outcome, Exception) and not isinstance(outcome, ChangedWeightsError):
            self.review.fail(ticket, one_line(outcome))
        else:
            finish(ticket, outcome)

    def _finish_reading(self, ticket: int, read: Read) -> bool:
        if not self.review.wants(ticket):
            self.review.fail(ticket)
            return False
        self.review.know_place(read.place, read.study)
        return self.review.finish_reading(ticket, read.volumes)

    def _finish_explaining(self, ticket: int, outcome: Explanation | Code | ChangedWeightsError) -> None:
        if isinstance(outcome, ChangedWeightsError):
            self.review.ask_about_weights(ticket, outcome)
        elif not isinstance(outcome, Explanation):
            self.review.ask_trust(ticket, outcome)
        elif self.review.finish(ticket, outcome):
            self.review.know_choices(self._classifiers.layers, self._classifiers.methods)


def one_line(error: Exception) -> str:
    """Return an error as one line for the reader; a bug's traceback goes to the log."""
    if isinstance(error, VoxcamError):
        return str(error)
    log.error("a run failed", exc_info=error)
    return f"This did not work ({type(error).__name__}); the log of the terminal says more."
