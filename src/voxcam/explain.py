"""Volume, classifier, methods and layers to an `Explanation`: where core, cam and model meet."""

from __future__ import annotations

import difflib
import platform
import secrets
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import voxcam
from voxcam import cam
from voxcam.core.explanation import Explanation
from voxcam.core.heatmap import Heatmap
from voxcam.core.stitching import Stitching
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError
from voxcam.model.placing import landmarks_to_plant, placements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from voxcam.model.classifier import Classifier
    from voxcam.model.preprocessing import Prepared
    from voxcam.model.tiling import Start

    Progress = Callable[[int, int], None]

Key = tuple[str, str]  # method, layer


def explain(  # noqa: PLR0913 - the one verb; what is rarely asked is keyword-only
    volume: Volume,
    classifier: Classifier,
    methods: str | Sequence[str] = ("grad-cam",),
    classes: Sequence[str] | int | None = None,
    layers: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    placement: str = "measured",
    seed: int = 0,
    announce: Callable[[str], object] | None = None,
) -> Explanation:
    """Return what `classifier` says of `volume`, and the evidence for it.

    Each window (or slice) runs through the trunk once; every class, method and layer comes from that
    one pass. Maps of overlapping windows are joined by a weighted mean (`voxcam.core.stitching`).

    Parameters
    ----------
    methods
        Names in ``voxcam.cam.METHODS``.
    classes
        Class names; a whole number n for the n classes with the highest scores (the network then runs once
        more, for the scores alone); None for all.
    layers
        Names of modules of the network; None for the classifier's default layer.
    progress
        Called with (passes done, passes in all), of a window or landmark through the network; an exception
        it raises (`Cancelled`) ends the work.
    options
        By method, its own options: ``{"occlusion": {"size": 16}}``; see ``voxcam.cam.options_of``.
    placement
        Where a layer's units look: "measured" on this volume with landmarks (kept only where that is
        better than the usual rule, see ``voxcam.cam.measure_placement``), or "usual", the half-pixel rule.
    seed
        Of what a method draws.
    announce
        Told, before they start, how often methods that ask again will run the network and about how long.

    Raises
    ------
    ExplainError
        If a class, method or layer is unknown, or a map cannot be made there.
    ClassifierError
        If the volume does not fit the classifier.
    """
    if volume.empty:
        raise ExplainError(
            f"{len(volume.empty)} of {volume.shape[2]} slices are empty, only marked as missing: "
            "read the series with gaps interpolated (--gaps interpolate) to explain it all the same"
        )
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    check_names(methods, tuple(cam.METHODS), "method")
    cam.known_options(methods, options or {})
    if isinstance(classes, int):
        ranked = classifier.predict(volume).scores
        classes = sorted(ranked, key=lambda name: -ranked[name])[: max(1, classes)]
    chosen = tuple(classes) if classes is not None else classifier.classes
    check_names(chosen, classifier.classes, "class")
    if layers is not None:
        check_names(layers, [layer.name for layer in classifier.layers()], "layer")
    prepared = classifier.prepare(volume)
    asked = tuple(layers) if layers else (classifier.default_layer,)
    run = _Run(classifier, prepared, methods, chosen, asked, options or {}, seed)
    if announce and run.asks_again:
        announce(run.forecast())
    landmarks = landmarks_to_plant(classifier, prepared, asked, placement)
    report = _offset(progress, 0, landmarks + run.passes())
    report(0, 0)
    run.places = placements(classifier, prepared, asked, placement, report)
    run.go(_offset(progress, landmarks, landmarks + run.passes()))
    prediction = classifier.judged(np.concatenate(run.logits), prepared)
    heatmaps = tuple(run.heatmaps(volume.modality))
    provenance = _provenance(volume, run)
    return Explanation(prediction.scores, prediction.logits, heatmaps, volume, prediction.windows, provenance)


