"""``voxcam model BUNDLE``: what a model is, and what it would run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcam.cli.given import AcceptWeights, Network, TrustCode

if TYPE_CHECKING:
    from voxcam.errors import UntrustedCodeError
    from voxcam.model.classifier import Classifier


def show(
    model: Annotated[Path, typer.Argument(help="MONAI bundle (folder or zip), weights, or TorchScript.")],
    network: Network = None,
    trust_code: TrustCode = None,
    accept_weights: AcceptWeights = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Say what MODEL is: classes, input, preprocessing, layers and their grids; what it would run."""
    from voxcam.cli.answers import print_json
    from voxcam.cli.given import How, classifiers
    from voxcam.errors import UntrustedCodeError

    try:
        (classifier,) = classifiers([model], How("cpu", network, trust_code, accept_weights))
    except UntrustedCodeError as error:
        if trust_code:
            raise
        return _show_code(model, error, as_json=as_json)
    document = _document(classifier)
    if as_json:
        print_json(document)
    else:
        _print(document)
    return 0


def _show_code(model: Path, error: UntrustedCodeError, *, as_json: bool) -> int:
    """Say what would run, and how to trust it; nothing has run."""
    from voxcam.cli.answers import print_json, print_line, print_table
    from voxcam.model.trusted import code_of

    code = code_of(model)
    if code is None:
        raise error
    if as_json:
        print_json({"runs_code": True, **asdict(code)})
        return 0
    print_line(f"{code.name}: loading it would run code that came with it. Nothing has run.")
    rows = [(need.file, need.line or "", need.place, need.what, need.text) for need in code.would_run]
    print_table("what only running it could tell", ("file", "line", "place", "is", "text"), rows)
    for words in code.also_holds:
        print_line(f"It also holds {words}.")
    print_line("Read it. If you know and trust what came with it:")
    print_line(f"  --trust-code sha256:{code.digest}")
    return 0


def _print(document: dict[str, Any]) -> None:
    from voxcam.cli.answers import print_line, print_table

    print_line(f"{document['name']} {document['version']}: {document['description']}")
    print_table("", ("", ""), [(key, _words(document[key])) for key in _SHOWN])
    if not document["layers"]:
        print_line("No layer of it can be observed: scores, occlusion, integrated gradients and SmoothGrad.")
        return
    _print_layers(document)


def _print_layers(document: dict[str, Any]) -> None:
    from voxcam.cam import SAME_MAP
    from voxcam.cli.answers import print_line, print_table

    tried = [layer for layer in document["layers"] if layer["classes_differ"] is not None]
    columns = ("layer", "kind", "channels", "grid per window", "voxels apart", "classes differ")
    print_table("where each stage of the network ends, best first", columns, map(_row, tried))
    print_line(f"{document['best_layer']}: {document['reason']}.")
    for layer in tried:
        if layer["linear_head"]:
            print_line(f"At {layer['name']} {', '.join(SAME_MAP)} are one map (cam: times its places).")
    print_line(f"{len(document['layers']) - len(tried)} more layers carry maps; --json lists them.")


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    grid, stride = (" x ".join(f"{n:g}" for n in layer[key]) for key in ("grid", "stride"))
    differ = "yes" if layer["classes_differ"] else "no"
    return layer["name"], layer["kind"], str(layer["channels"]), grid, stride, differ


_SHOWN = (
    "classes",
    "outputs",
    "input",
    "preprocessing",
    "window",
    "default_layer",
    "not_stated",
    "unused_sections",
    "notes",
    "intended_use",
    "fingerprint",
)


def _document(classifier: Classifier) -> dict[str, Any]:
    statement = classifier.statement
    return {
        "name": classifier.name,
        "version": statement.version,
        "description": statement.description or "not stated",
        "classes": list(classifier.classes),
        "outputs": _outputs(classifier),
        "input": _input(classifier),
        "preprocessing": list(classifier.preprocessing.steps),
        "window": _window(classifier),
        "default_layer": classifier.default_layer,
        "not_stated": list(statement.missing),
        "unused_sections": list(classifier.unused),
        "notes": list(classifier.notes),
        "intended_use": statement.intended_use or "not stated",
        **_layers(classifier),
        **classifier.digests,
    }


def _outputs(classifier: Classifier) -> dict[str, Any]:
    answer = classifier.answer
    thresholds = {name: f"{least:g}" for name, least in answer.thresholds.items()}
    return {
        "activation": answer.activation,
        "temperature": answer.temperature,
        "study": answer.rule,
        "thresholds": " ".join(f"{name} {least}" for name, least in thresholds.items()) or "not stated",
    }


def _input(classifier: Classifier) -> dict[str, Any]:
    statement = classifier.statement
    spacing = [" to ".join(f"{n:g}" for n in sorted(set(pair))) for pair in statement.spacing_mm or ()]
    return {
        "channels": ", ".join(statement.sequences) or classifier.example_shape[1],
        "modality": statement.modality or "not stated",
        "unit": statement.unit or "not stated",
        "range": "{:g} to {:g}".format(*statement.value_range) if statement.value_range else "not stated",
        "spacing_mm": " x ".join(spacing) or "not stated",
    }


def _window(classifier: Classifier) -> dict[str, Any]:
    tiling = classifier.tiling
    along = None if tiling.flat_axis is None else "ijk"[tiling.flat_axis]
    return {
        "voxels": ["whole" if size < 1 else size for size in tiling.size],
        "overlap": tiling.overlap,
        "slices_along": along,
        "neighbours": tiling.neighbours,
    }


def _layers(classifier: Classifier) -> dict[str, Any]:
    if classifier.is_opaque:
        return {"best_layer": "", "reason": "no layer can be observed", "layers": []}
    ranking = classifier.ranking()
    return {
        "best_layer": ranking.default.name,
        "reason": ranking.reason,
        "layers": [asdict(layer) for layer in ranking.layers],
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(v)}" for key, v in value.items() if v is not None)
    return ", ".join(str(v) for v in value) or "none" if isinstance(value, list) else str(value)
