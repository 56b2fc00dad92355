"""Methods that average the gradient at the input: along a path to the image, or round it.

Each is a function of an `Inquiry` and returns maps (B, K', *space) on the input's grid, raw and signed,
summed over the input's channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.cam.methods.baseline import baseline_of
from voxcam.cam.methods.limits import spread, whole_number
from voxcam.cam.methods.variants import noisy_copies
from voxcam.cam.tracing.recording import single_or_better

if TYPE_CHECKING:
    from torch import Tensor

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.asking.passes import Extent

STEPS = 32
"""Places on the path of integrated gradients."""

SAMPLES = 16
"""Noisy copies in SmoothGrad."""


def integrated_gradients(inquiry: Inquiry, *, steps: int = STEPS, baseline: float | str = 0.0) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017): (x - x0) times the mean gradient from x0 to x.

    The integral over the straight path is taken at the middles of `steps` equal parts: on trained networks
    full of ReLUs that came, on the whole, no less close than Gauss-Legendre places. In logit units, signed,
    and complete: the map adds up to Y_c(x) - Y_c(x0), the better the more steps. Add it up: on trained
    DenseNets 32 steps missed a tenth to a quarter of the difference. A voxel that equals its baseline
    gets 0, whatever the network makes of it: choose a baseline that stands for nothing in this image.

    Parameters
    ----------
    baseline
        x0: a number, or ``"mean"``, ``"min"`` or ``"blur"`` of each sample.

    Raises
    ------
    ExplainError
        `steps` is below 1, or the baseline is unknown.
    """
    whole_number("integrated-gradients", "steps", steps)
    inputs = inquiry.inputs
    start = baseline_of(inputs, baseline, option="a baseline")
    change = inputs - start
    weighed = single_or_better(change)[:, None]
    total = weighed.new_zeros(())
    for step in range(steps):
        there = start + (step + 0.5) / steps * change
        total = total + (inquiry.input_gradients(there) * weighed).sum(2)
    return total / steps


def passes_of_integrated_gradients(extent: Extent, *, steps: int = STEPS, **_: object) -> int:
    """Return one pass a step, each with its gradients."""
    return extent.samples * whole_number("integrated-gradients", "steps", steps)


def smooth_grad(inquiry: Inquiry, *, samples: int = SAMPLES, noise: float = 0.1) -> Tensor:
    """SmoothGrad (Smilkov et al. 2017): the mean gradient at the input over noisy copies of it.

    The noise is normal, its standard deviation `noise` of the range of the sample's values. The plain
    gradient is averaged, as the paper's formula has it: no absolute value, no square. In logits per unit
    of the input: how much a small change here would do, not how much what is here has done.

    Raises
    ------
    ExplainError
        `samples` is below 1, or `noise` below 0.
    """
    whole_number("smooth-grad", "samples", samples)
    copies = noisy_copies(inquiry, samples, spread("smooth-grad", "noise", noise))
    total = inquiry.logits.new_zeros(())
    for copy in copies:
        total = total + inquiry.input_gradients(copy).sum(2)
    return total / samples


def passes_of_smooth_grad(extent: Extent, *, samples: int = SAMPLES, **_: object) -> int:
    """Return one pass a noisy copy, each with its gradients."""
    return extent.samples * whole_number("smooth-grad", "samples", samples)
