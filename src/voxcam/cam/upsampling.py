"""Bring a map from a layer's grid to the input's."""

from __future__ import annotations

from math import isfinite, prod
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

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
    for axis, (size, (stride, offset)) in enumerate(zip(shape, centres, strict=True), start=-len(shape)):
        maps = _along(maps, axis, size, stride, offset)
    return maps


def _along(maps: Tensor, axis: int, size: int, stride: float, offset: float) -> Tensor:
    """Interpolate one axis at voxels 0 to size - 1."""
    last = maps.shape[axis] - 1
    units = ((torch.arange(size, dtype=torch.float64) - offset) / stride).clamp(0, last)
    below = units.floor()
    weight = (units - below).to(maps.device, maps.dtype).reshape(-1, *(1,) * (-axis - 1))
    lower = below.long().to(maps.device)
    upper = (lower + 1).clamp(max=last)
    return torch.lerp(maps.index_select(axis, lower), maps.index_select(axis, upper), weight)


def _require_fit(maps: Tensor, shape: tuple[int, ...]) -> None:
    if len(shape) not in _LINEAR or min(shape) < 1:
        raise ExplainError(
            f"expected the input's 1 to 3 spatial sizes, without batch and channels, found {shape}"
        )
    if maps.ndim < len(shape):
        raise ExplainError(f"expected maps of {len(shape)} spatial axes, found shape {tuple(maps.shape)}")


def _require_centres(centres: Sequence[tuple[float, float]], rank: int) -> None:
    fit = len(centres) == rank and all(isfinite(s) and isfinite(o) and s > 0 for s, o in centres)
    if not fit:
        raise ExplainError(
            f"expected centres as {rank} pairs (stride > 0, offset) in voxels, found {list(centres)}"
        )
