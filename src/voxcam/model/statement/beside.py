"""The statement beside a model, ``NAME.voxcam.json``: its user edits it, it goes before the bundle's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxcam.core.landing import whole_file
from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.model.statement.noun import Statement

_ENDING = ".voxcam.json"
_MOST_BYTES = 1_000_000
# Beside a file of weights these say what a bundle's inference.json would.
_SECTIONS = ("network_def", "preprocessing", "inferer")


@dataclass(frozen=True)
class Beside:
    """What lies beside a model.

    Parameters
    ----------
    stated
        Keys of `voxcam.model.statement.STATED`.
    sections
        "network_def", "preprocessing", "inferer", as a bundle's inference.json has them.
    digest
        SHA-256 of the file, "" if there is none.
    """

    stated: dict[str, Any]
    sections: dict[str, Any]
    digest: str = ""


def place_beside(model: Path) -> Path:
    """Return where the statement beside a model lies: ``nodule.safetensors.voxcam.json``."""
    resolved = model.resolve()
    return resolved.with_name(resolved.name + _ENDING)


def read_beside(model: Path) -> Beside:
    """Return the statement beside a model, empty if there is none.

    Raises
    ------
    ClassifierError
        If it is no JSON object.
    """
    place = place_beside(model)
    if not place.is_file():
        return Beside({}, {})
    try:
        if place.stat().st_size > _MOST_BYTES:
            raise ClassifierError(f"{place.name} is over {_MOST_BYTES:,} bytes")
        content = place.read_bytes()
        document = json.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ClassifierError(f"{place.name} is not JSON: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(document, dict):
        raise ClassifierError(f"{place.name} is not a JSON object")
    sections = {key: document.pop(key) for key in _SECTIONS if key in document}
    return Beside(document, sections, hashlib.sha256(content).hexdigest())


def write_beside(model: Path, statement: Statement) -> Path:
    """Write what a model states to the file beside it, for its user to go on editing; return where.

    Raises
    ------
    ClassifierError
        If there is one already: it may hold somebody's work.
    """
    place = place_beside(model)
    if place.exists():
        raise ClassifierError(f"{place.name} is there already: edit it, or move it away")
    with whole_file(place) as beside:
        beside.write_text(json.dumps(as_document(statement), indent=2) + "\n", encoding="utf-8")
    return place


def as_document(statement: Statement) -> dict[str, Any]:
    """Return a statement as the keys and values its file holds; what is not stated is null."""
    answer = statement.answer
    return {
        "name": statement.name,
        "classes": list(statement.classes) or None,
        "negative": statement.negative or None,
        "activation": answer.activation,
        "temperature": answer.temperature,
        "thresholds": dict(answer.thresholds) or None,
        "aggregate": answer.rule,
        "background": answer.background,
        "output_unit": answer.unit or None,
        "default_layer": statement.default_layer or None,
        "input_modality": statement.modality or None,
        "input_unit": statement.unit or None,
        "input_range": statement.value_range,
        "input_spacing_mm": statement.spacing_mm,
        "input_channels": statement.channels,
        "input_shape": statement.input_shape,
        "sequences": list(statement.sequences) or None,
        "slices_along": None if statement.slices_along is None else "ijk"[statement.slices_along],
        "neighbours": statement.neighbours,
    }
