"""Small studies with a known place for everything, and explanations of them."""

from __future__ import annotations

import numpy as np

from voxcam.core.explanation import Explanation
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.core.windows import Window

PROVENANCE = {
    "voxcam": "0.1.0",
    "classifier": {"name": "toy", "fingerprint": "3f2a91c0de44aa"},
    "study": {"digest": "never-shown", "path": "/home/somebody/DOE^JANE"},
}


def study(shape=(30, 24, 10), spacing=(0.6, 0.6, 5.0), frame="patient", dtype=np.int16):
    """An LPS volume of dim noise."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = (9.0, 40.0, -300.0)
    voxels = np.random.default_rng(0).integers(-200, 300, shape).astype(dtype)
    return Volume(voxels, Geometry(shape, affine, frame), "CT", "HU", (Window(40, 400, "soft"),))


def explained(volume, maps, cells=(6, 6, 5), method="grad-cam", layer="layer4", scores=None, **more):
    """An explanation with one heatmap a class; `maps` gives class name to values on `cells`."""
    grid = volume.geometry.coarsened(cells)
    heatmaps = tuple(
        Heatmap(Volume(np.asarray(values, np.float32), grid, "CT", "logit"), name, method, layer)
        for name, values in maps.items()
    )
    scores = scores or {name: 0.9 / (n + 1) for n, name in enumerate(maps)}
    return Explanation(scores, {}, heatmaps, volume, provenance=PROVENANCE, **more)


def spot(cells=(6, 6, 5), at=(4, 1, 3), value=3.0, around=0.1):
    """A map with one high cell."""
    values = np.full(cells, around, np.float32)
    values[at] = value
    return values


def two_classes():
    """A study with a class that has evidence and one that has none."""
    volume = study()
    return explained(volume, {"nodule": spot(), "normal": -spot()})
