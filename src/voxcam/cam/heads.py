"""Whether a head is what Zhou's CAM needs: nothing but pooling and linear steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.autograd.graph import Node

    from voxcam.cam.recording import Recording

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
}
_COPYING = {"AccumulateGrad", "Clone", "Alias", "ToCopy"}
LINEAR_STEPS = _POOLING | _LINEAR | _RESHAPING | _COPYING
"""Autograd's names of the steps that are linear in an activation, less ``Backward`` and a number."""


def require_linear_head(recording: Recording, layer: str) -> None:
    """Raise an `ExplainError` if a step from `layer` to the logits is not known to be linear.

    That the gradient is constant over space does not tell a linear layer from a perceptron after the
    pooling, whose weights would be those of this one input only. The recorded graph does.
    """
    others = sorted({name for name in _steps(recording, layer) if name not in LINEAR_STEPS})
    if others:
        raise ExplainError(
            f"cam needs global average pooling and one linear layer after {layer!r}, but found "
            f"{', '.join(others)} on the way; choose the layer that feeds the pooling, or grad-cam"
        )


def _steps(recording: Recording, layer: str) -> Iterator[str]:
    start = recording.outputs[layer].grad_fn
    waiting: list[Node | None] = [recording.logits.grad_fn]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node is start or node in seen:
            continue
        seen.add(node)
        yield node.name().split("::")[-1].rstrip("0123456789").removesuffix("Backward")
        waiting.extend(following for following, _ in node.next_functions)
