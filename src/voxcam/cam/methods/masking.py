"""Methods that show the network the image through each feature map: Score-CAM and its kin.

Each is a function of a `Subject` and returns maps (B, K', *grid) on the layer's grid, raw: sum_k w_k A_k,
signed as A is. The weights are shares of 1 between the channels (a softmax), never negative, so no map
here is in logit units, and none tells what speaks against a class. One pass serves every class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.cam.methods.baseline import baseline_of
from voxcam.cam.methods.gradient import weigh
from voxcam.cam.methods.limits import spread, whole_number
from voxcam.cam.methods.variants import NormalNoise, answers
from voxcam.cam.upsampling import upsample

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from voxcam.cam.asking.passes import Extent
    from voxcam.cam.asking.subject import Subject

    Altered = Callable[[Tensor, Tensor], Tensor]

SAMPLES = 10
"""Noisy masks of each channel in SS-CAM."""

STEPS = 10
"""Steps from nothing to the masked image in IS-CAM."""


def score_cam(subject: Subject, *, baseline: float | str = 0.0) -> Tensor:
    """Score-CAM (Wang et al. 2020): sum_k w_k A_k, w = softmax over k of Y_c(M_k X) - Y_c(X).

    M_k is A_k scaled to 0..1 on its own grid, then brought to the input's (half-pixel rule, linear). A
    channel that is the same everywhere has a mask of zeros. What is subtracted is the same for every
    channel, which the softmax does not notice; it is left out.

    Parameters
    ----------
    baseline
        What the image becomes where the mask is 0: a number (0 in the paper), or ``"mean"``, ``"min"``
        or ``"blur"`` of each sample. 0 is black only where the network's inputs are scaled so.
    """
    return _through_masks(subject, baseline, 1, lambda masks, _: masks)


def passes_of_score_cam(extent: Extent, **_: object) -> int:
    """Return one pass a channel."""
    return extent.samples * extent.channels


def ss_cam(
    subject: Subject, *, samples: int = SAMPLES, std: float = 2.0, baseline: float | str = 0.0
) -> Tensor:
    """SS-CAM (Wang et al. 2020, smoothed on the activation maps): Score-CAM on noisy masks.

    w = softmax over k of mean_i Y_c((M_k + e_i) X), e_i normal noise of deviation `std` at every voxel of
    the scaled and upsampled mask. The paper's 2 is large beside a mask between 0 and 1, which is not cut
    off: expect maps that change with the seed, and raise `samples` or lower `std` where they do.

    Raises
    ------
    ExplainError
        `samples` is below 1, or `std` below 0.
    """
    whole_number("ss-cam", "samples", samples)
    deviation = spread("ss-cam", "std", std)
    normal = NormalNoise(subject.inquiry, subject.activations.shape[1] * samples)

    def noisy(masks: Tensor, numbers: Tensor) -> Tensor:
        noise = torch.stack([normal.draw(number, masks.shape[1:]) for number in numbers.tolist()])
        return masks + deviation * noise.to(masks)

    return _through_masks(subject, baseline, samples, noisy)


def passes_of_ss_cam(extent: Extent, *, samples: int = SAMPLES, **_: object) -> int:
    """Return `samples` passes a channel."""
    return extent.samples * extent.channels * whole_number("ss-cam", "samples", samples)


def is_cam(subject: Subject, *, steps: int = STEPS, baseline: float | str = 0.0) -> Tensor:
    """IS-CAM (Naidu et al. 2020): Score-CAM, averaged on the way from nothing to the masked image.

    w = softmax over k of 1/N sum_i Y_c((i / N) M_k X), i = 1..N: the integral that the paper announces. Its
    formula, as peers quote it, adds the steps up instead, M_i = sum_{j < i} (j / N) M_k X, and torch-cam
    one more: at N = 10 the image is shown up to 4.5 or 5.5 times as bright as it is, more the finer the
    steps, so that no limit exists. Here no image is brighter than the input, and more steps converge.

    Raises
    ------
    ExplainError
        `steps` is below 1.
    """
    whole_number("is-cam", "steps", steps)

    def faded(masks: Tensor, numbers: Tensor) -> Tensor:
        parts = ((numbers % steps + 1) / steps).to(masks)
        return masks * parts.reshape(-1, *(1,) * (masks.ndim - 1))

    return _through_masks(subject, baseline, steps, faded)


def passes_of_is_cam(extent: Extent, *, steps: int = STEPS, **_: object) -> int:
    """Return `steps` passes a channel."""
    return extent.samples * extent.channels * whole_number("is-cam", "steps", steps)


def _through_masks(subject: Subject, baseline: float | str, turns: int, altered: Altered) -> Tensor:
    """Weigh the channels by what the network says of the image seen through each.

    Parameters
    ----------
    turns
        Masks made of each channel; mask number n is of channel n // turns.
    altered
        Makes masks (n, *space) of the channels' plain ones and their numbers (n,).
    """
    inquiry, activations = subject.inquiry, subject.activations
    inputs, space = inquiry.inputs, inquiry.inputs.shape[2:]
    nothing, masks = baseline_of(inputs, baseline, option="a baseline"), _between_0_and_1(activations)

    def build(sample: Tensor, number: Tensor) -> Tensor:
        mask = altered(upsample(masks[sample, number // turns], space), number)[:, None].to(inputs)
        return nothing[sample] + mask * (inputs[sample] - nothing[sample])

    batch, channels = activations.shape[:2]
    scores = answers(inquiry, channels * turns, build)
    weights = scores.reshape(batch, channels, turns, -1).mean(2).softmax(1)
    return weigh(activations, weights.transpose(1, 2).to(activations))


def _between_0_and_1(activations: Tensor) -> Tensor:
    flat = activations.flatten(2)
    low = flat.amin(-1, keepdim=True)
    extent = flat.amax(-1, keepdim=True) - low
    return ((flat - low) / extent.masked_fill(extent == 0, 1)).reshape_as(activations)
