"""Explanations with evidence at known places."""

from __future__ import annotations

import numpy as np

from voxcam.core.explanation import Explanation
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume


def explanation_of(volume, classes, methods=("grad-cam", "layer-cam"), layer="layer3"):
    """An explanation whose evidence, class by class, is `classes`: name to (score, values on the scan)."""
    heatmaps = tuple(
        Heatmap(
            Volume(np.asarray(values * (n + 1), np.float32), volume.geometry, unit="logit"),
            name,
            method,
            layer,
        )
        for n, method in enumerate(methods)
        for name, (_, values) in classes.items()
    )
    scores = {name: score for name, (score, _) in classes.items()}
    return Explanation(scores, scores, heatmaps, volume)


def ball(geometry, centre_mm, radius_mm):
    """Evidence that falls evenly from 1 at a world point to 0 at the radius."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    away = np.linalg.norm(geometry.to_world(index) - centre_mm, axis=-1)
    return np.clip(1 - away / radius_mm, 0, None)
