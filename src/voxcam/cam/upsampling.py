"""Bring a map from a layer's grid to the input's: at once, or only where somebody looks."""

from __future__ import annotations

from math import isfinite, prod
from operator import index
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def upsample(
    maps: Tensor, input_shape: Sequence[int], centres: Sequence[tuple[float, float]] | None = None
) -> Tensor:
    """Interpolate maps linearly at the input's voxels.

    Parameters
    ----------
    maps
        (..., *grid), any leading axes, floating point.
    input_shape
        The input's 1 to 3 spatial sizes, in voxels, without batch and channels.
    centres
        Where the units lie: an axis's (stride, offset) puts unit u at offset + stride * u, in
        voxels, voxel 0 having its centre at 0. Beyond the first and last unit the map stays
        constant. None is the usual half-pixel rule, stride = voxels / units and
        offset = (stride - 1) / 2, equal to `interpolate(..., align_corners=False)`.

    Returns
    -------
    upsampled
        (..., *input_shape), in the dtype and on the device of `maps`.

    Raises
    ------
    ExplainError
        The shapes or the centres do not fit the maps.
    """
    shape = tuple(int(size) for size in input_shape)
    _require_fit(maps, shape)
    if centres is None:
        lead, grid = maps.shape[: maps.ndim - len(shape)], maps.shape[maps.ndim - len(shape) :]
        stacked = maps.reshape(prod(lead), 1, *grid)
        upsampled = functional.interpolate(stacked, shape, mode=_LINEAR[len(shape)], align_corners=False)
        return upsampled.reshape(*lead, *shape)
    _require_centres(centres, len(shape))
    # The last axis comes first: the others then copy whole rows.
    for axis in range(-1, -len(shape) - 1, -1):
        maps = _interpolated(maps, axis, _units(shape[axis], maps.shape[axis], centres[axis]))
    return maps


class Upsampled:
    """What `upsample` gives, as an array-like view that computes the asked part alone.

    A map of 8 x 8 x 8 units over a CT of 512 x 512 x 300 voxels costs nothing until it is drawn, and
    then one slice. Its parts are numpy arrays: napari and numpy take it as it is.

    Parameters
    ----------
    maps, input_shape, centres
        As in `upsample`. A copy on the CPU is kept, in float32 for bfloat16, which numpy lacks.

    Attributes
    ----------
    shape, ndim, size, dtype
        As of a numpy array: (..., *input_shape).

    Raises
    ------
    ExplainError
        The shapes or the centres do not fit the maps.
    """

    def __init__(
        self, maps: Tensor, input_shape: Sequence[int], centres: Sequence[tuple[float, float]] | None = None
    ) -> None:
        shape = tuple(int(size) for size in input_shape)
        _require_fit(maps, shape)
        if centres is not None:
            _require_centres(centres, len(shape))
        plain = maps.detach().as_subclass(Tensor).cpu()
        self._maps = plain.float() if plain.dtype == torch.bfloat16 else plain.clone()
        self._lead = maps.ndim - len(shape)
        self._places = [
            _units(size, count, None if centres is None else centres[axis], self._maps.dtype)
            for axis, (size, count) in enumerate(zip(shape, maps.shape[self._lead :], strict=True))
        ]
        self.shape: tuple[int, ...] = (*maps.shape[: self._lead], *shape)
        self.ndim, self.size = len(self.shape), prod(self.shape)
        self.dtype = self._maps.new_empty(0).numpy().dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy is False:
            raise ValueError("a part of an Upsampled is always computed anew: ask with copy=None")
        return self[...] if dtype is None else self[...].astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """Return the asked part, by numpy's basic indexing: whole numbers, slices, an ellipsis."""
        picks, kept = _picks(key, self.shape)
        part = self._maps
        for axis, pick in enumerate(picks[: self._lead]):
            part = part.index_select(axis, pick)
        # Axes of which little is asked come first, then the last: the others have less to do, in rows.
        for axis in sorted(range(self._lead, self.ndim), key=lambda axis: (len(picks[axis]), -axis)):
            part = _interpolated(part, axis, self._places[axis - self._lead][picks[axis]])
        return part.reshape(kept).numpy()[()]


