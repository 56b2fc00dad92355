"""Algebra on one capture: how a layer's activations A and a class's gradients g = dY_c/dA become a map.

Every method is a pure function of activations (B, C, *grid) and gradients (B, K, C, *grid), of any
spatial rank, and returns maps (B, K, *grid). Maps are raw: not normalised, and signed wherever the
equation leaves a sign. The final ReLU of the papers only hides what speaks against a class; it is a
choice of display, not made here.

Where global average pooling and one linear layer follow, g is the same at every place, and over N
places grad-cam = hires-cam = xgrad-cam = cam / N; each then adds up to the logit less its bias.

In the equations, sums run over the channels k or the places i of the grid.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from voxcam.errors import ExplainError

GradientMethod = Callable[[Tensor, Tensor], Tensor]

CONSTANT = 1e-5
"""How far, relative to the largest gradient, one may differ between places and still count as constant."""


def cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Class activation mapping (Zhou et al. 2016, eq. 2): sum_k w_k A_k.

    w are the weights of the class in a linear layer that is fed by global average pooling of A. They
    are read off the gradient, which there is w_k / N at each of N places: the pure function checks
    that it is constant, and `class_maps` that nothing but pooling and linear steps lie between.

    Signed, in logit units: the mean over places plus the bias is the logit.

    Raises
    ------
    ExplainError
        The gradient varies over space.
    """
    _require_constant(gradients)
    return grad_cam(activations, gradients) * activations.shape[2:].numel()


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1-2, before its ReLU): sum_k w_k A_k, w_k = mean_i g_ki.

    Signed, in logit units.
    """
    return weigh(activations, gradients.flatten(3).mean(-1))


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, eq. 19): sum_k w_k A_k, w_k = sum_i alpha_ki relu(g_ki).

    alpha_ki = g_ki^2 / (2 g_ki^2 + g_ki^3 sum_j A_kj), which is 1 / (2 + g_ki sum_j A_kj) wherever it
    counts (g > 0), and is computed so: squares and cubes of small gradients would vanish. Meant for
    A >= 0; with negative A the denominator can change sign, and a place where it is 0 does not count.

    The paper differentiates exp(Y_c); its factor exp(Y_c) > 0, the same at all places, is left out.
    Not in logit units.
    """

    def weights(a: Tensor, g: Tensor) -> Tensor:
        denominator = g.mul(a.sum(-1, keepdim=True)).add_(2)
        return g.relu().div_(denominator.masked_fill_(denominator == 0, torch.inf)).sum(-1)

    return weigh(activations, _each_class(weights, activations, gradients))


def xgrad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al. 2020, eq. 8): sum_k w_k A_k, w_k = sum_i g_ki A_ki / sum_i A_ki.

    A channel whose activations add up to zero, within rounding, has no such weight and gets 0: its
    contribution to the total would be zero whatever the weight. Signed, in logit units; meant for
    A >= 0.
    """
    flat = activations.flatten(2)
    total, rounding = flat.sum(-1), torch.finfo(flat.dtype).eps * flat.abs().sum(-1)
    total = total.masked_fill(total.abs() <= rounding, torch.inf)

    def weights(a: Tensor, g: Tensor) -> Tensor:
        return (g * a).sum(-1) / total

    return weigh(activations, _each_class(weights, activations, gradients))


def hires_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin 2020, eq. 4): sum_k g_k A_k, place by place.

    Signed, in logit units: what each place adds to the logit, exactly so for a head linear in A.
    """
    return _on_grid(_each_class(lambda a, g: (g * a).sum(1), activations, gradients), activations)


def element_wise_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Element-wise Grad-CAM (no paper; first in pytorch-grad-cam): sum_k relu(g_k A_k), place by place.

    HiResCAM less what speaks against the class: never negative, in logit units, never below HiResCAM.
    """
    return _on_grid(_each_class(lambda a, g: (g * a).relu_().sum(1), activations, gradients), activations)


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021, eq. 5-6, before its ReLU): sum_k relu(g_k) A_k, place by place.

    Not negative where A is not; in logit units, of the positive gradients alone.
    """
    return _on_grid(_each_class(lambda a, g: g.relu().mul_(a).sum(1), activations, gradients), activations)


def _each_class(rule: GradientMethod, activations: Tensor, gradients: Tensor) -> Tensor:
    """Apply `rule` to (B, C, N) and (B, C, N), class by class: what it needs in between stays that small."""
    a, g = activations.flatten(2), gradients.flatten(3)
    return torch.stack([rule(a, g[:, k]) for k in range(g.shape[1])], dim=1)


def weigh(activations: Tensor, weights: Tensor) -> Tensor:
    """Return sum_k w_k A_k for weights (B, K, C)."""
    return _on_grid(weights @ activations.flatten(2), activations)


def _on_grid(flat: Tensor, activations: Tensor) -> Tensor:
    return flat.reshape(*flat.shape[:2], *activations.shape[2:])


def _require_constant(gradients: Tensor) -> None:
    g = gradients.flatten(3)
    high, low = g.amax(-1), g.amin(-1)
    spread, largest = (high - low).amax(), torch.maximum(high, -low).amax()
    if spread > CONSTANT * largest:
        raise ExplainError(
            "cam needs global average pooling and one linear layer right after the layer, but the gradient "
            f"there varies over space by {float(spread / largest):.1g} of its largest value; choose the "
            "layer that feeds the pooling, or grad-cam"
        )
