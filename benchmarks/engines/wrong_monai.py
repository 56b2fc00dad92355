"""Where MONAI's maps are wrong: each function returns what is measured there, and the same of VoxCAM."""

from __future__ import annotations

from functools import partial

import monai.visualize
import torch
from torch import Tensor

from benchmarks.engines import closed_forms
from benchmarks.engines.contenders import forget
from benchmarks.engines.networks import (
    Case,
    Recipe,
    densenet121,
    pooling_case,
    small_case,
    small_transformer,
)
from benchmarks.engines.outcomes import Outcome, ours, outcome_of, share_of_largest, share_of_range


def inverted() -> Outcome:
    case = small_case(2, batch=1)
    shown = monai.visualize.GradCAM(case.network, case.layer)(case.x, class_idx=0)
    forget(case.network)
    raw = upsampled(ours(case, "grad-cam")[:, :1], case)
    hottest = raw.flatten().argmax()
    return float(shown.flatten()[hottest]), float(raw.flatten()[hottest] / raw.max())


def upsampled(maps: Tensor, case: Case) -> Tensor:
    mode = closed_forms.MODES[case.x.ndim - 2]
    return torch.nn.functional.interpolate(maps, case.x.shape[2:], mode=mode, align_corners=False)


def empty_is_hot() -> Outcome:
    """All weights of the linear layer are made negative: nothing speaks for any class."""
    case = pooling_case(2, batch=1)
    case.network.fc.weight.data.abs_().neg_()
    shown = monai.visualize.GradCAM(case.network, case.layer)(case.x, class_idx=0)
    forget(case.network)
    return float((shown == 0).float().mean()), float((ours(case, "grad-cam")[:, 0] > 0).float().mean())


def batch_of_classes() -> Outcome:
    case, classes = small_case(2, batch=6), [0, 1, 0, 0, 0, 1]
    explainer = monai.visualize.GradCAM(case.network, case.layer)
    together = explainer.compute_map(case.x, class_idx=torch.tensor(classes)).detach()
    alone = [
        explainer.compute_map(x[None], class_idx=k).detach() for x, k in zip(case.x, classes, strict=True)
    ]
    forget(case.network)
    mine = ours(case, "grad-cam", [[k] for k in classes]).relu()
    return share_of_range(together, torch.cat(alone)), share_of_range(mine, torch.cat(alone))


def batch_of_plus_plus() -> Outcome:
    case = small_case(2, batch=2)
    explainer = monai.visualize.GradCAMpp(case.network, case.layer)
    theirs = outcome_of(lambda: explainer.compute_map(case.x, class_idx=0))
    forget(case.network)
    return theirs, share_of_range(ours(case, "grad-cam++"), closed_forms.maps_of("grad-cam++", case))


def plus_plus() -> Outcome:
    case = small_case(2, batch=1, steepness=1.0)
    explainer = monai.visualize.GradCAMpp(case.network, case.layer)
    theirs = torch.cat([explainer.compute_map(case.x, class_idx=k).detach() for k in range(5)], dim=1)
    forget(case.network)
    right = closed_forms.maps_of("grad-cam++", case)
    # MONAI differentiates exp(y): its maps are exp(y) times those of the equation, so scales are set alike.
    return share_of_largest(theirs, right), share_of_largest(ours(case, "grad-cam++"), right)


def cam_of_one_class() -> Outcome:
    case = pooling_case(2, batch=1)
    theirs = outcome_of(lambda: monai.visualize.CAM(case.network, case.layer, "fc")(case.x, class_idx=0))
    forget(case.network)
    return theirs, share_of_range(ours(case, "cam", [0]), closed_forms.maps_of("cam", case)[:, :1])


def densenet_features() -> Outcome:
    """An in-place ReLU follows MONAI's own DenseNet after `features`."""
    case = Recipe("", densenet121, (64, 64), "features.norm5").case()
    theirs = outcome_of(
        lambda: monai.visualize.GradCAM(case.network, case.layer).compute_map(case.x, class_idx=0)
    )
    forget(case.network)
    case = Recipe("", densenet121, (64, 64), "features.norm5").case()
    return theirs, share_of_range(ours(case, "grad-cam", [0]), right_before_relu(case))


def right_before_relu(case: Case) -> Tensor:
    """Return Grad-CAM of class 0 at DenseNet's `features` by hand: run the head on a copy of the maps."""
    network = case.network
    features = network.features(case.x).detach()
    a = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network.class_layers(a.clone())[0, 0], a)
    return (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True)


def transformer() -> Outcome:
    case = small_transformer()
    theirs = outcome_of(lambda: monai.visualize.GradCAM(case.network, case.layer)(case.x, class_idx=0))
    forget(case.network)
    return theirs, outcome_of(lambda: tuple(ours(case, "grad-cam", [0]).shape[2:]))


def occlusion_probabilities() -> Outcome:
    case = small_case(2, batch=1, steepness=1.0)
    occlusion = monai.visualize.OcclusionSensitivity(case.network, mask_size=8, overlap=0.0, verbose=False)
    return float(occlusion(case.x)[0].sum(1).mean()), None


def half_precision() -> Outcome:
    case = small_case(2, batch=1, steepness=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = outcome_of(lambda: monai.visualize.GradCAM(case.network, case.layer)(case.x, class_idx=0))
        forget(case.network)
        mine = ours(case, "grad-cam")
    return theirs, share_of_range(mine, closed_forms.maps_of("grad-cam", case))


def frozen() -> Outcome:
    case = small_case(2, batch=1)
    right = ours(case, "grad-cam")
    case.network.requires_grad_(False)
    explain = partial(monai.visualize.GradCAM(case.network, case.layer).compute_map, case.x, class_idx=0)
    theirs = outcome_of(explain)
    forget(case.network)
    return theirs, share_of_range(ours(case, "grad-cam"), right)


WRONG = (
    ("D1", "inverted by default: value shown at the place of highest evidence, of 0 to 1", inverted),
    ("D2", "no positive evidence: share of places shown as the hottest", empty_is_hot),
    ("D3", "a batch with a class for each sample: error, as a share of the range", batch_of_classes),
    ("D4", "Grad-CAM++ of two samples: error", batch_of_plus_plus),
    ("D4", "CAM(class_idx=0): error", cam_of_one_class),
    (
        "",
        "Grad-CAM++ adds up A g^3, not g^3 times the sum of A (eq. 19): error, maps divided by their largest",
        plus_plus,
    ),
    ("D5", "MONAI's DenseNet121 at features.norm5, before an in-place ReLU: error", densenet_features),
    ("D7", "a vision transformer's block: outcome", transformer),
    (
        "D8",
        "occlusion, 1 channel, 5 exclusive classes: sum of the classes' probabilities",
        occlusion_probabilities,
    ),
    ("D15", "bfloat16 autocast: error", half_precision),
    ("D22", "frozen parameters: error", frozen),
)
