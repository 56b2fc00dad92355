"""The methods by name: functions of one capture, of a layer, of the network, of several layers.

`GRADIENT`: functions of one capture, (activations, gradients) -> maps on the layer's grid.
`LAYER`: functions of a `Subject`: they ask the head, or the network again, about one layer.
`NETWORK`: functions of an `Inquiry`: they ask the network alone, and need no layer.
`FUSION`: functions of the maps of several layers.
"""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING

from voxcam.cam.asking.passes import Extent
from voxcam.cam.methods.attention import attention_rollout, legrad, passes_of_attention
from voxcam.cam.methods.contrast import ablation_cam, finer_cam, shapley_cam
from voxcam.cam.methods.decomposition import eigen_cam, eigengrad_cam, kpca_cam
from voxcam.cam.methods.fusion import refine_cam
from voxcam.cam.methods.gradient import (
    cam,
    element_wise_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    xgrad_cam,
)
from voxcam.cam.methods.guided import guided_grad_cam, passes_of_guided_grad_cam
from voxcam.cam.methods.masking import (
    is_cam,
    passes_of_is_cam,
    passes_of_score_cam,
    passes_of_ss_cam,
    score_cam,
    ss_cam,
)
from voxcam.cam.methods.noise import passes_of_smooth_grad_cam_plus_plus, smooth_grad_cam_plus_plus
from voxcam.cam.methods.occlusion import occlusion, passes_of_occlusion
from voxcam.cam.methods.paths import (
    integrated_gradients,
    passes_of_integrated_gradients,
    passes_of_smooth_grad,
    smooth_grad,
)
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

GRADIENT: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cam": cam,
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "xgrad-cam": xgrad_cam,
    "hires-cam": hires_cam,
    "element-wise-cam": element_wise_cam,
    "layer-cam": layer_cam,
    "eigen-cam": eigen_cam,
    "eigengrad-cam": eigengrad_cam,
    "kpca-cam": kpca_cam,
}

LAYER: Mapping[str, Callable[..., Tensor]] = {
    "finer-cam": finer_cam,
    "shapley-cam": shapley_cam,
    "ablation-cam": ablation_cam,
    "score-cam": score_cam,
    "ss-cam": ss_cam,
    "is-cam": is_cam,
    "smooth-grad-cam++": smooth_grad_cam_plus_plus,
    "guided-grad-cam": guided_grad_cam,
}

NETWORK: Mapping[str, Callable[..., Tensor]] = {
    "occlusion": occlusion,
    "integrated-gradients": integrated_gradients,
    "smooth-grad": smooth_grad,
    "attention-rollout": attention_rollout,
    "legrad": legrad,
}

FUSION: Mapping[str, Callable[[Sequence[Tensor]], Tensor]] = {
    "refine-cam": refine_cam,
}

METHODS: Mapping[str, Callable[..., Tensor]] = {**GRADIENT, **LAYER, **NETWORK, **FUSION}

PASSES: Mapping[str, Callable[..., int]] = {
    "score-cam": passes_of_score_cam,
    "ss-cam": passes_of_ss_cam,
    "is-cam": passes_of_is_cam,
    "smooth-grad-cam++": passes_of_smooth_grad_cam_plus_plus,
    "guided-grad-cam": passes_of_guided_grad_cam,
    "occlusion": passes_of_occlusion,
    "integrated-gradients": passes_of_integrated_gradients,
    "smooth-grad": passes_of_smooth_grad,
    "attention-rollout": passes_of_attention,
    "legrad": passes_of_attention,
}
"""How many samples a method sends through the network, as a function of an `Extent` and its options."""


OTHER_UNITS = frozenset(
    {
        "grad-cam++",
        "eigen-cam",
        "eigengrad-cam",
        "kpca-cam",
        "score-cam",
        "ss-cam",
        "is-cam",
        "smooth-grad-cam++",
        "guided-grad-cam",
        "smooth-grad",
        "attention-rollout",
        "legrad",
        "refine-cam",
    }
)
"""The methods whose maps are not in logit units: compare their values between classes, not methods."""


def is_on_layer_grid(method: str) -> bool:
    """Whether a method's maps lie on the grid of its layer, not on the input's or that of several layers."""
    return method in GRADIENT or (method in LAYER and method != "guided-grad-cam")


def looks_inside(method: str) -> bool:
    """Whether a method looks at a layer, or at attention; the others need inputs and outputs alone."""
    return method not in ("occlusion", "integrated-gradients", "smooth-grad")


def unit_of(method: str) -> str:
    """Return ``"logit"`` where a map is in logit units, else ``""``: a scale of the method's own."""
    return "" if method in OTHER_UNITS else "logit"


def known_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """Return `methods`, each once, or raise an `ExplainError` that names what there is."""
    for method in methods:
        if method not in METHODS:
            nearest = get_close_matches(method.lower(), METHODS, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ExplainError(f"unknown method {method!r}; {hint}There are {', '.join(METHODS)}")
    if not methods:
        raise ExplainError(f"expected at least one method, found none; there are {', '.join(METHODS)}")
    return tuple(dict.fromkeys(methods))


def known_options(methods: Sequence[str], options: Mapping[str, Mapping[str, object]]) -> None:
    """Raise an `ExplainError` if an option is of no method asked, or its method knows none of that name."""
    for method, own in options.items():
        if method not in methods:
            raise ExplainError(f"options for {method!r}, which is not asked; asked are {', '.join(methods)}")
        known = options_of(method)
        for name in own:
            if name not in known:
                have = ", ".join(known) or "none"
                raise ExplainError(f"{method} has no option {name!r}; it has {have}")


def options_of(method: str) -> dict[str, object]:
    """Return the options of a method with their defaults."""
    parameters = inspect.signature(METHODS[method]).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def passes_of(
    methods: Sequence[str],
    samples: int,
    classes: int,
    space: tuple[int, ...],
    channels: Sequence[int],
    options: Mapping[str, Mapping[str, object]],
) -> dict[str, int]:
    """Return how many samples each method sends through the network beyond the first pass.

    Parameters
    ----------
    channels
        Feature maps of each layer asked.
    """
    extents = [Extent(samples, classes, space, count) for count in channels]
    whole = [Extent(samples, classes, space)]
    return {
        method: sum(
            PASSES[method](extent, **options.get(method, {}))
            for extent in (extents if method in LAYER else whole)
        )
        if method in PASSES
        else 0
        for method in methods
    }
