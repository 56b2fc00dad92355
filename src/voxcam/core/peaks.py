"""Where evidence peaks: the places a reader steps through."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.heatmap import Heatmap

MOST = 12
# Of the highest peak: below it a bump is of no interest beside that one.
LEAST_SHARE = 0.2


class Peak(NamedTuple):
    """A place where evidence is higher than all round it: RAS+ mm, and the value there."""

    point_mm: tuple[float, float, float]
    evidence: float


def peaks(
    heatmap: Heatmap, inside: Geometry, *, most: int = MOST, least_share: float = LEAST_SHARE
) -> tuple[Peak, ...]:
    """Return the local maxima of positive evidence inside a grid's box, the highest first.

    A cell is a peak if none of the up to 26 cells round it is higher; of touching equals, one is taken.

    Parameters
    ----------
    inside
        The study's grid: cells in the padding of the network's input are no peaks.
    most
        At most so many.
    least_share
        Of the highest peak, which the others reach.
    """
    from scipy import ndimage

    geometry, values = heatmap.evidence.geometry, heatmap.values
    cells = np.stack(np.unravel_index(np.arange(values.size), values.shape), axis=-1)
    seen = inside.contains(geometry.to_world(cells)).reshape(values.shape) & np.isfinite(values)
    evidence = np.where(seen, values, 0)
    tops = (evidence > 0) & (evidence == ndimage.maximum_filter(evidence, size=3, mode="constant"))
    tops &= evidence >= least_share * evidence.max(initial=0)
    found = sorted((_peak(where, evidence, geometry) for where in _one_each(tops)), key=lambda p: -p.evidence)
    return tuple(found[:most])


def _one_each(tops: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the index (n, 3) of the first cell of each touching group."""
    from scipy import ndimage

    groups, count = ndimage.label(tops, structure=np.ones((3, 3, 3)))
    flat = groups.ravel()
    first = np.full(count + 1, flat.size, np.intp)
    np.minimum.at(first, flat, np.arange(flat.size))
    return np.stack(np.unravel_index(first[1:], tops.shape), axis=-1)


def _peak(where: NDArray[np.intp], evidence: NDArray[np.float32], geometry: Geometry) -> Peak:
    x, y, z = geometry.to_world(where)
    return Peak((float(x), float(y), float(z)), float(evidence[tuple(where)]))
