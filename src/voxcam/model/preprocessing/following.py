"""Where the voxels went: the map of every spatial step, from index after it to index before it.

MONAI keeps an affine beside the voxels, and for most steps it is right. Where its error was measured
(docs/preprocessing.md), the map is computed here from what the step did to the grid. Whatever the source,
a map is believed only if the voxels bear it out.
"""

from __future__ import annotations

from math import floor, gcd
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxcam.model.preprocessing.catalogue import Kind

    Map = NDArray[np.float64]
    Size = Sequence[int]

# Voxels looked at to see whether a map of whole voxels is true.
_SAMPLES = 4096


def followed(name: str, transform: Any, kind: Kind, before: Any, after: Any) -> Map | None:
    """Return the map of one step, homogeneous, or None if there is none to be trusted.

    Parameters
    ----------
    name, transform
        MONAI's array form, and as it was built.
    before, after
        Images, shape (channels, *spatial); `before` a MetaTensor.
    """
    sizes = tuple(before.shape[1:]), tuple(after.shape[1:])
    rank = len(sizes[0])
    if len(sizes[1]) != rank:
        return None
    if kind in ("intensity", "channel"):
        return np.eye(rank + 1) if sizes[0] == sizes[1] else None
    if kind == "warping":
        return None
    found = monais_map(before, after)
    if name in OWN_MAPS:
        found = OWN_MAPS[name](transform, *sizes, found)
    return found if found is not None and _borne_out(found, kind, before, after) else None


def monais_map(before: Any, after: Any) -> Map | None:
    """Return the map between the affines of two MetaTensors; None where one is missing or singular."""
    affines = [getattr(image, "affine", None) for image in (before, after)]
    if any(affine is None for affine in affines):
        return None
    first, second = (np.asarray(affine, dtype=np.float64) for affine in affines)
    if first.shape != second.shape or not np.isfinite(second).all() or abs(np.linalg.det(second)) < 1e-12:
        return None
    return np.asarray(np.linalg.solve(first, second))


def _resized(transform: Any, before: Size, after: Size, _: Map | None = None) -> Map:
    """Return the map of Resize: MONAI's is the half-pixel rule, which "nearest" does not follow."""
    axes = zip(before, after, strict=True)
    return _along_axes([_axis(old, new, transform.mode, transform.align_corners) for old, new in axes])


def _zoomed(transform: Any, before: Size, after: Size, _: Map | None) -> Map:
    """Return the map of Zoom: a resize, then cropped or padded round the middle if the size is kept."""
    from monai.utils import ensure_tuple_rep

    factors = ensure_tuple_rep(transform.zoom, len(before))
    inner = [floor(float(n) * factor) for n, factor in zip(before, factors, strict=True)]
    sizes = zip(inner, after, strict=True)
    shift = [n // 2 - kept // 2 if n > kept else -((kept - n) // 2) for n, kept in sizes]
    return _resized(transform, before, inner) @ _along_axes([(1.0, float(first)) for first in shift])


def _axis(old: int, new: int, mode: str, align_corners: bool | None) -> tuple[float, float]:
    """Return step and start, in voxels before, of the voxels after along one axis."""
    step = old / new
    # Voxel n is that at floor(n * step), or floor((n + 1/2) * step): on average this much before it.
    lag = (1 - gcd(old, new) / new) / 2
    if str(mode) == "nearest":
        return step, -lag
    if str(mode) == "nearest-exact" and old // gcd(old, new) % 2 == 0:
        return step, step / 2 - lag
    if align_corners and old > 1:
        return ((old - 1) / (new - 1), 0.0) if new > 1 else (step, 0.0)
    return step, (step - 1) / 2


def _transformed(transform: Any, before: Size, after: Size, claimed: Map | None) -> Map | None:
    """Return the map of Affine: MONAI's forgets `align_corners`."""
    if not transform.resampler.align_corners:
        return claimed
    _, matrix = transform.affine_grid(spatial_size=after, lazy=True)
    from_middle = _along_axes([(_share(n), (n - 1) / 2) for n in before])
    to_middle = np.linalg.inv(_along_axes([(_share(n), (n - 1) / 2) for n in after]))
    return np.asarray(from_middle @ np.asarray(matrix, dtype=np.float64) @ to_middle)


def _transposed(transform: Any, before: Size, after: Size, _: Map | None) -> Map:
    """Return the map of Transpose, of which MONAI takes no note."""
    order = transform.indices or tuple(range(len(before), -1, -1))
    turn = np.zeros((len(before) + 1,) * 2)
    turn[-1, -1] = 1
    for new, old in enumerate(order[1:]):
        turn[old - 1, new] = 1
    return turn


def _spaced(transform: Any, before: Size, after: Size, claimed: Map | None) -> Map | None:
    """Return the map of Spacing: with splines, MONAI's forgets `align_corners`."""
    resampling = transform.sp_resample
    if claimed is None or not (isinstance(resampling.mode, int) and resampling.align_corners):
        return claimed
    if tuple(before) == tuple(after) and np.allclose(claimed, np.eye(len(claimed)), atol=1e-3):
        return claimed  # MONAI leaves the image as it is
    source = _along_axes([(_share(n), _share(n) / 2) for n in before])
    spread = _along_axes([(1 / _share(n), (1 - 1 / _share(n)) * (n - 1) / 2) for n in after])
    return np.asarray(source @ claimed @ spread)


def _share(count: int) -> float:
    """Return steps between the outer voxels' centres by steps between the corners: what is forgotten."""
    return (max(count, 2) - 1) / max(count, 2)


# Steps whose map is not simply that of MONAI's affine, which each of them is given.
OWN_MAPS: dict[str, Callable[[Any, Size, Size, Map | None], Map | None]] = {
    "Affine": _transformed,
    "Resize": _resized,
    "Spacing": _spaced,
    "Transpose": _transposed,
    "Zoom": _zoomed,
}


def _along_axes(axes: Sequence[tuple[float, float]]) -> Map:
    found = np.diag([*(step for step, _ in axes), 1.0])
    found[:-1, -1] = [start for _, start in axes]
    return found


def _borne_out(found: Map, kind: Kind, before: Any, after: Any) -> bool:
    """Whether voxels agree where the map takes whole voxels to whole voxels; other maps are not tested.

    Catches the affine that stayed as it was while the voxels moved.
    """
    if not _is_whole(found):
        return kind == "interpolating"
    sizes = np.array(before.shape[1:]), np.array(after.shape[1:])
    index = np.random.default_rng(0).integers(0, sizes[1], (_SAMPLES, len(sizes[1])))
    source = np.rint(index @ found[:-1, :-1].T + found[:-1, -1]).astype(int)
    inside = ((source >= 0) & (source < sizes[0])).all(axis=1)
    old, new = _values(before, source[inside]), _values(after, index[inside])
    if kind == "exact":
        return old.shape == new.shape and torch.equal(old, new)
    near = (old - new).abs() <= 0.01 * (old.max() - old.min()) if old.numel() else torch.ones(1)
    return float(near.float().mean()) > 0.99


def _is_whole(found: Map) -> bool:
    turn = found[:-1, :-1]
    whole = np.allclose(found, np.rint(found), atol=1e-6)
    return whole and bool((np.abs(np.rint(turn)).sum(axis=0) == 1).all() and abs(np.linalg.det(turn)) > 0.5)


def _values(image: Any, index: NDArray[Any]) -> torch.Tensor:
    plain = image.as_tensor() if hasattr(image, "as_tensor") else torch.as_tensor(image)
    return plain[(slice(None), *torch.from_numpy(index).T)].float()
