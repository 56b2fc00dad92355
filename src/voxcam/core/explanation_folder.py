"""An explanation as a folder: explanation.json, heatmaps.npz and, unless told otherwise, volume.npz."""

from __future__ import annotations

import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from voxcam.core.answer import Answer
from voxcam.core.explanation import Explanation, Windows
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.landing import whole_folder
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.errors import ExportError, ReadError

FORMAT = 1

# What json, zipfile, zlib and numpy raise of files with wrong bytes in them.
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    SyntaxError,
    MemoryError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def save(explanation: Explanation, folder: str | Path, *, with_volume: bool = True) -> Path:
    """Write `explanation` to a new `folder`, whole or not at all.

    Parameters
    ----------
    with_volume
        Keep the explained voxels too (compressed), so that figures can be made without the study.

    Raises
    ------
    ExportError
        If the folder is taken or cannot be written, or a score, a logit or the provenance holds a
        number that is not finite.
    """
    text = _text(_document(explanation, with_volume=with_volume))
    arrays: dict[str, Any] = {
        f"heatmap_{n}": heatmap.values for n, heatmap in enumerate(explanation.heatmaps)
    }
    for n, heatmap in enumerate(explanation.heatmaps):
        if heatmap.spread is not None:
            arrays[f"spread_{n}"] = heatmap.spread
    if explanation.windows is not None:
        arrays["window_centres_mm"] = explanation.windows.centres_mm
        arrays["window_scores"] = explanation.windows.scores
    with whole_folder(folder) as place:
        np.savez_compressed(place / "heatmaps.npz", **arrays)
        if with_volume and explanation.volume is not None:
            np.savez_compressed(place / "volume.npz", voxels=np.asarray(explanation.volume.voxels))
        (place / "explanation.json").write_text(text, encoding="utf-8")
    return Path(folder)


def load(folder: str | Path) -> Explanation:
    """Read an explanation that `save` wrote.

    Raises
    ------
    ReadError
        If the folder holds none, it is damaged, or a newer VoxCAM wrote it.
    """
    place = Path(folder)
    if not (place / "explanation.json").is_file():
        raise ReadError("the folder holds no explanation: expected the file explanation.json in it")
    try:
        document = json.loads((place / "explanation.json").read_text(encoding="utf-8"))
        if document["format"] > FORMAT:
            raise ReadError(
                f"the explanation is of format {document['format']}, known are up to {FORMAT}: update VoxCAM"
            )
        with np.load(place / "heatmaps.npz", allow_pickle=False) as arrays:
            return _explanation(document, dict(arrays), _saved_volume(document, place))
    except _DAMAGE as error:
        raise ReadError(
            "the explanation is damaged or a file of it is missing: copy it again, or explain again"
        ) from error


def _document(explanation: Explanation, *, with_volume: bool) -> dict[str, Any]:
    volume = explanation.volume if with_volume else None
    return {
        "format": FORMAT,
        "scores": _finite(explanation.scores, "score"),
        "logits": _finite(explanation.logits, "logit"),
        "answer": asdict(explanation.answer),
        "spread": _finite(explanation.spread, "spread"),
        "heatmaps": [
            {
                "class": h.class_name,
                "method": h.method,
                "layer": h.layer,
                "unit": h.evidence.unit,
                "geometry": _written(h.evidence.geometry),
                "seen": None if h.seen is None else _written(h.seen),
                "largest": None if np.isnan(h.largest) else h.largest,
                "positive_evidence": not h.is_empty,
                "flag": h.flag,
            }
            for h in explanation.heatmaps
        ],
        "volume": None if volume is None else _volume_document(volume),
        "provenance": explanation.provenance,
    }


def _volume_document(volume: Volume) -> dict[str, Any]:
    return {
        "geometry": _written(volume.geometry),
        "modality": volume.modality,
        "unit": volume.unit,
        "windows": [asdict(window) for window in volume.windows],
        "source": volume.source,
        "inverted": volume.inverted,
    }


def _written(geometry: Geometry) -> dict[str, Any]:
    return {"shape": list(geometry.shape), "affine": geometry.affine.tolist(), "frame": geometry.frame}


def _finite(numbers: Mapping[str, float], noun: str) -> dict[str, float]:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ExportError(f"the {noun} of {name!r} is {number}: only finite numbers are saved")
    return {name: float(number) for name, number in numbers.items()}


def _text(document: dict[str, Any]) -> str:
    try:
        return json.dumps(document, indent=1, allow_nan=False, default=_as_plain)
    except (ValueError, TypeError) as error:
        raise ExportError(f"the explanation cannot be written as JSON: {error}") from error


def _as_plain(value: object) -> object:
    """Return what JSON knows in place of a read-only mapping or a numpy value."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _explanation(document: dict[str, Any], arrays: dict[str, Any], volume: Volume | None) -> Explanation:
    heatmaps = tuple(
        Heatmap(
            Volume(arrays[f"heatmap_{n}"], _geometry(entry["geometry"]), unit=entry["unit"]),
            entry["class"],
            entry["method"],
            entry["layer"],
            _geometry(entry["seen"]) if entry.get("seen") else None,
            arrays.get(f"spread_{n}"),
        )
        for n, entry in enumerate(document["heatmaps"])
    )
    windows = None
    if "window_scores" in arrays:
        windows = Windows(arrays["window_centres_mm"], arrays["window_scores"])
    return Explanation(
        {name: float(score) for name, score in document["scores"].items()},
        {name: float(logit) for name, logit in document["logits"].items()},
        heatmaps,
        volume,
        windows,
        dict(document["provenance"]),
        # Folders of before there were other answers hold probabilities.
        Answer(**document.get("answer", {"activation": "softmax"})),
        {name: float(spread) for name, spread in document.get("spread", {}).items()},
    )


def _saved_volume(document: dict[str, Any], place: Path) -> Volume | None:
    entry = document["volume"]
    if entry is None:
        return None
    with np.load(place / "volume.npz", allow_pickle=False) as arrays:
        voxels = arrays["voxels"]
    return Volume(
        voxels,
        _geometry(entry["geometry"]),
        entry["modality"],
        entry["unit"],
        tuple(Window(**window) for window in entry["windows"]),
        dict(entry["source"]),
        entry["inverted"],
    )


def _geometry(entry: dict[str, Any]) -> Geometry:
    shape = entry["shape"]
    return Geometry((shape[0], shape[1], shape[2]), np.array(entry["affine"]), entry["frame"])