def check_names(asked: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raise ExplainError, naming the nearest, if a name is not known, or none is given."""
    names = list(asked)
    if not names:
        raise ExplainError(f"no {what} asked for: there is {', '.join(known)}")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            choice = _listed(known) if what == "layer" else ", ".join(known)
            raise ExplainError(f"no {what} is called {name!r}: there is {choice}{hint}")


def _listed(known: Sequence[str]) -> str:
    """Name all of a few, the last ones of many: of a network's layers those are the ones to choose from."""
    few = 20
    shown = ", ".join(known[-few:])
    return shown if len(known) <= few else f"{shown}, and {len(known) - few} before (`voxcam model BUNDLE`)"


@dataclass(eq=False)
class _Run:
    """Every window through the network once, its maps stitched, and what was noted on the way."""

    classifier: Classifier
    prepared: Prepared
    methods: tuple[str, ...]
    classes: tuple[str, ...]
    layers: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    seed: int
    places: Mapping[str, cam.Placement] = field(default_factory=dict)
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    stitchings: dict[Key, Stitching] = field(default_factory=dict)
    same_map: dict[str, list[str]] = field(default_factory=dict)
    ladder: cam.Ladder = field(default_factory=cam.Ladder)

    def go(self, progress: Progress) -> None:
        """Run the windows, batch by batch; `progress` gets (passes of a window done, passes in all)."""
        total, done = self.passes(), 0
        each = total // self._windows
        for starts, batch in self.classifier.batches(self.prepared):
            progress(done, total)
            if not done:
                self.ladder.foresee(self.classifier.network, batch, self.layers, self._numbers)
            # The first pass of the batch is counted with the first one beside it.
            self._add(starts, self._maps(batch, _offset(progress, done + len(starts), total)))
            done += each * len(starts)
        progress(total, total)

    @property
    def asks_again(self) -> bool:
        """Whether a method sends a window through the network more than once."""
        return any(method in cam.PASSES for method in self.methods)

    def forecast(self) -> str:
        """Say how often and about how long the methods that ask again will run, timed on one window."""
        starts = self.classifier.tiling.starts(self.prepared.geometry.shape)
        window = self.classifier.tiling.cut(self.prepared.image, starts[:1]).to(self.classifier.device)
        asking = [method for method in self.methods if method in cam.PASSES]
        options = {method: self.options[method] for method in asking if method in self.options}
        one = cam.plan(self.classifier.network, window, self.layers, asking, self._numbers, options=options)
        every = {method: count * len(starts) for method, count in one.passes.items()}
        return replace(one, passes=every, seconds=one.seconds * len(starts)).sentence

    def passes(self) -> int:
        """Return how often a window will go through the network."""
        beside = 0
        if self.asks_again:
            channels = {layer.name: layer.channels for layer in self.classifier.layers()}
            window = [n for n in self.classifier.tiling.window(self.prepared.geometry.shape) if n > 1]
            at_layers = [channels[name] for name in self.layers]
            each = cam.passes_of(self.methods, 1, len(self.classes), tuple(window), at_layers, self.options)
            beside = sum(each.values())
        return self._windows * (1 + beside)

    @property
    def _numbers(self) -> list[int]:
        return [self.classifier.classes.index(name) for name in self.classes]

    @property
    def _windows(self) -> int:
        return len(self.classifier.tiling.starts(self.prepared.geometry.shape))

    def heatmaps(self, modality: str) -> Iterator[Heatmap]:
        """Yield the joined map of every method, layer and class."""
        for (method, layer), stitching in self.stitchings.items():
            joined, geometry = stitching.joined()
            for name, evidence in zip(self.classes, joined, strict=True):
                voxels = Volume(evidence, geometry, modality, cam.unit_of(method))
                yield Heatmap(voxels, name, method, layer, self.prepared.geometry)

    def _maps(self, batch: torch.Tensor, report: Progress) -> cam.Maps:
        maps = self.ladder.maps(
            self.classifier.network,
            batch,
            self.layers,
            self.methods,
            self._numbers,
            options=self.options,
            seed=self.seed,
            progress=report,
        )
        answers, named = maps.logits.shape[1], len(self.classifier.classes)
        if answers != named:
            raise ExplainError(f"the network answers {answers} classes, its bundle names {named}")
        return maps

    def _add(self, starts: list[Start], maps: cam.Maps) -> None:
        """Take in the logits and maps of a batch of windows."""
        self.logits.append(maps.logits.cpu().numpy())
        self.same_map |= {layer: list(same) for layer in maps.layers if (same := maps.same_map(layer))}
        axis = self.classifier.tiling.flat_axis
        for key, values in maps.values.items():
            windows = (values if axis is None else values.unsqueeze(axis + 2)).cpu().numpy()
            if key not in self.stitchings:
                self.stitchings[key] = self._stitching(key, windows.shape)
            # A number that is not finite would spread over its neighbours: there is no evidence there.
            known = np.where(np.isfinite(windows), windows, np.nan)
            for window, start in zip(known, starts, strict=True):
                self.stitchings[key].add(window, start)

    def _stitching(self, key: Key, shape: tuple[int, ...]) -> Stitching:
        count, cells = shape[1], (shape[2], shape[3], shape[4])
        window = self.classifier.tiling.window(self.prepared.geometry.shape)
        return Stitching(self.prepared.geometry, window, cells, count, self._centres(*key))

    def _centres(self, method: str, layer: str) -> Sequence[tuple[float, float]] | None:
        """Return where the cells of a map look in a window; None is the usual rule."""
        if layer not in self.places or not cam.is_on_layer_grid(method):
            return None
        centres, axis = list(self.places[layer].centres), self.classifier.tiling.flat_axis
        return centres if axis is None else [*centres[:axis], (1.0, 0.0), *centres[axis:]]


def _offset(progress: Progress | None, before: int, total: int) -> Progress:
    """Return a progress that counts on from `before`, of `total`."""

    def report(done: int, _: int) -> None:
        if progress:
            progress(before + done, total)

    return report


def _provenance(volume: Volume, run: _Run) -> dict[str, Any]:
    """Return what another needs to repeat this, free of names, paths and dates of the study."""
    salt = secrets.token_hex(8)
    classifier, shape = run.classifier, run.prepared.geometry.shape
    return {
        "voxcam": voxcam.__version__,
        "versions": {name: version(name) for name in ("torch", "monai", "numpy")},
        "python": platform.python_version(),
        "device": str(classifier.device),
        "threads": torch.get_num_threads(),
        "classifier": {
            "name": classifier.name,
            "version": str(classifier.card.get("version", "")),
            **classifier.digests,
        },
        "preprocessing": list(classifier.preprocessing.steps),
        "tiling": {
            "window": list(classifier.tiling.window(shape)),
            "overlap": classifier.tiling.overlap,
            "windows": len(classifier.tiling.starts(shape)),
        },
        "methods": list(run.methods),
        "options": {
            method: cam.options_of(method) | dict(run.options.get(method, {})) for method in run.methods
        },
        "seed": run.seed,
        "layers": list(run.layers),
        "placement": {layer: asdict(placement) for layer, placement in run.places.items()},
        "one_map": run.same_map,
        "memory": list(run.ladder.steps),
        "study": {"salt": salt, "digest": volume.digest(salt), **dict(volume.source)},
        "intended_use": "research use only, not for diagnosis; evidence of the model, not of disease",
    }


class _Verb(ModuleType):
    """A module that can be called: ``voxcam.explain(...)`` works whether or not it was imported before."""

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
