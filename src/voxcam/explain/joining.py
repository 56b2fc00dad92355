"""Several explanations of one volume joined into one: their mean, and the spread between them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from voxcam.core.explanation import Explanation
    from voxcam.core.geometry import Geometry
    from voxcam.core.heatmap import Heatmap


def joined(parts: Sequence[Explanation], names: Sequence[str]) -> Explanation:
    """Return the mean of explanations of one volume, with the standard deviation between them.

    Scores and logits are means; so are the maps, cell by cell in the world, on the first one's grid: where
    another one's network saw nothing, of those that did. Mirrored views fall on the same cells exactly.

    Parameters
    ----------
    names
        Of each part, for the provenance.

    Raises
    ------
    ExplainError
        If they have not the same maps.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if len({len(part.heatmaps) for part in parts}) != 1:
        raise ExplainError("explanations of different methods, classes or numbers of layers cannot be joined")
    members = [
        {"name": name, "classifier": part.provenance.get("classifier", {}), "scores": dict(part.scores)}
        for name, part in zip(names, parts, strict=True)
    ]
    return replace(
        first,
        scores=_mean([part.scores for part in parts]),
        logits=_mean([part.logits for part in parts]),
        heatmaps=tuple(_joined_heatmap(of) for of in zip(*(part.heatmaps for part in parts), strict=True)),
        windows=first.windows if _is_one_classifier(parts) else None,
        spread=_spread([part.scores for part in parts]),
        provenance={**first.provenance, "members": members},
    )


def _joined_heatmap(maps: Sequence[Heatmap]) -> Heatmap:
    first = maps[0]
    geometry = first.evidence.geometry
    stack = np.stack([values_on(heatmap, geometry) for heatmap in maps])
    known = np.isfinite(stack).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known > 0, np.nansum(stack, axis=0) / known, np.nan)
        squares = np.nansum((stack - mean) ** 2, axis=0)
        spread = np.where(known > 1, np.sqrt(squares / (known - 1)), np.nan)
    layer = " | ".join(dict.fromkeys(heatmap.layer for heatmap in maps))
    return replace(
        first,
        evidence=replace(first.evidence, voxels=mean.astype(np.float32)),
        layer=layer,
        spread=spread.astype(np.float32),
    )


def values_on(heatmap: Heatmap, geometry: Geometry) -> NDArray[np.float32]:
    """Return a map on another grid: turned where its cells are the same, else linear between them."""
    own = heatmap.evidence.geometry
    if own.same_grid(geometry):
        return heatmap.values
    # What is the same grid but for mirrored axes is turned, not interpolated.
    for flips in itertools.product((False, True), repeat=3):
        if own.reordered((0, 1, 2), flips).same_grid(geometry):
            return heatmap.values[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.asarray(heatmap.on(geometry).voxels, dtype=np.float32)


def _mean(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([of[name] for of in numbers])) for name in numbers[0]}


def _spread(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.std([of[name] for of in numbers], ddof=1)) for name in numbers[0]}


def _is_one_classifier(parts: Sequence[Explanation]) -> bool:
    prints: set[Any] = {str(part.provenance.get("classifier", {}).get("fingerprint")) for part in parts}
    return len(prints) == 1
