"""What follows a layer: only pooling and one linear layer, whose weights then are the gradients, or more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.autograd.graph import Node

    from voxcam.cam.tracing.recording import Recording

_POOLING = {
    "Mean",
    "Sum",
    "AvgPool2D",
    "AvgPool3D",
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
}
_LINEAR = {"Addmm", "Mm", "Convolution", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"}
_RESHAPING = {
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "T",
    "Transpose",
    "Permute",
    "Select",
    "AsStrided",  # of pooling over activations that lie channels last
}
_COPYING = {"AccumulateGrad", "Clone", "Alias", "ToCopy"}
LINEAR_STEPS = _POOLING | _LINEAR | _RESHAPING | _COPYING
"""Autograd's names of the steps that are linear in an activation, less ``Backward`` and a number."""

SAME_MAP = ("cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam")
"""Methods that give one and the same map before global average pooling and one linear layer."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Global average pooling and one linear layer: logit_c = sum_k W_ck mean_i A_ki + b_c.

    Attributes
    ----------
    weights
        (K, C), without graph, in float32 or better.
    layer
        The layer that feeds the pooling.
    """

    weights: Tensor
    layer: str

    def gradients(self, recording: Recording, classes: Tensor) -> Tensor:
        """Return d logit / d activation of classes (B, K'): W_ck / N at each of N places, without memory."""
        grid = recording.layouts[self.layer].grid
        places = torch.Size(grid).numel()
        chosen = self.weights[classes.to(self.weights.device)] / places
        return chosen.reshape(*chosen.shape, *(1,) * len(grid)).expand(*chosen.shape, *grid)

    def bias(self, recording: Recording) -> Tensor:
        """Return what the logits (B, K) hold beside the weighed means of the activations: the biases."""
        means = recording.activations(self.layer).flatten(2).mean(-1)
        return recording.logits.detach().to(means.dtype) - means @ self.weights.T


def linear_head(recording: Recording, layer: str) -> LinearHead | None:
    """Return the head after `layer` if it looks like global average pooling and one linear layer.

    It is told by autograd's graph: one matrix product, and nothing else but averaging, reshaping and
    copying. Whether the pooling is global is not told so: compare the gradients of one class.
    """
    products: list[Node] = []
    for name, node in _steps(recording, layer):
        if name in ("Addmm", "Mm"):
            products.append(node)
        elif name not in _POOLING | _RESHAPING | _COPYING:
            return None
    if len(products) != 1:
        return None
    saved: Any = products[0]
    matrix = getattr(saved, "_saved_mat2", None)  # (C, K); absent where the product is the other way round
    channels = recording.layouts[layer].channels
    if matrix is None or tuple(matrix.shape) != (channels, recording.logits.shape[1]):
        return None
    weights = matrix.detach().T
    return LinearHead(weights.to(torch.promote_types(weights.dtype, torch.float32)), layer)


def require_linear_head(recording: Recording, layer: str) -> None:
    """Raise an `ExplainError` if a step from `layer` to the logits is not known to be linear.

    That the gradient is constant over space does not tell a linear layer from a perceptron after the
    pooling, whose weights would be those of this one input only. The recorded graph does.
    """
    others = sorted({name for name, _ in _steps(recording, layer) if name not in LINEAR_STEPS})
    if others:
        raise ExplainError(
            f"cam needs global average pooling and one linear layer after {layer!r}, but found "
            f"{', '.join(others)} on the way; choose the layer that feeds the pooling, or grad-cam"
        )


def _steps(recording: Recording, layer: str) -> Iterator[tuple[str, Node]]:
    start = recording.outputs[layer].grad_fn
    waiting: list[Node | None] = [recording.logits.grad_fn]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node is start or node in seen:
            continue
        seen.add(node)
        yield node.name().split("::")[-1].rstrip("0123456789").removesuffix("Backward"), node
        waiting.extend(following for following, _ in node.next_functions)
