"""What is being read: study, classifier, explanation, and how it is looked at. No Qt, no napari.

Views connect to the signals and ask by the verbs; nobody else changes the state. Work that takes
long carries the study's ticket: what comes back for another study than the one open is dropped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from voxcam.export.style import CLASS_COLOURS, COLOURS, HeatmapStyle
from voxcam.plugin.look import ClassRow, Look, Running

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from voxcam.core.explanation import Explanation
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.errors import ChangedWeightsError
    from voxcam.model.trusted import Code

LABEL = "Research use only. Not for diagnosis. Evidence of the model, not of disease."
# Those that share one pass: more cost next to nothing.
METHODS = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "element-wise-cam", "layer-cam")
# Stands for the layer of a method that asks the network as a whole.
NO_LAYER = "network"
# The class that speaks loudest takes the perceptual colours, the others a hue each, the coolest first.
_FIRST = "inferno"
_HUES = sorted(CLASS_COLOURS, key=("sky", "green", "purple", "blue", "yellow", "vermillion", "orange").index)


class Review:
    """One study, read by one classifier."""

    study_changed = Signal()
    classifier_changed = Signal()
    explanation_changed = Signal()
    look_changed = Signal()
    window_changed = Signal()
    running_changed = Signal()
    said = Signal(str, bool)  # one line; whether it is an error
    trust_asked = Signal(object)  # the Code that would run
    weights_asked = Signal(object)  # the ChangedWeightsError

    def __init__(self) -> None:
        self.volume: Volume | None = None
        self.place: Path | None = None
        self.series: tuple[str, ...] = ()
        self.open_series = -1
        self.mask: Volume | None = None
        self.bundle: Path | None = None
        self.device = "auto"
        self.trusted = self.accepted = ""
        self.layers: tuple[str, ...] = ()
        self.asked_layer = ""
        self.more_methods: tuple[str, ...] = ()
        self.asked_method = ""
        self.explanation: Explanation | None = None
        self.look = Look()
        self.window: Window | None = None
        self.running: Running | None = None
        self._colours: dict[str, str] = {}
        self._ticket = 0

    # --- the study and the classifier

    def open(self, volume: Volume, mask: Volume | None = None) -> None:
        """Open another study; running work is told to stop, and its result will be dropped."""
        self._ticket += 1
        self.volume, self.mask, self.window = volume, mask, volume.window
        self.place, self.series, self.open_series = None, (), -1
        self.explanation, self.look = None, replace(self.look, shown=frozenset(), hidden=False)
        self._end()
        self.study_changed.emit()
        self.explanation_changed.emit()

    def choose(self, bundle: Path | None, device: str | None = None) -> None:
        """Choose the classifier's bundle and where it runs; what was explained stays until the next run."""
        self._ticket += 1
        if bundle != self.bundle:
            self.layers, self.asked_layer, self.asked_method = (), "", ""
            self.trusted = self.accepted = ""
        self.bundle, self.device = bundle, device or self.device
        self._end()
        self.classifier_changed.emit()

    def know_choices(self, layers: Iterable[str], methods: Iterable[str]) -> None:
        """Take note of the layers whose maps the classifier can show, and of all methods."""
        self.layers, self.more_methods = tuple(layers), tuple(methods)
        self.classifier_changed.emit()

    def set_window(self, window: Window) -> None:
        """Show the grey values in another window."""
        self.window = window
        self.window_changed.emit()

    # --- the run

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

    def wants(self, ticket: int) -> bool:
        """Whether the run of `ticket` should go on; may be asked from any thread."""
        running = self.running
        return ticket == self._ticket and running is not None and not running.stopping

    def progress(self, ticket: int, done: int, total: int) -> None:
        """Note how far a run is."""
        if self.wants(ticket):
            self.running = replace(self.running or Running(""), done=done, total=total)
            self.running_changed.emit()

    def forecast(self, ticket: int, sentence: str) -> None:
        """Note how long a run will take."""
        if self.wants(ticket):
            self.running = replace(self.running or Running(""), forecast=sentence)
            self.running_changed.emit()

    def cancel(self) -> None:
        """Ask the run to stop."""
        if self.running is not None:
            self.running = replace(self.running, stopping=True)
            self.running_changed.emit()

    def finish(self, ticket: int, explanation: Explanation) -> bool:
        """Take a run's explanation; False, and nothing changes, if it is for another study or unwanted."""
        if not self.wants(ticket):
            self._stopped(ticket)
            return False
        self._end()
        self.adopt(explanation)
        return True

    def finish_reading(self, ticket: int, volume: Volume) -> bool:
        """Open the volume a reading brought; False, and nothing changes, if it is no longer wanted."""
        if not self.wants(ticket):
            self._stopped(ticket)
            return False
        self.open(volume)
        return True

    def know_series(self, place: Path, series: tuple[str, ...], number: int) -> None:
        """Name all series of the place whose series `number` is open, so that another can be asked for."""
        self.place, self.series, self.open_series = place, series, number
        self.study_changed.emit()

    def finish_writing(self, ticket: int, name: str) -> None:
        """Say that the file `name` was written: it is, wanted or not."""
        if ticket == self._ticket:
            self._end()
        self.said.emit(f"Saved {name}.", False)

    def fail(self, ticket: int, message: str | None = None) -> None:
        """End a run without a result: cancelled, or with one line of what went wrong."""
        if message and self.wants(ticket):
            self.asked_method = ""  # or every later run would fail on it too
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

    def accept_weights(self, digest: str) -> None:
        """Take the chosen model's weights of this digest for meant."""
        self.accepted = digest

    def trust(self, digest: str) -> None:
        """Let the chosen model's code run, if it is the code of this digest."""
        self.trusted = digest

    # --- the evidence

    def adopt(self, explanation: Explanation) -> None:
        """Show `explanation` of the open study, its top class first; method and layer stay if it has them."""
        if not explanation.methods:
            self.said.emit("This explanation holds no heatmaps.", True)
            return
        self.explanation = explanation
        ranked = sorted(explanation.explained, key=lambda name: -explanation.scores[name])
        self._colours = {
            name: _FIRST if rank == 0 else _HUES[(rank - 1) % len(_HUES)] for rank, name in enumerate(ranked)
        }
        keep = self.look
        self.look = replace(
            keep,
            method=self._method_to_show(explanation),
            layer=self._layer_to_show(explanation),
            shown=frozenset(self._worth_showing(explanation, ranked)),
            hidden=False,
        )
        self.explanation_changed.emit()

    def set_look(self, **changes: object) -> None:
        """Change fields of `look`."""
        self.look = replace(self.look, **changes)  # type: ignore[arg-type]
        self.look_changed.emit()

    def show_class(self, name: str, on: bool = True) -> None:
        """Turn the heatmap of a class on or off."""
        shown = self.look.shown | {name} if on else self.look.shown - {name}
        self.set_look(shown=shown, hidden=self.look.hidden and not on)

    def show_method(self, method: str) -> None:
        """Show the maps by a method; one that was not computed is noted for the next run."""
        self.asked_method = method
        if self.explanation is not None and method in self.explanation.methods:
            self.set_look(method=method)
        elif self.explanation is not None:
            self.said.emit(f"No maps by {method} yet: press Run; it may ask the network many times.", False)

    def show_layer(self, layer: str) -> None:
        """Show the maps at a layer; one that was not computed is noted for the next run."""
        self.asked_layer = layer
        if self.explanation is not None and layer in self.explanation.layers:
            self.set_look(layer=layer)
        elif self.explanation is not None:
            self.said.emit(f"No maps at {layer} yet: press Run.", False)

    def colour(self, name: str, colours: str) -> None:
        """Give a class other colours, one of `voxcam.export.style.COLOURS`."""
        if colours not in COLOURS:
            raise ValueError(f"no colours {colours!r}: there is {', '.join(COLOURS)}")
        self._colours[name] = colours
        self.look_changed.emit()

    # --- derived, for the views

    @property
    def missing(self) -> str:
        """What must be chosen before a run, in a line; "" if nothing."""
        steps = ["open a scan"] if self.volume is None else []
        steps += ["choose a classifier"] if self.bundle is None else []
        return f"Before a run: {' and '.join(steps)}." if steps else ""

    @property
    def rows(self) -> tuple[ClassRow, ...]:
        """The classes, the highest score first."""
        if self.explanation is None:
            return ()
        scores, explained = self.explanation.scores, set(self.explanation.explained)
        rows = []
        for name in sorted(scores, key=lambda name: -scores[name]):
            heatmap = self.heatmap(name)
            nothing = "no map by this method and layer" if name in explained else "not explained"
            row = ClassRow(
                name,
                self.explanation.answer.words(scores[name]),
                scores[name] if self.explanation.answer.is_probability else None,
                explained=heatmap is not None,
                shown=name in self.look.shown,
                empty=heatmap is None or heatmap.is_empty,
                colours=self.colours(name),
                evidence=(_in_words(heatmap) if heatmap else nothing) + self._deviation(name),
            )
            rows.append(row)
        return tuple(rows)

    def _deviation(self, name: str) -> str:
        """Say how far the score differs between the classifiers or views that were joined; "" of one."""
        spread = self.explanation.spread if self.explanation is not None else {}
        return f"; score ± {spread[name]:.1g}" if name in spread else ""

    @property
    def visible(self) -> tuple[str, ...]:
        """Classes whose heatmap is on the screen, the most probable first."""
        return () if self.look.hidden else tuple(row.name for row in self.rows if row.shown and row.explained)

    @property
    def note(self) -> str:
        """What to know of the maps looked at, in a line; "" if nothing."""
        provenance = self.explanation.provenance if self.explanation is not None else {}
        alike = provenance.get("one_map", {}).get(self.look.layer, ())
        same = f"At this layer {_listed(alike)} are one and the same map." if len(alike) > 1 else ""
        lines = [same] if self.look.method in alike else []
        told = [*provenance.get("warnings", ()), *provenance.get("memory", ())]
        return " ".join([*lines, *(f"{words[:1].upper()}{words[1:]}." for words in told)])

    @property
    def methods_to_run(self) -> tuple[str, ...]:
        """The methods of the next run."""
        return tuple(dict.fromkeys((*METHODS, *filter(None, [self.asked_method]))))

    def heatmap(self, name: str) -> Heatmap | None:
        """Return the heatmap of a class by the method and at the layer looked at, if there is one."""
        if self.explanation is None:
            return None
        by_method = [
            h for h in self.explanation.heatmaps if (h.class_name, h.method) == (name, self.look.method)
        ]
        at_layer = [h for h in by_method if h.layer in (self.look.layer, NO_LAYER)]
        return next(iter(at_layer), None)

    def colours(self, name: str) -> str:
        """Return the name of a class's colours."""
        return self._colours.get(name, _FIRST)

    def style(self, name: str) -> HeatmapStyle:
        """Return what a value of a class's evidence looks like."""
        heatmap, colours = self.heatmap(name), self.colours(name)
        high = 1.0
        if self.explanation is not None and self.look.shared_range:
            high = self.explanation.value_range(self.look.method, heatmap.layer if heatmap else None)[1]
        elif heatmap is not None and not heatmap.is_empty:
            high = heatmap.largest
        low = -high if colours == "signed" else 0.0
        return HeatmapStyle(low, high, self.look.threshold, self.look.opacity, colours)

    def hottest(self, names: Sequence[str] = ()) -> Heatmap | None:
        """Return the heatmap with the highest evidence among `names`, else among the shown classes."""
        maps = (self.heatmap(name) for name in names or self.visible or [row.name for row in self.rows])
        hot = [heatmap for heatmap in maps if heatmap is not None and not heatmap.is_empty]
        return max(hot, key=lambda heatmap: heatmap.largest, default=None)

    # --- steps

    def _method_to_show(self, explanation: Explanation) -> str:
        for method in (self.asked_method, self.look.method):
            if method in explanation.methods:
                return method
        return explanation.methods[0]

    def _layer_to_show(self, explanation: Explanation) -> str:
        for layer in (self.asked_layer, self.look.layer):
            if layer in explanation.layers:
                return layer
        return explanation.layers[0]

    def _worth_showing(self, explanation: Explanation, ranked: Sequence[str]) -> list[str]:
        kept = [name for name in ranked if name in self.look.shown]
        return kept or list(ranked[:1])

    def _begin(self, what: str) -> int:
        self._ticket += 1
        self.running = Running(what)
        self.running_changed.emit()
        return self._ticket

    def _stopped(self, ticket: int) -> None:
        if ticket == self._ticket and self.running is not None:
            self._end()
            self.said.emit("Stopped: nothing was changed.", False)

    def _end(self) -> None:
        if self.running is not None:
            self.running = None
            self.running_changed.emit()


def _in_words(heatmap: Heatmap) -> str:
    return heatmap.summary.removeprefix("evidence ")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
