"""Counts, sizes and sentences as a reader says them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# HU that differ by more than this are told to a tenth; numbers from here on have no fraction.
_COARSE_HU, _WHOLE_FROM = 50, 1000


def counted(count: int, one: str, several: str = "") -> str:
    """Return a number and its noun: "1 image", "2,000 images"."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def size_words(shape: Sequence[int]) -> str:
    """Return a shape as a reader says it; one voxel deep is a picture."""
    spatial = shape[:3] if len(shape) > 2 and shape[2] > 1 else shape[:2]
    times = f", {counted(shape[3], 'time')}" if len(shape) > 3 else ""
    return " × ".join(str(count) for count in spatial) + times


def rounded(mm: float) -> str:
    """Return a length as finely as it matters: "0.049", "0.7", "12.5"."""
    return f"{mm:.2g}" if mm < 0.1 else f"{mm:.2f}".rstrip("0").rstrip(".")


def sentence(text: str) -> str:
    """Return words that begin with a capital."""
    return text[:1].upper() + text[1:]


def value_words(value: float, unit: str, span: float) -> str:
    """Return a grey value as finely as it matters: of HU that span over 50 a tenth, else three digits."""
    if unit == "HU" and span > _COARSE_HU:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.3g}"
