"""What is being read: studies, classifier, explanation, and how they are looked at. No Qt, no napari.

Views connect to the signals and ask by the verbs; nobody else changes the state. Several studies may be
open; one of them, `reading`, is on the screen. Work that takes long carries a ticket: see `tickets`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from voxcam.export.style import COLOURS
from voxcam.plugin.review.kept import kept_with
from voxcam.plugin.review.look import Own
from voxcam.plugin.review.on_screen import OnScreen
from voxcam.plugin.review.reading import Reading
from voxcam.plugin.review.tickets import Tickets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voxcam.core.explanation import Explanation
    from voxcam.core.peaks import Peak
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.io import Study
    from voxcam.plugin.review.reading import Origin, Point

LABEL = "Research use only. Not for diagnosis. Evidence of the model, not of disease."
# Those that share one pass: more cost next to nothing.
METHODS = ("grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "element-wise-cam", "layer-cam")


class Review(OnScreen, Tickets):
    """The studies that are open, and one classifier."""

    places_changed = Signal()  # what was scanned
    studies_changed = Signal()  # which studies are open
    study_changed = Signal()  # which of them is on the screen
    classifier_changed = Signal()
    explanation_changed = Signal()
    look_changed = Signal()
    window_changed = Signal()
    mask_changed = Signal()
    point_changed = Signal()
    convention_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[Path, Study] = {}
        self.readings: tuple[Reading, ...] = ()
        self.reading = Reading()
        self.bundle: Path | None = None
        self.device = "auto"
        self.trusted = self.accepted = ""
        self.layers: tuple[str, ...] = ()
        self.asked_layer = ""
        self.more_methods: tuple[str, ...] = ()
        self.asked_method = ""
        self.neurological = False
        self._peak = 0

    # --- the studies

    def know_place(self, place: Path, study: Study) -> None:
        """Take note of what a scan of a place found; a place scanned before is found anew."""
        self.places = {**self.places, place: study}
        self.places_changed.emit()

    def forget_place(self, place: Path) -> None:
        """Take a place off the list; studies that were opened from it stay."""
        self.places = {known: study for known, study in self.places.items() if known != place}
        self.places_changed.emit()

    def open(self, volume: Volume, mask: Volume | None = None, origin: Origin | None = None) -> None:
        """Open another study, and show it; running work is told to stop, and its result will be dropped.

        It is looked at as the one before: threshold, opacity, method. A series that is open is read anew.
        """
        look = replace(self.reading.look, shown=frozenset(), hidden=False, own={})
        fresh = Reading(volume, mask, origin, None, look, volume.window)
        others = [one for one in self.readings if not _of_one_series(one.origin, origin)]
        self.readings = kept_with(fresh, others)
        self._show(fresh)
        self.studies_changed.emit()

    def show(self, reading: Reading) -> None:
        """Show another of the open studies, as it was left; running work is told to stop."""
        if reading not in self.readings:
            raise ValueError("this study is not open")
        if reading is not self.reading:
            # The last in line is the one looked at last.
            self.readings = (*(one for one in self.readings if one is not reading), reading)
            self._show(reading)
            self.studies_changed.emit()

    def close(self, reading: Reading) -> None:
        """Close a study; of the one on the screen the one looked at before takes the place."""
        self.readings = tuple(one for one in self.readings if one is not reading)
        if reading is self.reading:
            self._show(self.readings[-1] if self.readings else Reading(look=reading.look))
        self.studies_changed.emit()

    def outline(self, mask: Volume) -> None:
        """Draw labels that lie on the study on the screen as the finding's outline; all labels alike."""
        self._change(mask=mask)
        self.mask_changed.emit()
        self.said.emit("Outlined over the scan, as drawn.", False)

    def holds(self, mask: Volume) -> bool:
        """Whether labels may belong to the study on the screen: each grid holds the other's middle."""
        if self.volume is None:
            return False
        scan, drawn = self.volume.geometry, mask.geometry
        return bool(scan.contains(drawn.centre_mm)) and bool(drawn.contains(scan.centre_mm))

    def opened(self, key: str) -> Reading | None:
        """Return the open study of a series, by `Series.key`."""
        return next((one for one in self.readings if one.origin is not None and one.origin.key == key), None)

    def set_window(self, window: Window) -> None:
        """Show the grey values in another window."""
        self._change(window=window)
        self.window_changed.emit()

    def go_to(self, point_mm: Point) -> None:
        """Let the planes cross at a world point (RAS+ mm)."""
        if self.volume is not None and not np.allclose(self.point_mm, point_mm, rtol=0, atol=1e-4):
            self._change(point_mm=tuple(float(at) for at in point_mm))
            self.point_changed.emit()

    def set_convention(self, *, neurological: bool) -> None:
        """Show the patient's left at the left of the screen (neurological) or the right (radiological)."""
        if neurological != self.neurological:
            self.neurological = neurological
            self.convention_changed.emit()

    # --- the classifier

    def choose(self, bundle: Path | None, device: str | None = None) -> None:
        """Choose the classifier's bundle and where it runs; what was explained stays until the next run."""
        if bundle != self.bundle:
            self.layers, self.asked_layer, self.asked_method = (), "", ""
            self.trusted = self.accepted = ""
        self.bundle, self.device = bundle, device or self.device
        self._lapse()
        self.classifier_changed.emit()

    def know_choices(self, layers: Iterable[str], methods: Iterable[str]) -> None:
        """Take note of the layers whose maps the classifier can show, and of all methods."""
        self.layers, self.more_methods = tuple(layers), tuple(methods)
        self.classifier_changed.emit()

    def accept_weights(self, digest: str) -> None:
        """Take the chosen model's weights of this digest for meant."""
        self.accepted = digest

    def trust(self, digest: str) -> None:
        """Let the chosen model's code run, if it is the code of this digest."""
        self.trusted = digest

    # --- the next run

    @property
    def missing(self) -> str:
        """What must be chosen before a run, in a line; "" if nothing."""
        steps = ["open a scan"] if self.volume is None else []
        steps += ["choose a classifier"] if self.bundle is None else []
        return f"Before a run: {' and '.join(steps)}." if steps else ""

    @property
    def methods_to_run(self) -> tuple[str, ...]:
        """The methods of the next run."""
        return tuple(dict.fromkeys((*METHODS, *filter(None, [self.asked_method]))))

    # --- the evidence

    def adopt(self, explanation: Explanation) -> None:
        """Show `explanation` of the study on the screen, or its scores alone if it has no heatmaps."""
        self._change_to(self.reading.explained_by(explanation, self.asked_method, self.asked_layer))
        self._peak = 0
        self.explanation_changed.emit()

    def set_look(self, **changes: object) -> None:
        """Change fields of `look`."""
        self._change(look=replace(self.look, **changes))  # type: ignore[arg-type]
        self.look_changed.emit()

    def show_class(self, name: str, on: bool = True) -> None:
        """Turn the heatmap of a class on or off."""
        shown = self.look.shown | {name} if on else self.look.shown - {name}
        self.set_look(shown=shown, hidden=self.look.hidden and not on)

    def adjust(
        self, name: str | None, *, threshold: float | None = None, opacity: float | None = None
    ) -> None:
        """Set threshold or opacity: of all classes that have none of their own, or of one class alone."""
        now = Own(self.look.threshold, self.look.opacity) if name is None else self.look.of(name)
        asked = {"threshold": threshold, "opacity": opacity}
        new = replace(now, **{what: value for what, value in asked.items() if value is not None})
        if name is None:
            self.set_look(threshold=new.threshold, opacity=new.opacity)
        else:
            self.set_look(own={**self.look.own, name: new})

    def adjust_alike(self, name: str) -> None:
        """Let a class have all classes' threshold and opacity again."""
        self.set_look(own={other: own for other, own in self.look.own.items() if other != name})

    def show_method(self, method: str) -> None:
        """Show the maps by a method; one that was not computed is noted for the next run."""
        self.asked_method = method
        if self.explanation is not None and method in self.explanation.methods:
            self.set_look(method=method)
        elif self.explanation is not None:
            self.said.emit(f"No maps by {method} yet: press Run; it may ask the network many times.", False)

    def prefer_method(self, method: str) -> None:
        """Let runs show the maps by this method first, until another was asked for."""
        if self.explanation is None and not self.asked_method:
            self.set_look(method=method)

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
        self.set_look(colours={**self.look.colours, name: colours})

    def step_peak(self, name: str | None, by: int = 0) -> Peak | None:
        """Go to a peak of a class's evidence: 0 to the highest, 1 to the next, -1 to the one before.

        Without a name: of the class with the highest evidence. None, with a word, if nothing speaks for it.
        """
        hottest = self.reading.hottest([name] if name else [])
        found = self.reading.peaks(hottest.class_name) if hottest is not None else ()
        if hottest is None or not found:
            self.said.emit(f"{name or 'No class'}: no positive evidence in this scan.", False)
            return None
        self._peak = (self._peak + by) % len(found) if by else 0
        peak = found[self._peak]
        self.go_to(peak.point_mm)
        place = f"peak {self._peak + 1} of {len(found)}"
        self.said.emit(f"{hottest.class_name}: {place}, {peak.evidence:.3g} {hottest.unit_words}.", False)
        return peak

    # --- steps

    def _show(self, reading: Reading) -> None:
        self._peak = 0
        self.reading = reading
        self._lapse()
        self.study_changed.emit()
        self.explanation_changed.emit()

    def _forget_asked(self) -> None:
        self.asked_method = ""  # or every later run would fail on it too

    def _change(self, **changes: object) -> None:
        self._change_to(replace(self.reading, **changes))  # type: ignore[arg-type]

    def _change_to(self, reading: Reading) -> None:
        """Put a changed reading in the place of the one on the screen."""
        self.readings = tuple(reading if one is self.reading else one for one in self.readings)
        self.reading = reading


def _of_one_series(one: Origin | None, other: Origin | None) -> bool:
    return one is not None and other is not None and one.key == other.key
