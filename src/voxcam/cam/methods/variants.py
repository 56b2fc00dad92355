"""Variants of the samples: built a batch at a time, with noise that does not depend on the batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voxcam.cam.asking.inquiry import Inquiry

    Build = Callable[[Tensor, Tensor], Tensor]


def answers(inquiry: Inquiry, count: int, build: Build) -> Tensor:
    """Return the logits asked, (B, count, K'), of `count` variants of every sample.

    Parameters
    ----------
    build
        Given the numbers of samples (n,) and of variants (n,), returns inputs (n, C, *space). It is
        called for as many as run together, and no more of them exist at a time.
    """
    batch = len(inquiry.inputs)
    parts = []
    for which in torch.split(torch.arange(batch * count), inquiry.at_once):
        sample, number = which // count, which % count
        logits = inquiry.again(build(sample, number))
        parts.append(logits.gather(1, inquiry.classes[sample].to(logits.device)))
    return torch.cat(parts).reshape(batch, count, -1)


def noisy_copies(inquiry: Inquiry, samples: int, noise: float) -> Iterator[Tensor]:
    """Yield the inputs (B, C, *space) with normal noise, `samples` times.

    The standard deviation is `noise` times the range of each sample's values.
    """
    inputs, normal = inquiry.inputs, NormalNoise(inquiry, samples)
    flat = inputs.flatten(1)
    extent = (flat.amax(1) - flat.amin(1)).reshape(-1, *(1,) * (inputs.ndim - 1))
    for number in range(samples):
        yield inputs + noise * extent * normal.draw(number, inputs.shape[1:]).to(inputs)


class NormalNoise:
    """Standard normal noise by number: the same on every device and in every batch, in any order."""

    def __init__(self, inquiry: Inquiry, count: int) -> None:
        self._seeds = torch.randint(2**62, (count,), generator=inquiry.generator()).tolist()

    def draw(self, number: int, shape: Sequence[int]) -> Tensor:
        """Return noise `number` in a shape, on the CPU."""
        return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(self._seeds[number]))
