"""``voxcam model``: what a bundle is, and what it would run."""

from __future__ import annotations

from dataclasses import asdict
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
    from voxcam.cam import SAME_MAP
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
    tried = [layer for layer in document["layers"] if layer["classes_differ"] is not None]
    columns = ("layer", "kind", "channels", "grid per window", "voxels apart", "classes differ")
    print_table("where each stage of the network ends, best first", columns, map(_row, tried))
    print_line(f"{document['best_layer']}: {document['reason']}.")
    for layer in tried:
        if layer["linear_head"]:
            print_line(f"At {layer['name']} {', '.join(SAME_MAP)} are one map (cam: times its places).")
    print_line(f"{len(document['layers']) - len(tried)} more layers carry maps; --json lists them.")
    return 0


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    grid, stride = (" x ".join(f"{n:g}" for n in layer[key]) for key in ("grid", "stride"))
    differ = "yes" if layer["classes_differ"] else "no"
    return layer["name"], layer["kind"], str(layer["channels"]), grid, stride, differ


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
    card, tiling, ranking = classifier.card, classifier.tiling, classifier.ranking()
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
        "best_layer": ranking.default.name,
        "reason": ranking.reason,
        "layers": [asdict(layer) for layer in ranking.layers],
        **classifier.digests,
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {v}" for key, v in value.items())
    return ", ".join(str(v) for v in value) or "none" if isinstance(value, list) else str(value)
