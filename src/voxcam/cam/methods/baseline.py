"""What an image becomes where it is to say nothing: a number, its mean, its minimum, or a blur of itself."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE = 8
"""Details of up to a SHARE-th of each axis are blurred away, unless the method says how large they are."""


def baseline_of(
    inputs: Tensor, kind: float | str, *, option: str, extent: Sequence[float] | None = None
) -> Tensor:
    """Return what stands in for `inputs` (B, C, *space), in the same shape, maybe without memory of its own.

    Parameters
    ----------
    kind
        A number, in the unit of the inputs; ``"mean"`` or ``"min"``, of each sample's channel; or
        ``"blur"``, a Gaussian whose standard deviation is half of `extent`.
    option
        What the kind is called where the user gave it.
    extent
        Voxels along each axis of the detail that a blur has to wipe out.

    Raises
    ------
    ExplainError
        The kind is none of these.
    """
    space = tuple(range(2, inputs.ndim))
    if kind == "mean":
        return inputs.mean(space, keepdim=True).expand_as(inputs)
    if kind == "min":
        return inputs.amin(space, keepdim=True).expand_as(inputs)
    if kind == "blur":
        sizes = [size / SHARE for size in inputs.shape[2:]] if extent is None else extent
        return _blurred(inputs, [size / 2 for size in sizes])
    if isinstance(kind, str | bool) or not isfinite(kind):
        raise ExplainError(f"expected {option} as a number, 'mean', 'min' or 'blur', found {kind!r}")
    return inputs.new_full((), kind).expand_as(inputs)


def _blurred(inputs: Tensor, deviations: Sequence[float]) -> Tensor:
    """Blur along each axis by a Gaussian, cut off and made to add up to 1 at the border."""
    wide = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
    for axis, deviation in enumerate(deviations, start=2):
        places = torch.arange(inputs.shape[axis], device=inputs.device, dtype=wide.dtype)
        weights = (-((places[:, None] - places) ** 2) / (2 * deviation**2)).softmax(1)
        wide = (wide.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return wide.to(inputs.dtype)
