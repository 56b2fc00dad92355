"""One layer of one pass, and what a method that needs more than one capture may ask about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from voxcam.cam.memory.budget import is_out_of_memory
from voxcam.cam.tracing.gradients import class_gradients, gradients_along
from voxcam.cam.tracing.recording import recorded, single_or_better

if TYPE_CHECKING:
    from torch import Tensor

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.tracing.recording import Recording


@dataclass(frozen=True, eq=False)
class Subject:
    """One layer of a recorded pass: its maps, its gradients, the head after it, the network around it.

    Attributes
    ----------
    inquiry
        The network and what it was shown.
    recording
        The pass, still open, with a tape.
    layer
        A layer of it.
    """

    inquiry: Inquiry
    recording: Recording
    layer: str

    @cached_property
    def activations(self) -> Tensor:
        """(B, C, *grid): the feature maps, in float32 or better."""
        return self.recording.activations(self.layer)

    def gradients(self, directions: Tensor) -> Tensor:
        """Return d (directions . logits) / d activations: (B, k, C, *grid) for directions (B, k, K)."""
        return gradients_along(self.recording, directions)[self.layer]

    def after(self, activations: Tensor) -> Tensor:
        """Return the logits (n, B, K) of n variants (n, B, C, *grid) of the maps, by the head alone."""

        def head(variant: Tensor) -> Tensor:
            return self.recording.after(self.layer, variant)

        with torch.no_grad():
            try:
                return single_or_better(torch.vmap(head)(activations))
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                # An operation without a vmap rule: one variant after the other.
            return single_or_better(torch.stack([head(variant) for variant in activations]))

    def captured(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return activations (B, C, *grid) and gradients (B, K', C, *grid) at other inputs (B, C, *space)."""
        network, layers = self.inquiry.network, (self.layer,)
        with self.inquiry.as_called(), recorded(network, inputs, layers) as recording:
            parts = [some[self.layer] for _, some in class_gradients(recording, self.inquiry.classes)]
            self.inquiry.count(len(inputs))
            return recording.activations(self.layer), torch.cat(parts, dim=1)
