"""From a bundle's folder to a `Classifier`, without running anything that came with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from voxcam.errors import ClassifierError
from voxcam.model.bundle import Bundle, read_bundle
from voxcam.model.classifier import Activation, Classifier
from voxcam.model.devices import choose_device
from voxcam.model.networks import build_network, input_channels, spatial_rank
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.tiling import build_tiling
from voxcam.model.weights import load_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def load_classifier(place: str | Path, device: str = "auto", trust_code: bool = False) -> Classifier:
    """Load a MONAI bundle without running anything that came with it.

    Parameters
    ----------
    place
        The bundle's folder.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    trust_code
        Whether the bundle's own code may run. Not offered yet: True is refused.

    Raises
    ------
    UntrustedCodeError
        If the bundle cannot be read without running code; the message names the place.
    ClassifierError
        If a file is missing or damaged, or the parts do not fit each other.
    """
    if trust_code:
        raise ClassifierError("running a bundle's own code is not offered: leave trust_code out")
    bundle, chosen = read_bundle(place), choose_device(device)
    network = build_network(bundle.section("network_def"))
    load_weights(network, bundle.weights)
    _check_channels(bundle, network)
    classes = _class_names(bundle)
    classifier = Classifier(
        name=bundle.name,
        network=network.to(chosen),
        classes=classes,
        preprocessing=build_preprocessing(bundle.section("preprocessing")),
        tiling=build_tiling(bundle.section("inferer"), spatial_rank(network)),
        activation=_activation(bundle),
        default_layer=str(bundle.stated.get("default_layer", "")),
        device=chosen,
        background=_background(bundle, classes),
        input_shape=_input_shape(bundle),
        modality=str(_format(bundle, "inputs").get("modality", "")),
        unit=str(bundle.stated.get("input_unit", "")),
        digests=bundle.digests(),
        card=bundle.metadata,
        unused=bundle.unused,
    )
    return _with_default_layer(classifier)


def _format(bundle: Bundle, side: str) -> dict[str, Any]:
    """Return ``network_data_format.inputs`` or ``.outputs`` of the metadata: its only entry."""
    entries = bundle.metadata.get("network_data_format", {}).get(side, {})
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ClassifierError(
            f"metadata.json of {bundle.name!r}: network_data_format.{side} is no object of objects"
        )
    return next(iter(entries.values()), {})


def _input_shape(bundle: Bundle) -> tuple[int, ...] | None:
    """Return the spatial shape the metadata states, if it is all whole numbers."""
    stated = _format(bundle, "inputs").get("spatial_shape")
    if isinstance(stated, list) and stated and all(isinstance(n, int) and n > 0 for n in stated):
        return tuple(stated)
    return None


def _class_names(bundle: Bundle) -> tuple[str, ...]:
    stated = _format(bundle, "outputs").get("channel_def")
    if not isinstance(stated, dict) or sorted(stated) != sorted(str(n) for n in range(len(stated))):
        raise ClassifierError(
            f"metadata.json of {bundle.name!r} names no classes: expected network_data_format.outputs.pred."
            'channel_def to be {"0": "first class", "1": ...}'
        )
    names = tuple(str(stated[str(n)]) for n in range(len(stated)))
    if len(set(names)) != len(names) or len(names) < 1:
        raise ClassifierError(
            f"metadata.json of {bundle.name!r}: class names are empty or not distinct: {names}"
        )
    return names


def _activation(bundle: Bundle) -> Activation:
    """Tell softmax from sigmoid: stated for VoxCAM, else by the Activations transform; never guessed."""
    stated = bundle.stated.get("activation")
    if stated is None:
        stated = _activation_of(bundle.section("postprocessing"))
    if stated not in ("softmax", "sigmoid"):
        raise ClassifierError(
            f"bundle {bundle.name!r} does not say how logits become probabilities: expected an Activationsd "
            'in "postprocessing" with "softmax" or "sigmoid" true'
        )
    return cast("Activation", stated)


def _activation_of(postprocessing: Any) -> str | None:
    steps = postprocessing.get("transforms", []) if isinstance(postprocessing, dict) else []
    for step in steps:
        if isinstance(step, dict) and str(step.get("_target_", "")).rpartition(".")[2] in (
            "Activations",
            "Activationsd",
        ):
            return next((kind for kind in ("softmax", "sigmoid") if step.get(kind) is True), None)
    return None


def _background(bundle: Bundle, classes: tuple[str, ...]) -> int | None:
    stated = bundle.stated.get("background")
    if stated is None:
        return None
    if not isinstance(stated, int) or not 0 <= stated < len(classes):
        raise ClassifierError(
            f"metadata.json of {bundle.name!r}: background {stated!r} is no index of {classes}"
        )
    return stated


def _with_default_layer(classifier: Classifier) -> Classifier:
    """Check the layer the bundle states; where it states none, take the best one that carries a map."""
    if not classifier.default_layer:
        return replace(classifier, default_layer=classifier.ranking().default.name)
    layers = classifier.layers()
    names = [layer.name for layer in layers]
    if classifier.default_layer not in names:
        raise ClassifierError(
            f"metadata.json of {classifier.name!r}: default_layer {classifier.default_layer!r} carries no "
            f"map; the last ones that do are {', '.join(names[-5:])}"
        )
    return classifier


def _check_channels(bundle: Bundle, network: nn.Module) -> None:
    channels = input_channels(network)
    if channels != 1:
        raise ClassifierError(
            f"bundle {bundle.name!r} reads {channels} channels at once; VoxCAM gives it one volume"
        )
