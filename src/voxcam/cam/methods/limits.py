"""What the numbers among a method's options may be, in one line where one is not."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Sequence


def whole_number(method: str, option: str, value: Any) -> int:
    """Return `value`, a whole number of 1 or more, or raise an `ExplainError`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ExplainError(f"{method}: expected {option} as a whole number of 1 or more, found {value!r}")
    return int(value)


def spread(method: str, option: str, value: Any) -> float:
    """Return `value`, a finite number of 0 or more, or raise an `ExplainError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or value < 0:
        raise ExplainError(f"{method}: expected {option} as a number of 0 or more, found {value!r}")
    return float(value)


def sizes(method: str, option: str, value: int | Sequence[int], space: Sequence[int]) -> tuple[int, ...]:
    """Return a number of voxels for each axis of `space`, which none is larger than."""
    each = (value,) * len(space) if isinstance(value, int) else tuple(value)
    if len(each) != len(space):
        raise ExplainError(f"{method}: expected {option} as one number or {len(space)}, found {value!r}")
    for one, axis in zip(each, space, strict=True):
        if whole_number(method, option, one) > axis:
            shape = " x ".join(map(str, space))
            raise ExplainError(
                f"{method}: {option} {one} is larger than an axis of the input, {shape} voxels"
            )
    return each
