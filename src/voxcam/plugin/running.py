"""Work off the window's thread: reading a scan, and loading a classifier and explaining with it."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import QObject, Signal

from voxcam.core.explanation import Explanation
from voxcam.errors import Cancelled, ChangedWeightsError, UntrustedCodeError, VoxcamError
from voxcam.model.waking import wake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voxcam.core.volume import Volume
    from voxcam.export.view import FigureOptions
    from voxcam.model.classifier import Classifier
    from voxcam.model.trusted import Code
    from voxcam.model.warm import Warm
    from voxcam.plugin.review import Review

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
        self.review, self.closed = review, False
        self._classifiers = Classifiers()
        self._thread: threading.Thread | None = None
        self._progressed.connect(self._on_progress)
        self._forecast.connect(self._on_forecast)
        self._ended.connect(self._on_end)

    def read(self, place: Path, series: str | int | None = None) -> None:
        """Read a scan and open it."""
        ticket = self.review.start_reading()
        self._start(ticket, lambda progress: read_place(place, series, progress), self._finish_reading)

    def explain(self) -> None:
        """Explain the open study by the chosen classifier."""
        ticket, review = self.review.start(), self.review
        volume, bundle = review.volume, review.bundle
        if ticket is None or volume is None or bundle is None:
            return
        layers = (review.asked_layer,) if review.asked_layer else None
        methods = review.methods_to_run
        device, classifiers = review.device, self._classifiers
        allowed = {"trust_code": review.trusted or False, "accept_weights": review.accepted or None}

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
                return _code_that_would_run(bundle, error)
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

    def _finish_reading(self, ticket: int, opened: Opened) -> None:
        if self.review.finish_reading(ticket, opened.volume):
            self.review.know_series(opened.place, opened.series, opened.number)

    def _finish_explaining(self, ticket: int, outcome: Explanation | Code | ChangedWeightsError) -> None:
        if isinstance(outcome, ChangedWeightsError):
            self.review.ask_about_weights(ticket, outcome)
        elif not isinstance(outcome, Explanation):
            self.review.ask_trust(ticket, outcome)
        elif self.review.finish(ticket, outcome):
            self.review.know_choices(self._classifiers.layers, self._classifiers.methods)


class Classifiers:
    """The classifiers loaded last, kept warm, and what can be asked of the one in use."""

    def __init__(self) -> None:
        self.layers: tuple[str, ...] = ()
        self.methods: tuple[str, ...] = ()
        self._warm: Warm | None = None
        self._used: Classifier | None = None

    def load(self, bundle: Path, device: str, cancelled: Callable[[], bool], **allowed: Any) -> Classifier:
        """Return the classifier in `bundle` on `device`; `allowed` is what its reader allowed."""
        from voxcam.model.warm import Warm

        self._warm = self._warm or Warm()
        classifier = self._warm.load(bundle, device, cancelled, **allowed)
        if classifier is not self._used:
            self._used, self.methods, self.layers = classifier, _methods_of(classifier), ()
            with suppress(VoxcamError):  # the list is a convenience: without it the default layer is left
                self.layers = tuple(layer.name for layer in classifier.layers())
            self.layers = self.layers or tuple(filter(None, [classifier.default_layer]))
        return classifier


def _methods_of(classifier: Classifier) -> tuple[str, ...]:
    """Return what can be asked of it; methods that join several layers are for the command line."""
    from voxcam.cam import FUSION, METHODS, looks_inside

    return tuple(
        method
        for method in METHODS
        if method not in FUSION and not (classifier.is_opaque and looks_inside(method))
    )


def _code_that_would_run(bundle: Path, error: UntrustedCodeError) -> Code:
    from voxcam.model.trusted import code_of

    code = code_of(bundle)
    if code is None or not code.would_run:
        raise error
    return code


class Opened(NamedTuple):
    """A volume, and the series of the place it is one of: in words, and its number among them."""

    volume: Volume
    place: Path
    series: tuple[str, ...]
    number: int


def read_place(place: Path, series: str | int | None, progress: Progress) -> Opened:
    """Return the volume at a place: of the series asked for, else of the largest one."""
    from voxcam.io import read, scan

    study = scan(place, progress)
    images = [s for s in study.series if s.can_be_read(gaps="mark") and not s.localizer and s.kind == "image"]
    images = images or list(study.series)
    several = series is None and len(images) > 1
    chosen = max(images, key=lambda s: _voxels(s.shape)) if several else study.choose(series)
    words = tuple(" ".join(f"{n + 1}: {one.description} {one}".split()) for n, one in enumerate(study.series))
    return Opened(read(chosen, progress, gaps="mark"), place, words, study.series.index(chosen))


def explain_study(
    volume: Volume,
    classifier: Classifier,
    methods: tuple[str, ...],
    layers: tuple[str, ...] | None,
    progress: Progress,
    announce: Callable[[str], object] | None = None,
) -> Explanation:
    """Return the explanation of all classes, at the default layer and those asked."""
    from voxcam.cam import looks_inside
    from voxcam.explain import explain

    if classifier.is_opaque:
        methods = tuple(method for method in methods if not looks_inside(method)) or ("occlusion",)
        layers = None
    asked = tuple(dict.fromkeys((classifier.default_layer, *layers))) if layers else None
    return explain(volume, classifier, methods, None, asked, progress, announce=announce)


def one_line(error: Exception) -> str:
    """Return an error as one line for the reader; a bug's traceback goes to the log."""
    if isinstance(error, VoxcamError):
        return str(error)
    log.error("a run failed", exc_info=error)
    return f"This did not work ({type(error).__name__}); the log of the terminal says more."


def _voxels(shape: tuple[int, ...]) -> int:
    product = 1
    for count in shape:
        product *= count
    return product
