"""What napari does once, for its first layer, done before there is a window that would stand still."""

from __future__ import annotations


def warm() -> None:
    """Let napari read its table of units, a quarter of a second; that table is not safe in a thread."""
    import numpy as np
    from napari.layers import Image

    voxel = np.zeros((1, 1, 1), np.int16)
    Image(voxel, units=("mm",) * 3, axis_labels=("I", "P", "L"), contrast_limits=(0, 1))
