"""Smooth Grad-CAM++: the weights of Grad-CAM++ from gradients averaged over noisy copies of the image."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import torch

from voxcam.cam.methods.gradient import weigh
from voxcam.cam.methods.limits import spread, whole_number
from voxcam.cam.methods.variants import noisy_copies

if TYPE_CHECKING:
    from torch import Tensor

    from voxcam.cam.asking.passes import Extent
    from voxcam.cam.asking.subject import Subject

SAMPLES = 8
"""Noisy copies of the image."""

METHOD = "smooth-grad-cam++"


def smooth_grad_cam_plus_plus(subject: Subject, *, samples: int = SAMPLES, noise: float = 0.1) -> Tensor:
    """Smooth Grad-CAM++ (Omeiza et al. 2019): sum_k w_k A_k, w_k = sum_i alpha_ki relu(D1_ki).

    alpha_ki = D2_ki / (2 D2_ki + relu(D3_ki) sum_j A_kj), where D1, D2 and D3 are the means of g, g^2 and
    g^3 over noisy copies of the input and A is of the input as it is. The noise is normal, its standard
    deviation `noise` of the range of the sample's values. A place where the denominator is 0 does not
    count. Without noise this is Grad-CAM++. Not in logit units; meant for A >= 0.

    As in Grad-CAM++, the numerator is D2 (peers report that the paper prints D1; alpha would then change
    sign with the gradient) and the factor exp(Y_c) is left out, so that every copy counts alike. Where
    gradients differ in sign between copies, D3 can be negative though D1 is not, and the plain
    denominator comes near 0 and blows alpha up; with relu(D3) alpha stays within 1/2, as it does in
    Grad-CAM++. torch-cam's noise is 0.3 in the input's own unit, be it Hounsfield units, and it takes
    relu of the last copy's gradient alone.

    Raises
    ------
    ExplainError
        `samples` is below 1, or `noise` below 0.
    """
    whole_number(METHOD, "samples", samples)
    first, second, third, scale = _powers(subject, samples, spread(METHOD, "noise", noise))
    activations = subject.activations
    totals = activations.flatten(2).sum(-1)[:, None, :, None] * scale
    denominator = 2 * second + third.relu() * totals
    alpha = second / denominator.masked_fill(denominator == 0, torch.inf)
    return weigh(activations, (alpha * first.relu()).sum(-1) * scale[..., 0])


def passes_of_smooth_grad_cam_plus_plus(extent: Extent, *, samples: int = SAMPLES, **_: object) -> int:
    """Return one pass a noisy copy, each with gradients back to the layer."""
    return extent.samples * whole_number(METHOD, "samples", samples)


def _powers(subject: Subject, samples: int, noise: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the mean gradients (B, K', C, places), their squares and cubes, in units of (B, K', 1, 1).

    The unit is the largest gradient of the first copy: squares and cubes of small gradients would vanish.
    """
    copies = noisy_copies(subject.inquiry, samples, noise)
    each = (subject.captured(copy)[1].flatten(3) for copy in copies)
    first = next(each)
    largest = first.abs().amax((2, 3), keepdim=True)
    scale = largest.masked_fill(largest == 0, 1)
    sums = [torch.zeros_like(first) for _ in range(3)]
    for gradients in chain([first], each):
        power = one = gradients / scale
        for total in sums:
            total += power
            power = power * one
    return sums[0] / samples, sums[1] / samples, sums[2] / samples, scale
