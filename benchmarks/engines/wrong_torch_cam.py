"""Where torch-cam's maps are wrong: what is measured there, and the same of VoxCAM."""

from __future__ import annotations

from functools import partial

import torch
import torchcam.methods
from torch import Tensor

from benchmarks.engines import closed_forms
from benchmarks.engines.networks import Case, pooling_case, small_case
from benchmarks.engines.outcomes import Outcome, ours, outcome_of, share_of_largest, share_of_range
from benchmarks.engines.peers import by_torch_cam
from voxcam import cam


def plus_plus(rank: int) -> Outcome:
    """Maps divided by their largest value, as both would be shown."""
    case = small_case(rank, steepness=1.0)
    right = closed_forms.maps_of("grad-cam++", case)
    return share_of_largest(by_torch_cam("GradCAMpp", case), right), share_of_largest(
        ours(case, "grad-cam++"), right
    )


def smooth_plus_plus() -> Outcome:
    """Beside the equation with the gradient averaged over torch-cam's own four draws."""
    case = small_case(2, batch=1, steepness=1e4)
    torch.manual_seed(0)
    with torchcam.methods.SmoothGradCAMpp(case.network, case.layer) as explainer:
        case.network(case.x)
        theirs = explainer(0, normalized=False)[0][:, None]
    torch.manual_seed(0)
    draws = [torch.distributions.Normal(0, 0.3).sample(case.x.shape) for _ in range(4)]
    return share_of_largest(theirs, smooth_map(case, draws)), None


def smooth_map(case: Case, draws: list[Tensor]) -> Tensor:
    """Smooth Grad-CAM++ of class 0: powers of the gradient, and the gradient itself, averaged over draws."""
    [sample] = closed_forms.samples_of(case)
    noisy = [closed_forms.samples_of(Case("", case.network, case.x + draw, case.layer))[0] for draw in draws]
    g = torch.stack([each.gradients[0] for each in noisy])
    a = sample.activations[0]
    below = 2 * (g**2).mean(0) + (g**3).mean(0) * a.sum((1, 2), keepdim=True)
    weights = ((g**2).mean(0) / below * g.mean(0).relu()).sum((1, 2), keepdim=True)
    return (weights * a).sum(0).relu()[None, None]


def integrated_masks() -> Outcome:
    """On an input of ones the largest value the network sees is the largest factor: the paper's ends at 1."""
    case = small_case(2, batch=1, steepness=1.0)
    case = Case("", case.network, torch.ones_like(case.x), case.layer)
    seen: list[float] = []
    handle = case.network.register_forward_pre_hook(
        lambda _module, inputs: seen.append(float(inputs[0].max()))
    )
    by_torch_cam("ISCAM", case)
    theirs, seen[:] = max(seen), []
    if "is-cam" in cam.METHODS:
        ours(case, "is-cam")
    handle.remove()
    return theirs, max(seen, default=None)


def half_precision() -> Outcome:
    """NaN values of a map without positive evidence, of a network in float16."""
    case = pooling_case(2, batch=1)
    case.network.fc.weight.data.abs_().neg_()
    case.network.half()
    x = case.x.half()
    with torchcam.methods.GradCAM(case.network, case.layer) as explainer:
        theirs = explainer(0, case.network(x))[0]
    mine = ours(Case("", case.network, x, case.layer), "grad-cam", [0])
    return int(theirs.isnan().sum()), int(mine.isnan().sum())


def frozen() -> Outcome:
    case = small_case(2, batch=1)
    right = ours(case, "grad-cam")
    case.network.requires_grad_(False)
    theirs = outcome_of(partial(by_torch_cam, "GradCAM", case))
    return theirs, share_of_range(ours(case, "grad-cam"), right)


def without_grad() -> Outcome:
    case = small_case(2, batch=1)
    right = ours(case, "grad-cam")
    with torch.no_grad():
        theirs = outcome_of(partial(by_torch_cam, "GradCAM", case))
        return theirs, share_of_range(ours(case, "grad-cam"), right)


WRONG = (
    ("D9", "Grad-CAM++ divides a copy: error in 2D, maps divided by their largest", partial(plus_plus, 2)),
    ("D9", "Grad-CAM++ divides a copy: error in 3D", partial(plus_plus, 3)),
    ("D10", "float16, no positive evidence: NaN values in the map", half_precision),
    ("D22", "frozen parameters: error", frozen),
    ("D22", "called inside no_grad: error", without_grad),
    ("", "Smooth Grad-CAM++: the last draw's gradient for all, A g^3 added up: error", smooth_plus_plus),
    ("", "IS-CAM's steps add up: largest factor on the input, paper 1", integrated_masks),
)
