"""What another needs to repeat an explanation, free of names, paths and dates of the study."""

from __future__ import annotations

import platform
import secrets
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

import voxcam
from voxcam import cam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.volume import Volume
    from voxcam.explain.run import Run


def provenance(volume: Volume, run: Run, warnings: Sequence[str]) -> dict[str, Any]:
    """Return what another needs to repeat the run, free of names, paths and dates of the study."""
    salt = secrets.token_hex(8)
    classifier, shape = run.classifier, run.prepared.geometry.shape
    flat = classifier.tiling.flat_axis
    return {
        "voxcam": voxcam.__version__,
        "versions": {name: version(name) for name in ("torch", "monai", "numpy")},
        "python": platform.python_version(),
        "device": str(classifier.device),
        "threads": torch.get_num_threads(),
        "classifier": {
            "name": classifier.name,
            "version": classifier.statement.version,
            "not_stated": list(classifier.statement.missing),
            "notes": list(classifier.notes),
            **classifier.digests,
        },
        "answer": {
            "activation": classifier.answer.activation,
            "temperature": classifier.answer.temperature,
            "aggregate": classifier.answer.rule,
            "thresholds": dict(classifier.answer.thresholds),
        },
        "warnings": list(warnings),
        "channels_last": classifier.channels_last,
        "autocast": str(classifier.autocast or "off").removeprefix("torch."),
        "preprocessing": list(classifier.preprocessing.steps),
        "tiling": {
            "window": list(classifier.tiling.window(shape)),
            "overlap": classifier.tiling.overlap,
            "slices_along": None if flat is None else "ijk"[flat],
            "neighbours": classifier.tiling.neighbours,
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
        "sequences": list(volume.fourth.values) if volume.is_sequences and volume.fourth else [],
        "intended_use": "research use only, not for diagnosis; evidence of the model, not of disease",
    }
