"""How a network is shown a volume: whole, in overlapping windows, or slice by slice."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from voxcam.errors import ClassifierError
from voxcam.model.bundle import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Start = tuple[int, int, int]
INFERERS = frozenset({"SimpleInferer", "SlidingWindowInferer", "SliceInferer"})


@dataclass(frozen=True)
class Tiling:
    """Windows over a volume.

    Parameters
    ----------
    size
        Voxels of a window along i, j, k; an axis of 0 or less takes the volume whole.
    overlap
        Share of a window that the next one sees again, 0..1.
    flat_axis
        Axis along which a 2D network sees single slices; None for a 3D network.
    padding
        Value around the volume where a window sticks out (after preprocessing).
    neighbours
        Slices a 2D network reads at once as channels, first to last, the middle one is judged (2.5D); odd.
        Beyond the ends the last slice is repeated.
    """

    size: tuple[int, int, int] = (-1, -1, -1)
    overlap: float = 0.0
    flat_axis: int | None = None
    padding: float = 0.0
    neighbours: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise ClassifierError(f"windows overlap by a share from 0 up to 1, found {self.overlap}")
        if self.neighbours > 1 and self.flat_axis is None:
            raise ClassifierError("neighbouring slices as channels are for 2D networks, this one is 3D")

    def window(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the voxels of a window on a volume of `shape`."""
        size = [own if own > 0 else int(whole) for own, whole in zip(self.size, shape, strict=True)]
        if self.flat_axis is not None:
            size[self.flat_axis] = 1
        return size[0], size[1], size[2]

    def starts(self, shape: Sequence[int]) -> list[Start]:
        """Return the first voxel of every window; negative where the volume is padded.

        The same places as MONAI's sliding window inferer: even steps, the last one flush with the end.
        """
        axes = []
        for size, whole in zip(self.window(shape), shape, strict=True):
            if whole <= size:
                axes.append([-((size - whole) // 2)])
                continue
            step = max(1, int(size * (1 - self.overlap))) if size > 1 else 1
            count = math.ceil((whole - size) / step) + 1
            axes.append([min(n * step, whole - size) for n in range(count)])
        return [(i, j, k) for i, j, k in itertools.product(*axes)]

    def cut(self, image: torch.Tensor, starts: Sequence[Start]) -> torch.Tensor:
        """Return windows of `image` (channels, i, j, k) as a batch (n, channels, *window).

        The axis of a 2D network's slices is left out; its neighbours are further channels.
        """
        size = self.window(image.shape[1:])
        if self.flat_axis is None:
            return torch.stack([_padded_window(image, start, size, self.padding) for start in starts])
        return torch.stack([self._slices(image, start, size) for start in starts])

    def _slices(self, image: torch.Tensor, start: Start, size: Start) -> torch.Tensor:
        """Return a flat window and its neighbours as channels, without the axis of the slices."""
        axis, half = self.flat_axis or 0, self.neighbours // 2
        last = image.shape[axis + 1] - 1
        moved = [_at(start, axis, min(max(start[axis] + n, 0), last)) for n in range(-half, half + 1)]
        return torch.cat([_padded_window(image, at, size, self.padding) for at in moved]).squeeze(axis + 1)


def build_tiling(section: Any, rank: int, along: int | None = None, neighbours: int = 1) -> Tiling:
    """Return the tiling of a bundle's ``inferer`` section for a network of 2 or 3 spatial axes.

    Without a section a 3D network sees the volume whole, a 2D network every slice along k.

    Parameters
    ----------
    along
        Axis of a 2D network's slices where the model states one; it goes before the section's.
    neighbours
        Slices read at once as channels.

    Raises
    ------
    UntrustedCodeError
        If the inferer is none of MONAI's simple, sliding window and slice inferers.
    ClassifierError
        If its arguments do not fit.
    """
    name, arguments = ("SimpleInferer", {}) if section is None else target_of(section, INFERERS, "inferer")
    flat = None if rank == 3 else _slice_axis(name, arguments, along)
    size = [-1] * rank if name == "SimpleInferer" else _roi(name, arguments.get("roi_size"), rank)
    if flat is not None:
        size.insert(flat, 1)
    overlap = 0.0 if name == "SimpleInferer" else _number(name, arguments, "overlap", 0.25)
    padding = 0.0 if name == "SimpleInferer" else _number(name, arguments, "cval", 0.0)
    return Tiling((size[0], size[1], size[2]), overlap, flat, padding, neighbours)


def is_slice_inferer(section: Any) -> bool:
    """Whether an ``inferer`` section is MONAI's slice inferer, for a 2D network and a volume."""
    return section is not None and target_of(section, INFERERS, "inferer")[0] == "SliceInferer"


def _slice_axis(name: str, arguments: dict[str, Any], along: int | None) -> int:
    axis = along if along is not None else arguments.get("spatial_dim", 2) if name == "SliceInferer" else 2
    if axis not in (0, 1, 2):
        raise ClassifierError(f"SliceInferer runs along spatial_dim 0, 1 or 2, found {axis}")
    return int(axis)


def _roi(name: str, roi: Any, rank: int) -> list[int]:
    sizes = [roi] * rank if isinstance(roi, int) else roi
    whole = isinstance(sizes, list | tuple) and all(isinstance(n, int) for n in sizes)
    if not whole or len(sizes) != rank:
        raise ClassifierError(f"{name} needs a roi_size of {rank} whole numbers, found {roi!r}")
    return list(sizes)


def _number(name: str, arguments: dict[str, Any], key: str, usual: float) -> float:
    value = arguments.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClassifierError(f"{name} needs one number for {key}, found {str(value)[:40]!r}")
    return float(value)


def _at(start: Start, axis: int, place: int) -> Start:
    moved = [*start[:axis], place, *start[axis + 1 :]]
    return moved[0], moved[1], moved[2]


def _padded_window(image: torch.Tensor, start: Start, size: Start, padding: float) -> torch.Tensor:
    inner, pads = [], []
    for first, length, whole in zip(start, size, image.shape[1:], strict=True):
        low, high = max(first, 0), min(first + length, whole)
        inner.append(slice(low, high))
        pads.append((low - first, first + length - high))
    window = image[(slice(None), *inner)]
    if not any(itertools.chain(*pads)):
        return window
    # torch pads from the last axis backwards.
    flat = [amount for pad in reversed(pads) for amount in pad]
    return functional.pad(window, flat, value=padding)
