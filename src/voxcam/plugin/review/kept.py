"""Which of the open studies stay in memory: those looked at last, as far as their voxels fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.plugin.review.reading import Reading

# Voxels of open studies that are kept; the study least recently looked at is let go above it.
KEPT_BYTES = 4 << 30


def kept_with(fresh: Reading, others: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return the `others` looked at last, in order, whose voxels fit beside a fresh study, and that study."""
    left = KEPT_BYTES - _bytes(fresh)
    kept = [fresh]
    for reading in reversed(others):
        left -= _bytes(reading)
        if left < 0:
            break
        kept.insert(0, reading)
    return tuple(kept)


def _bytes(reading: Reading) -> int:
    voxels = reading.volume.voxels if reading.volume is not None else np.empty(0)
    return int(np.prod(voxels.shape)) * int(voxels.dtype.itemsize)