def _units(
    size: int, count: int, centre: tuple[float, float] | None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return where voxels 0 to size - 1 lie, in units: from 0 to the last of `count`."""
    if centre is not None:
        stride, offset = centre
        return ((torch.arange(size, dtype=torch.float64) - offset) / stride).clamp(0, count - 1)
    # Rounded as in `interpolate`, which multiplies and adds in one step: exact places differ by some 1e-6.
    rounded = torch.promote_types(dtype, torch.float32)
    scale = (torch.tensor(count, dtype=rounded) / size).double()
    places = (torch.arange(size, dtype=torch.float64) + 0.5) * scale - 0.5
    return places.to(rounded).clamp(0, count - 1)


def _interpolated(maps: Tensor, axis: int, units: Tensor) -> Tensor:
    """Interpolate `maps` along one axis at `units`, each between 0 and the axis's last unit."""
    below = units.floor()
    behind = maps.ndim - 1 - axis % maps.ndim
    weight = (units - below).to(maps.device, maps.dtype).reshape(-1, *(1,) * behind)
    lower = below.long().to(maps.device)
    upper = (lower + 1).clamp(max=maps.shape[axis] - 1)
    return maps.index_select(axis, lower).lerp_(maps.index_select(axis, upper), weight)


def _picks(key: Any, shape: tuple[int, ...]) -> tuple[list[Tensor], list[int]]:
    """Spell a key out: the asked positions on each axis, and the shape of the part."""
    keys = list(key) if isinstance(key, tuple) else [key]
    ellipses = [at for at, one in enumerate(keys) if one is Ellipsis]
    rest = [slice(None)] * (len(shape) - len(keys) + len(ellipses[:1]))
    at = ellipses[0] if ellipses else len(keys)
    keys[at : at + 1] = rest
    if len(keys) != len(shape) or len(ellipses) > 1:
        raise IndexError(f"expected up to {len(shape)} indices and one ellipsis, found {key!r}")
    asked = [_positions(one, size, axis) for axis, (one, size) in enumerate(zip(keys, shape, strict=True))]
    picks = [a.start + a.step * torch.arange(len(a)) for a in asked]
    return picks, [len(a) for a, one in zip(asked, keys, strict=True) if isinstance(one, slice)]


def _positions(one: Any, size: int, axis: int) -> range:
    if isinstance(one, slice):
        return range(size)[one]
    if isinstance(one, bool) or not hasattr(one, "__index__"):
        raise IndexError(f"an index is a whole number, a slice or an ellipsis, found {one!r}")
    if not -size <= index(one) < size:
        raise IndexError(f"index {one} is out of bounds for axis {axis} of {size}")
    at = index(one) % size
    return range(at, at + 1)


def _require_fit(maps: Tensor, shape: tuple[int, ...]) -> None:
    if len(shape) not in _LINEAR or min(shape) < 1:
        raise ExplainError(
            f"expected the input's 1 to 3 spatial sizes, without batch and channels, found {shape}"
        )
    if not maps.is_floating_point():
        raise ExplainError(f"expected maps of floating point, found {maps.dtype}")
    if maps.ndim < len(shape):
        raise ExplainError(f"expected maps of {len(shape)} spatial axes, found shape {tuple(maps.shape)}")


def _require_centres(centres: Sequence[tuple[float, float]], rank: int) -> None:
    fit = len(centres) == rank and all(isfinite(s) and isfinite(o) and s > 0 for s, o in centres)
    if not fit:
        raise ExplainError(
            f"expected centres as {rank} pairs (stride > 0, offset) in voxels, found {list(centres)}"
        )
