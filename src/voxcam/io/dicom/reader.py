"""The door: a DICOM series of any kind to a `Volume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.io.dicom import segmentation, structures, volume
from voxcam.io.quiet import quiet

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.io.study import Gaps, Progress, Series


def read(series: Series, progress: Progress | None = None, gaps: Gaps = "refuse") -> Volume:
    """Return the series as a volume: of values, or of labels where it is a segmentation or structure set.

    Parameters
    ----------
    gaps
        What becomes of missing slices and uneven steps of images: see `volume.read`.

    Raises
    ------
    GridError, ReadError
        It cannot be read whole.
    """
    volume.check(series, gaps)
    with quiet():
        if series.kind == "segmentation":
            return segmentation.read(series, progress)
        if series.kind == "structures":
            return structures.read(series, progress)
    return volume.read(series, progress, gaps)
