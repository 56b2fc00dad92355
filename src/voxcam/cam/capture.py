"""Capture: a layer's activations, the logits, and the gradients of every asked class there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from voxcam.cam.tracing.gradients import class_gradients, known_classes
from voxcam.cam.tracing.recording import recorded, single_or_better

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Capture:
    """What every gradient method needs, float32 (or wider, where the network is), without graph.

    Attributes
    ----------
    logits
        (B, K): every class.
    classes
        (B, K'): the columns of the logits that were asked for, sample by sample.
    activations
        By layer name, (B, C, *grid): what the layer put out.
    gradients
        By layer name, (B, K', C, *grid): d logit / d activation.
    """

    logits: Tensor
    classes: Tensor
    activations: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def capture(
    network: nn.Module,
    inputs: Tensor,
    layers: str | Sequence[str],
    classes: Sequence[int] | Sequence[Sequence[int]] | Tensor | None = None,
    chunk: int | None = None,
) -> Capture:
    """Run `network` once and return a layer's activations and the gradients of its classes.

    All gradients are held together, B x K' x C x grid: `class_maps` needs less.

    Parameters
    ----------
    network, inputs, layers
        As in `voxcam.cam.tracing.recording.recorded`; one layer or several.
    classes
        Columns of the logits, the same for every sample or one row for each; None for all.
    chunk
        Classes differentiated together, to bound memory; the result does not depend on it.

    Raises
    ------
    ExplainError
        A layer or class is unknown or unfit, or a value is not finite.
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    with recorded(network, inputs, names) as recording:
        asked = known_classes(recording.logits, classes)
        parts = [some for _, some in class_gradients(recording, asked, chunk)]
        return Capture(
            logits=single_or_better(recording.logits.detach()),
            classes=asked,
            activations={name: recording.activations(name) for name in recording.outputs},
            gradients={name: torch.cat([some[name] for some in parts], dim=1) for name in recording.outputs},
        )
