"""Guided Grad-CAM: guided backpropagation to the input, where Grad-CAM says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.cam.methods.gradient import grad_cam
from voxcam.cam.tracing.gradients import class_gradients
from voxcam.cam.upsampling import upsample

if TYPE_CHECKING:
    from torch import Tensor
    from torch.autograd.graph import Node

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.asking.passes import Extent
    from voxcam.cam.asking.subject import Subject

RELU = "ReluBackward0"
"""Autograd's name of the step back through a ReLU, however the network wrote it."""


def guided_grad_cam(subject: Subject) -> Tensor:
    """Guided Grad-CAM (Selvaraju et al. 2017): relu(Grad-CAM), upsampled, times guided backpropagation.

    On the input's grid, (B, K', *space), signed, summed over the input's channels. In no unit that adds up.

    It fails the sanity checks of Adebayo et al. 2018: guided backpropagation redraws the edges of the image
    whatever the weights of the network are. It makes a fine picture; as evidence take Grad-CAM.
    """
    inquiry = subject.inquiry
    parts = [
        grad_cam(subject.activations, some[subject.layer])
        for _, some in class_gradients(subject.recording, inquiry.classes)
    ]
    where = upsample(torch.cat(parts, dim=1).relu(), inquiry.inputs.shape[2:])
    return where * guided_backpropagation(inquiry).sum(2)


def passes_of_guided_grad_cam(extent: Extent, **_: object) -> int:
    """Return one pass, with its gradients at the input."""
    return extent.samples


def guided_backpropagation(inquiry: Inquiry) -> Tensor:
    """Return guided gradients at the input (Springenberg et al. 2015): (B, K', C, *space).

    On the way back every ReLU lets through what is positive there as well. It is told by the recorded
    graph, so modules, functions and steps in place are all met, and the network is not touched. Other
    nonlinearities (leaky ReLU, ReLU6, ELU, GELU, clamping) keep their own gradient: in a network that has
    no ReLU this is the plain gradient.
    """
    return inquiry.input_gradients(inquiry.inputs, prepare=_let_positive_through)


def _let_positive_through(logits: Tensor) -> None:
    """Change every ReLU of the graph behind `logits`, for as long as that lives."""
    waiting: list[Node | None] = [logits.grad_fn]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == RELU:
            node.register_hook(_positive)
        waiting.extend(following for following, _ in node.next_functions)


def _positive(inwards: tuple[Tensor | None, ...], _: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if gradient is None else gradient.relu() for gradient in inwards)
