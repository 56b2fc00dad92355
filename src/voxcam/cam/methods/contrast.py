"""Methods that ask the head again, never the trunk: what sets classes apart, curvature, ablation.

Each is a function of a `Subject` and returns maps (B, K', *grid) on the layer's grid, raw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.cam.methods.gradient import grad_cam, weigh
from voxcam.cam.methods.limits import spread, whole_number
from voxcam.cam.tracing.gradients import linear_heads
from voxcam.cam.tracing.recording import single_or_better
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from torch import Tensor

    from voxcam.cam.asking.subject import Subject

VARIANT_BYTES = 64 * 2**20
"""Altered feature maps held at a time; the head needs a few times that."""


def finer_cam(subject: Subject, *, strength: float = 0.6, references: int = 3) -> Tensor:
    """Finer-CAM (Zhang et al. 2025) on Grad-CAM: what speaks for a class and not for its likes.

    Grad-CAM of y_c - strength * mean_d y_d over the `references` classes d whose logits are nearest to
    that of c. Signed, in logit units, of the difference.

    Raises
    ------
    ExplainError
        The network has a single class: there is none to compare it with; `strength` is below 0, or
        `references` below 1.
    """
    inquiry = subject.inquiry
    logits = single_or_better(inquiry.all_logits)
    count = logits.shape[1]
    if count < 2:
        raise ExplainError("finer-cam compares classes, but the network has one; choose grad-cam")
    share = spread("finer-cam", "strength", strength)
    references = whole_number("finer-cam", "references", references)
    distances = (logits[:, None, :] - inquiry.logits[:, :, None]).abs()  # (B, K', K)
    distances.scatter_(2, inquiry.classes.to(distances.device)[..., None], torch.inf)
    nearest = distances.topk(min(references, count - 1), dim=2, largest=False).indices
    likes = torch.zeros_like(distances).scatter_(2, nearest, 1.0 / nearest.shape[2])
    directions = inquiry.directions.to(likes) - share * likes
    return grad_cam(subject.activations, subject.gradients(directions))


def shapley_cam(subject: Subject) -> Tensor:
    """ShapleyCAM (Cai 2025): sum_k w_k A_k, w_k = mean_i (g - H A / 2)_ki, H the Hessian at the layer.

    H A is one Hessian-vector product a class, by differentiating twice through the head. Where the head
    is piecewise linear (ReLU, pooling, linear layers) H is zero and this is Grad-CAM. Signed, in logit
    units.
    """
    recording, layer = subject.recording, subject.layer
    output, layout = recording.outputs[layer], recording.layouts[layer]
    weights = []
    with torch.enable_grad():
        for column in subject.inquiry.directions.transpose(0, 1).to(recording.logits):
            (gradient,) = torch.autograd.grad(recording.logits, output, column, create_graph=True)
            product = None
            if gradient.requires_grad:
                (product,) = torch.autograd.grad(
                    gradient, output, output.detach(), retain_graph=True, allow_unused=True
                )
            weight = gradient.detach() if product is None else gradient.detach() - product / 2
            weights.append(single_or_better(layout.maps(weight)).flatten(2).mean(-1))
    return weigh(subject.activations, torch.stack(weights, dim=1))


def ablation_cam(subject: Subject) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020): sum_k w_k A_k, w_k the fall of the logit without A_k.

    w_k = y_c - y_c(A_k = 0), in logit units; the paper divides it by y_c, which turns the map over where
    y_c < 0. The head alone is run, on many channels at once; where it is global average pooling and one
    linear layer, w_k = W_ck mean(A_k) and nothing is run at all. Signed.
    """
    head = linear_heads(subject.recording).get(subject.layer)
    a = subject.activations
    if head is not None:
        chosen = head.weights[subject.inquiry.classes.to(head.weights.device)]
        return weigh(a, chosen * a.flatten(2).mean(-1)[:, None])
    falls = [subject.inquiry.logits[None] - part for part in _without_each_channel(subject)]
    return weigh(a, torch.cat(falls).movedim(0, -1))


def _without_each_channel(subject: Subject) -> list[Tensor]:
    """Return the logits asked, (channels, B, K'), of the feature maps less one channel, in parts."""
    a = subject.activations
    step = max(1, VARIANT_BYTES // (a.numel() * a.element_size()))
    parts = []
    for some in torch.split(torch.arange(a.shape[1], device=a.device), step):
        variants = a.expand(len(some), *a.shape).clone()
        variants[torch.arange(len(some)), :, some] = 0
        logits = subject.after(variants)
        subject.inquiry.count(0)  # no pass of the network; but a place to stop
        parts.append(torch.stack([subject.inquiry.asked(variant) for variant in logits]))
    return parts
