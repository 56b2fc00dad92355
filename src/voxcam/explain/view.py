"""One classifier's explanation of one view of a volume: as it is, or mirrored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam import cam
from voxcam.core.explanation import Explanation
from voxcam.errors import ExplainError, UnplacedError
from voxcam.explain.names import check_names
from voxcam.explain.provenance import provenance
from voxcam.explain.run import Run, offset
from voxcam.model.fitness import fit_of
from voxcam.model.placing import landmarks_to_plant, placements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxcam.core.volume import Volume
    from voxcam.model.classifier import Classifier
    from voxcam.model.preprocessing import Prepared

    Progress = Callable[[int, int], None]

AXES = "ijk"


@dataclass(frozen=True)
class Asked:
    """What was asked of every view, checked as far as no classifier is needed for it."""

    methods: tuple[str, ...]
    classes: tuple[str, ...]
    layers: tuple[str, ...] | None
    options: Mapping[str, Mapping[str, Any]]
    placement: str
    seed: int
    announce: Callable[[str], object] | None


def views_of(augment: Sequence[str]) -> tuple[str, ...]:
    """Return the axes mirrored in each view, first "" for the volume as it is.

    Raises
    ------
    ExplainError
        If an entry is not made of the letters i, j, k.
    """
    for axes in augment:
        if not axes or len(set(axes)) != len(axes) or set(axes) - set(AXES):
            raise ExplainError(
                f"to augment is to mirror axes: i, j, k, or several at once, ij; found {axes!r}"
            )
    return tuple(dict.fromkeys(["", *("".join(sorted(axes)) for axes in augment)]))


def explained(
    volume: Volume, classifier: Classifier, axes: str, asked: Asked, progress: Progress | None
) -> Explanation:
    """Return the explanation of one view; `axes` of the network's input are mirrored.

    Raises
    ------
    ExplainError
        If the network has no such layer, or a step of its preprocessing cannot be followed.
    ClassifierError
        If the volume does not fit the classifier.
    """
    layers = _layers(classifier, asked)
    prepared = mirrored(classifier.prepare(volume), axes)
    warnings = (*fit_of(classifier.statement, volume, look=True).warnings, *_too_small(classifier, prepared))
    _require_followed(classifier, prepared, asked)
    run = Run(classifier, prepared, asked.methods, asked.classes, layers, asked.options, asked.seed)
    if asked.announce and not axes:
        _announce(asked.announce, run, warnings)
    placed = layers if asked.methods else ()
    landmarks = landmarks_to_plant(classifier, prepared, placed, asked.placement)
    report = offset(progress, 0, landmarks + run.passes())
    report(0, 0)
    run.places = placements(classifier, prepared, placed, asked.placement, report)
    run.go(offset(progress, landmarks, landmarks + run.passes()))
    prediction = classifier.judged(np.concatenate(run.logits), prepared)
    return Explanation(
        prediction.scores,
        prediction.logits,
        tuple(run.heatmaps(volume.modality)),
        shown(volume),
        prediction.windows,
        provenance(volume, run, warnings),
        answer=classifier.answer,
    )


def _too_small(classifier: Classifier, prepared: Prepared) -> list[str]:
    """Say along which axes the prepared input is shorter than a window, which then sees padding."""
    shape = prepared.geometry.shape
    window = classifier.tiling.window(shape)
    return [
        f"along {axis} the prepared volume has {own} voxels, fewer than a window's {wanted}: it sees padding"
        for axis, own, wanted in zip(AXES, shape, window, strict=True)
        if own < wanted
    ]


def mirrored(prepared: Prepared, axes: str) -> Prepared:
    """Return the same input with some axes mirrored; every voxel keeps its place in the world."""
    if not axes:
        return prepared
    geometry = prepared.geometry.reordered((0, 1, 2), [axis in axes for axis in AXES])
    image = prepared.image.flip([AXES.index(axis) + 1 for axis in axes])
    return replace(prepared, image=image, geometry=geometry)


def shown(volume: Volume) -> Volume:
    """Return the volume to lay heatmaps over: of several sequences the first."""
    return volume.moment(0) if volume.is_sequences else volume


def _layers(classifier: Classifier, asked: Asked) -> tuple[str, ...]:
    at_layers = [method for method in asked.methods if cam.looks_inside(method)]
    if classifier.is_opaque and at_layers:
        without = ", ".join(method for method in cam.METHODS if not cam.looks_inside(method))
        raise ExplainError(
            f"{at_layers[0]} looks inside the network, and {classifier.name!r} shows nothing (TorchScript or "
            f"a function): ask for {without}, or load the network from its class and weights"
        )
    if classifier.is_opaque:
        return ()
    if asked.layers is None:
        return (classifier.default_layer,)
    check_names(asked.layers, [layer.name for layer in classifier.layers()], "layer")
    return asked.layers


def _require_followed(classifier: Classifier, prepared: Prepared, asked: Asked) -> None:
    unfollowed = prepared.unfollowed
    if asked.methods and unfollowed:
        raise UnplacedError(
            f"no heatmap of {classifier.name!r} can be placed: its preprocessing has "
            f"{', '.join(unfollowed)}, whose geometry cannot be followed; "
            "scores alone are sound (--method none)"
        )


def _announce(announce: Callable[[str], object], run: Run, warnings: Sequence[str]) -> None:
    for warning in warnings:
        announce(f"{run.classifier.name}: {warning}.")
    if run.asks_again:
        announce(run.forecast())
