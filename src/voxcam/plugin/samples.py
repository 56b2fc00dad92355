"""The sample scans in napari's File > Open Sample menu, each with its mask or label map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.plugin.reader import LayerData


def open_sample(name: str) -> list[LayerData]:
    """Return the layers of the sample `name` of ``voxcam.samples.SAMPLES``."""
    from voxcam.io import read, read_mask, scan
    from voxcam.plugin.reader import as_layer
    from voxcam.samples import SAMPLES, sample_path

    sample = SAMPLES[name]
    layers = [as_layer(read(scan(sample_path(sample.scan)).choose()))]
    if sample.labels is not None:
        voxels, attributes, kind = as_layer(read_mask(sample_path(sample.labels)), "labels")
        layers.append((voxels, attributes | {"opacity": 0.5}, kind))
    return layers


def __getattr__(name: str) -> Callable[[], list[LayerData]] | Any:
    # The manifest names one function a sample; all are this one.
    from voxcam.samples import SAMPLES

    if name in SAMPLES:
        return partial(open_sample, name)
    raise AttributeError(f"module 'voxcam.plugin.samples' has no attribute {name!r}")
