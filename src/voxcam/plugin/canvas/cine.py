"""Running through slices or moments at a steady rate; what cannot be drawn in time is left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from voxcam.core.volume import Volume
    from voxcam.plugin.review.review import Review

Over = Literal["slices", "time"]
SLOWEST, FASTEST, USUAL = 1, 60, 10  # images a second
_A_SECOND = {"s": 1.0, "ms": 1000.0}


@dataclass(frozen=True)
class Run:
    """A run through `count` images that began at image `start` at a time, in seconds."""

    start: int
    count: int
    rate: float
    back_and_forth: bool
    began: float

    def at(self, now: float) -> int:
        """Return the image to show at a time: round and round, or to the end and back."""
        step = self.start + int((now - self.began) * self.rate + 1e-9)
        if not self.back_and_forth or self.count < 2:
            return step % self.count
        turn = step % (2 * (self.count - 1))
        return min(turn, 2 * (self.count - 1) - turn)


class Cine(QObject):  # type: ignore[misc]
    """Play the slices of the plane on napari's canvas, or the moments of a study in time.

    It stops when another study comes, when the plane or 3-D is changed, and when `parent` is closed.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    review
        What is read.
    parent
        The widget it belongs to.
    """

    playing_changed = Signal(bool)

    def __init__(self, viewer: ViewerModel, review: Review, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer, self.review = viewer, review
        self.rate, self.back_and_forth, self.over = USUAL, False, "slices"
        self._run: Run | None = None
        self._shown = -1
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.PreciseTimer)
        self._timer.timeout.connect(self._step)
        review.study_changed.connect(self._on_study)
        viewer.dims.events.order.connect(self.stop)
        viewer.dims.events.ndisplay.connect(self.stop)

    @property
    def playing(self) -> bool:
        """Whether it runs."""
        return self._run is not None

    def play(self, on: bool = True) -> None:
        """Start, or stop."""
        if not on:
            self.stop()
        elif not self.playing:
            if self._count > 1:
                self._begin()
            self.playing_changed.emit(self.playing)

    def toggle(self) -> None:
        """Start if it stands, stop if it runs."""
        self.play(not self.playing)

    def stop(self, event: object = None) -> None:
        """Stop at the image shown."""
        if self.playing:
            self._run = None
            self._timer.stop()
            self.playing_changed.emit(False)

    def set_rate(self, rate: int) -> None:
        """Run at so many images a second."""
        self.rate = min(max(rate, SLOWEST), FASTEST)
        self._go_on()

    def set_back_and_forth(self, on: bool) -> None:
        """Run to the end and back, instead of round and round."""
        self.back_and_forth = on
        self._go_on()

    def set_over(self, over: Over) -> None:
        """Run through the slices of the plane, or through time."""
        self.over = over
        if self._count > 1:
            self._go_on()
        else:
            self.stop()

    # --- steps

    def _on_study(self) -> None:
        self.stop()
        volume = self.review.volume
        if volume is not None:
            self.over = "time" if len(volume.voxels.shape) == 4 else "slices"
            self.rate = stated_rate(volume) or USUAL

    @property
    def _axis(self) -> int | None:
        """The axis of napari's sliders to run along; None if there is none."""
        dims = self.viewer.dims
        if self.over == "time":
            return 0 if dims.ndim == 4 else None
        return int(dims.order[dims.ndim - 3]) if dims.ndisplay == 2 and dims.ndim >= 3 else None

    @property
    def _count(self) -> int:
        axis = self._axis
        return 0 if axis is None or self.review.volume is None else int(self.viewer.dims.nsteps[axis])

    def _begin(self) -> None:
        axis = self._axis
        if axis is not None:
            self._shown = int(self.viewer.dims.current_step[axis])
            self._run = Run(self._shown, self._count, self.rate, self.back_and_forth, monotonic())
            self._timer.start(max(1, round(1000 / self.rate)))

    def _go_on(self) -> None:
        """Begin anew from the image shown: rate or direction changed."""
        if self.playing:
            self._begin()

    def _step(self) -> None:
        axis = self._axis
        if self._run is None or axis is None:
            self.stop()
            return
        if int(self.viewer.dims.current_step[axis]) != self._shown:
            self._begin()  # somebody else moved the slider: from there
            return
        # By the clock, not by counting: a slow machine leaves images out and keeps the pace.
        wanted = self._run.at(monotonic())
        if wanted != self._shown:
            self._shown = wanted
            self.viewer.dims.set_current_step(axis, wanted)


def stated_rate(volume: Volume) -> int | None:
    """Return how many moments a second a study has; None if its file does not say, or not 1 to 60."""
    axis = volume.fourth
    if axis is None or axis.unit not in _A_SECOND or "time" not in axis.name or "echo" in axis.name:
        return None
    times = [value for value in axis.values if isinstance(value, int | float)]
    steps = [late - early for early, late in pairwise(times)]
    step = median(steps) if steps else 0.0
    rate = round(_A_SECOND[axis.unit] / step) if step > 0 else 0
    return rate if SLOWEST <= rate <= FASTEST else None
