"""Volume, classifier, methods and layers to an `Explanation`: where core, cam and model meet."""

from __future__ import annotations

import difflib
import platform
import secrets
import sys
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

import voxcam
from voxcam import cam
from voxcam.core.explanation import Explanation
from voxcam.core.heatmap import Heatmap
from voxcam.core.stitching import Stitching
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

    from voxcam.model.classifier import Classifier
    from voxcam.model.preprocessing import Prepared
    from voxcam.model.tiling import Start

    Progress = Callable[[int, int], None]

Key = tuple[str, str]  # method, layer


def explain(
    volume: Volume,
    classifier: Classifier,
    methods: Sequence[str] = ("grad-cam",),
    classes: Sequence[str] | int | None = None,
    layers: Sequence[str] | None = None,
    progress: Progress | None = None,
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
        Called with (windows done, windows in all); an exception it raises (`Cancelled`) ends the work.

    Raises
    ------
    ExplainError
        If a class, method or layer is unknown, or a map cannot be made there.
    ClassifierError
        If the volume does not fit the classifier.
    """
    check_names(methods, tuple(cam.METHODS), "method")
    if isinstance(classes, int):
        ranked = classifier.predict(volume).scores
        classes = sorted(ranked, key=lambda name: -ranked[name])[: max(1, classes)]
    chosen = tuple(classes) if classes is not None else classifier.classes
    check_names(chosen, classifier.classes, "class")
    if layers is not None:
        check_names(layers, [layer.name for layer in classifier.layers()], "layer")
    prepared = classifier.prepare(volume)
    asked = tuple(layers) if layers else (classifier.default_layer,)
    logits, maps = _run(classifier, prepared, tuple(methods), chosen, asked, progress)
    prediction = classifier.judged(logits, prepared)
    heatmaps = tuple(
        Heatmap(Volume(evidence, geometry, volume.modality, "logit"), name, method, layer)
        for (method, layer), stitching in maps.items()
        for joined, geometry in [stitching.joined()]
        for name, evidence in zip(chosen, joined, strict=True)
    )
    provenance = _provenance(volume, classifier, prepared, methods, asked)
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
            raise ExplainError(f"no {what} is called {name!r}: there is {_listed(known)}{hint}")


def _listed(known: Sequence[str]) -> str:
    """Name all of a few, the last ones of many: of a network's layers those are the ones to choose from."""
    few = 20
    shown = ", ".join(known[-few:])
    return shown if len(known) <= few else f"{shown}, and {len(known) - few} before (`voxcam model BUNDLE`)"


def _run(
    classifier: Classifier,
    prepared: Prepared,
    methods: tuple[str, ...],
    classes: tuple[str, ...],
    layers: tuple[str, ...],
    progress: Progress | None,
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[Key, Stitching]]:
    """Run every window once; return the logits (windows, all classes) and the stitched maps."""
    numbers = [classifier.classes.index(name) for name in classes]
    logits: list[torch.Tensor] = []
    stitchings: dict[Key, Stitching] = {}
    for starts, batch in classifier.batches(prepared, progress):
        captured = cam.class_maps(classifier.network, batch, layers, methods, classes=numbers)
        answers, named = captured.logits.shape[1], len(classifier.classes)
        if answers != named:
            raise ExplainError(f"the network answers {answers} classes, its bundle names {named}")
        logits.append(captured.logits)
        for layer in layers:
            for method in methods:
                _stitch(stitchings, (method, layer), captured[method, layer], starts, classifier, prepared)
    return torch.cat(logits).cpu().numpy(), stitchings


def _stitch(
    stitchings: dict[Key, Stitching],
    key: Key,
    maps: torch.Tensor,
    starts: list[Start],
    classifier: Classifier,
    prepared: Prepared,
) -> None:
    """Add a batch of maps (windows, classes, *grid) to the stitching of their method and layer."""
    tiling = classifier.tiling
    if tiling.flat_axis is not None:
        maps = maps.unsqueeze(tiling.flat_axis + 2)
    if key not in stitchings:
        cells = maps.shape[2:]
        stitchings[key] = Stitching(
            prepared.geometry,
            tiling.window(prepared.geometry.shape),
            (int(cells[0]), int(cells[1]), int(cells[2])),
            maps.shape[1],
        )
    for one, start in zip(maps.cpu().numpy(), starts, strict=True):
        stitchings[key].add(one, start)


def _provenance(
    volume: Volume, classifier: Classifier, prepared: Prepared, methods: Sequence[str], layers: Sequence[str]
) -> dict[str, Any]:
    """Return what another needs to repeat this, free of names, paths and dates of the study."""
    salt = secrets.token_hex(8)
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
            "window": list(classifier.tiling.window(prepared.geometry.shape)),
            "overlap": classifier.tiling.overlap,
            "windows": len(classifier.tiling.starts(prepared.geometry.shape)),
        },
        "methods": list(methods),
        "layers": list(layers),
        "study": {"salt": salt, "digest": volume.digest(salt), **dict(volume.source)},
        "intended_use": "research use only, not for diagnosis; evidence of the model, not of disease",
    }


class _Verb(ModuleType):
    """A module that can be called: ``voxcam.explain(...)`` works whether or not it was imported before."""

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
