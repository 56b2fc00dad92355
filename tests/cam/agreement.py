"""One measure of agreement: the largest difference, in units of the largest value expected."""

from __future__ import annotations

from torch import Tensor


def assert_agree(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Fail unless shapes and dtypes are the same and no value is off by more than `tolerance` of the largest.

    Maps of small gradients are small: an absolute tolerance would pass anything.
    """
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    largest = float(expected.detach().abs().max())
    assert largest > 0
    assert float((found - expected).detach().abs().max()) <= tolerance * largest
