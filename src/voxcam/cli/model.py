"""``voxcam model``: what a bundle is, and what it would run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from voxcam.model.classifier import Classifier


def model(
    bundle: Annotated[Path, typer.Argument(help="Folder of a MONAI bundle.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Say what BUNDLE is: classes, input, preprocessing, layers and their grids. Runs nothing of it."""
    from voxcam.cli.answers import print_json, print_line, print_table
    from voxcam.model.loading import load_classifier

    classifier = load_classifier(bundle, device="cpu")
    document = _document(classifier)
    if as_json:
        print_json(document)
        return 0
    print_line(f"{document['name']} {document['version']}: {document['description']}")
    rows = [(key, _words(document[key])) for key in _SHOWN]
    print_table("", ("", ""), rows)
    layers = [
        (layer["name"], layer["kind"], layer["channels"], " x ".join(str(n) for n in layer["grid"]))
        for layer in document["layers"]
    ]
    print_table("layers whose maps can be shown", ("layer", "kind", "channels", "grid per window"), layers)
    return 0


_SHOWN = (
    "classes",
    "input",
    "preprocessing",
    "window",
    "activation",
    "default_layer",
    "unused_sections",
    "intended_use",
    "fingerprint",
)


def _document(classifier: Classifier) -> dict[str, Any]:
    card, tiling = classifier.card, classifier.tiling
    return {
        "name": classifier.name,
        "version": str(card.get("version", "")),
        "description": str(card.get("description", "not stated")),
        "classes": list(classifier.classes),
        "input": {"modality": classifier.modality or "not stated", "unit": classifier.unit or "not stated"},
        "preprocessing": list(classifier.preprocessing.steps),
        "window": {"voxels": list(tiling.size), "overlap": tiling.overlap, "slices_along": tiling.flat_axis},
        "activation": classifier.activation,
        "default_layer": classifier.default_layer,
        "unused_sections": list(classifier.unused),
        "intended_use": str(card.get("intended_use", "not stated")),
        "layers": [
            {"name": layer.name, "kind": layer.kind, "channels": layer.channels, "grid": list(layer.grid)}
            for layer in classifier.layers()
        ],
        **classifier.digests,
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {v}" for key, v in value.items())
    return ", ".join(str(v) for v in value) or "none" if isinstance(value, list) else str(value)
