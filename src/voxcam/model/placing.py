"""Where the units of a classifier's layers look: measured once on what it reads, or by the usual rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcam import cam
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from voxcam.model.classifier import Classifier
    from voxcam.model.preprocessing import Prepared

    Progress = Callable[[int, int], None]

# Landmarks are planted in the liveliest of these windows: in air alone a network may answer nothing.
LOOKED_AT = 16
BACKGROUNDS = 4


def placements(
    classifier: Classifier,
    prepared: Prepared,
    layers: Sequence[str],
    rule: str,
    progress: Progress | None = None,
) -> dict[str, cam.Placement]:
    """Return where the units of `layers` look in a window; nothing for the usual rule.

    Measured with landmarks in four windows of the first volume that the classifier reads, and kept for
    the next: one classifier places the maps of a cohort alike. `progress` gets (landmarks done, in all).
    """
    if rule == "usual":
        return {}
    window = classifier.tiling.window(prepared.geometry.shape)
    windows, planted = _backgrounds(classifier, prepared), 0
    for layer in _unknown(classifier, window, layers):
        if layer in _last_stage(classifier):
            placed = _measured(classifier, windows, layer, _counted_on(progress, planted))
            planted += cam.LANDMARKS
        else:
            placed = _usual(
                classifier, windows, layer, "measured at the last stage alone, where it was no worse"
            )
        classifier.placements[layer, window] = placed
    return {layer: classifier.placements[layer, window] for layer in layers}


def landmarks_to_plant(classifier: Classifier, prepared: Prepared, layers: Sequence[str], rule: str) -> int:
    """Return how many landmarks `placements` will plant, each a pass of a window through the network.

    Raises
    ------
    ExplainError
        If there is no such rule.
    """
    if rule not in ("measured", "usual"):
        raise ExplainError(f"no placement {rule!r}: there is measured, usual")
    if rule == "usual":
        return 0
    unknown = _unknown(classifier, classifier.tiling.window(prepared.geometry.shape), layers)
    return cam.LANDMARKS * len(set(unknown).intersection(_last_stage(classifier) if unknown else ()))


def _unknown(classifier: Classifier, window: tuple[int, ...], layers: Sequence[str]) -> list[str]:
    return [layer for layer in layers if (layer, window) not in classifier.placements]


def _last_stage(classifier: Classifier) -> frozenset[str]:
    """Return the layers on the last stage's grid: at finer ones measuring can do harm (docs/placement.md)."""
    layers = classifier.layers()
    last = cam.default_layer(layers).grid
    return frozenset(layer.name for layer in layers if layer.grid == last)


def _measured(
    classifier: Classifier, windows: torch.Tensor, layer: str, progress: Progress | None
) -> cam.Placement:
    try:
        return cam.measure_placement(classifier.network, windows, layer, progress=progress)
    except ExplainError as error:  # a map can be made all the same
        return _usual(classifier, windows, layer, str(error))


def _usual(classifier: Classifier, windows: torch.Tensor, layer: str, why: str) -> cam.Placement:
    layers = cam.candidate_layers(classifier.network, windows[:1])
    grid = next(one.grid for one in layers if one.name == layer)
    usual = cam.usual_centres(windows.shape[2:], grid)
    return cam.Placement(usual, usual, "usual", (), (), (0, 0), f"the usual rule: {why}")


def _backgrounds(classifier: Classifier, prepared: Prepared) -> torch.Tensor:
    """Return the liveliest of some windows spread over the volume: (n, C, *window)."""
    starts = classifier.tiling.starts(prepared.geometry.shape)
    spread = np.linspace(0, len(starts) - 1, min(LOOKED_AT, len(starts))).round().astype(int)
    windows = classifier.tiling.cut(prepared.image, [starts[at] for at in spread])
    liveliest = windows.flatten(1).std(dim=1).argsort(descending=True)[:BACKGROUNDS]
    return windows[liveliest].to(classifier.device)


def _counted_on(progress: Progress | None, before: int) -> Progress:
    def report(done: int, total: int) -> None:
        if progress:
            progress(before + done, total)

    return report
