"""A statement read out of a bundle's metadata, and out of the file beside a model that its user edits."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from voxcam.core.answer import Answer
from voxcam.errors import ClassifierError
from voxcam.model.statement.noun import NOT_STATED, Statement
from voxcam.model.statement.values import STATED, is_whole


def read_statement(
    metadata: Mapping[str, Any], postprocessing: Any = None, beside: Mapping[str, Any] | None = None
) -> Statement:
    """Return what a bundle's metadata states, and over it what the file beside the model says.

    Parameters
    ----------
    metadata
        ``metadata.json``; VoxCAM's own statements under its key "voxcam" (`STATED` lists them).
    postprocessing
        The section of inference.json: an Activations transform in it states softmax or sigmoid.
    beside
        The same keys, of a file that the user edits.

    Raises
    ------
    ClassifierError
        If a key is unknown, or a value is not of its kind.
    """
    own = metadata.get("voxcam", {})
    if not isinstance(own, Mapping):
        raise ClassifierError('metadata.json: "voxcam" is no object')
    stated = _known(own, "metadata.json, voxcam") | _known(beside or {}, "the statement beside the model")
    stated.setdefault("activation", _activation_of(postprocessing))
    stated.setdefault("classes", _channel_names(metadata, "outputs") or None)
    stated.setdefault("input_modality", _format(metadata, "inputs").get("modality"))
    said = {key: STATED[key](value) for key, value in stated.items() if value is not None}
    return Statement(
        name=said.get("name") or str(metadata.get("name") or "unnamed"),
        version=str(metadata.get("version", "")),
        description=str(metadata.get("description", "")),
        intended_use=str(metadata.get("intended_use", "")),
        classes=said.get("classes", ()),
        negative=said.get("negative", ""),
        answer=_answer(said),
        default_layer=said.get("default_layer", ""),
        modality=said.get("input_modality", ""),
        unit=said.get("input_unit", ""),
        value_range=said.get("input_range"),
        spacing_mm=said.get("input_spacing_mm"),
        channels=said.get("input_channels", _channels(metadata)),
        input_shape=said.get("input_shape", _input_shape(metadata)),
        sequences=said.get("sequences", ()),
        slices_along=said.get("slices_along"),
        neighbours=said.get("neighbours", 1),
    )


def _answer(said: Mapping[str, Any]) -> Answer:
    classes, background = said.get("classes", ()), said.get("background")
    if isinstance(background, str):
        if background not in classes:
            raise ClassifierError(f"background {background!r} is no class: there is {', '.join(classes)}")
        background = classes.index(background)
    return Answer(
        activation=said.get("activation", NOT_STATED),
        temperature=said.get("temperature", 1.0),
        aggregate=said.get("aggregate", ""),
        background=background,
        thresholds=said.get("thresholds", {}),
        unit=said.get("output_unit", ""),
    )


def _known(entries: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key in entries:
        if key not in STATED:
            near = difflib.get_close_matches(str(key), STATED, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f": known are {', '.join(STATED)}"
            raise ClassifierError(f"{where} states {str(key)[:40]!r}, which is not known{hint}")
    return dict(entries)


def _format(metadata: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    """Return ``network_data_format.inputs`` or ``.outputs`` of the metadata: its first entry."""
    formats = metadata.get("network_data_format", {})
    entries = formats.get(side, {}) if isinstance(formats, Mapping) else None
    if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
        raise ClassifierError(f"metadata.json: network_data_format.{side} is no object of objects")
    return next(iter(entries.values()), {})


def _channels(metadata: Mapping[str, Any]) -> int | None:
    stated = _format(metadata, "inputs").get("num_channels")
    return stated if isinstance(stated, int) and is_whole(stated) and stated > 0 else None


def _input_shape(metadata: Mapping[str, Any]) -> tuple[int, ...] | None:
    stated = _format(metadata, "inputs").get("spatial_shape")
    if isinstance(stated, list) and stated and all(is_whole(n) and n > 0 for n in stated):
        return tuple(stated)
    return None


def _channel_names(metadata: Mapping[str, Any], side: str) -> dict[str, Any]:
    stated = _format(metadata, side).get("channel_def")
    return stated if isinstance(stated, dict) else {}


def _activation_of(section: Any) -> str | None:
    """Return what an Activations transform of the postprocessing says; None if nothing, or both."""
    steps = section.get("transforms", []) if isinstance(section, Mapping) else []
    for step in steps if isinstance(steps, list) else []:
        name = str(step.get("_target_", "")).rpartition(".")[2] if isinstance(step, Mapping) else ""
        if name in ("Activations", "Activationsd", "ActivationsD", "ActivationsDict"):
            kinds = [kind for kind in ("softmax", "sigmoid") if step.get(kind) is True]
            return kinds[0] if len(kinds) == 1 else None
    return None
