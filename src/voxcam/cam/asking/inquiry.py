"""Asking the whole network again: other inputs, gradients at the input; every pass is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxcam.cam.tracing.recording import FLOAT16_SCALE, call_network, logits_in, single_or_better
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from torch import nn

Count = Callable[[int], None]
"""Told how many samples have just passed through the network; may raise to end the work."""

VOXELS_AT_ONCE = 2**21
"""Input voxels of the samples that run together: 32 samples of 40^3, or 32 images of 256^2."""

VOXELS_AT_ONCE_ON_CPU, SAMPLES_AT_ONCE_ON_CPU = 2**18, 8
"""Enough there, whichever is more: measured, more at a time are slower, for they fall out of the cache."""


@dataclass(frozen=True, eq=False)
class Inquiry:
    """A network, what it was shown, which classes are asked, and the means to ask it again.

    To be used inside `voxcam.cam.tracing.as_found.as_found` (an open recording is inside).

    Attributes
    ----------
    network, inputs
        What was run: (B, C, *space).
    all_logits
        (B, K): what it answered, without graph.
    classes
        (B, K'): the columns of the logits that are asked.
    seed
        Of all that is drawn.
    count
        Told of every pass.
    autocast
        The caller's autocast state: whether it is on, and its dtype.
    """

    network: nn.Module
    inputs: Tensor
    all_logits: Tensor
    classes: Tensor
    seed: int
    count: Count
    autocast: tuple[bool, torch.dtype]

    @property
    def logits(self) -> Tensor:
        """(B, K'): the logits of the classes asked, in float32 or better."""
        return self.asked(self.all_logits)

    @property
    def directions(self) -> Tensor:
        """(B, K', K): for each class asked, 1 at its logit and 0 at the others."""
        return torch.nn.functional.one_hot(self.classes, self.all_logits.shape[1]).to(self.all_logits)

    @property
    def at_once(self) -> int:
        """How many samples run through the network together."""
        size = self.inputs[0].numel()
        most = VOXELS_AT_ONCE // size
        if self.inputs.device.type == "cpu":
            most = min(most, max(VOXELS_AT_ONCE_ON_CPU // size, SAMPLES_AT_ONCE_ON_CPU))
        return max(1, most)

    def generator(self) -> torch.Generator:
        """Return a new source of random numbers; draw on the CPU, so that every device draws the same."""
        return torch.Generator().manual_seed(self.seed)

    def asked(self, logits: Tensor) -> Tensor:
        """Return, of the logits (B, K) of all samples, those asked: (B, K')."""
        return single_or_better(logits).gather(1, self.classes.to(logits.device))

    def asked_of(self, sample: int, logits: Tensor) -> Tensor:
        """Return, of logits (n, K) of variants of one sample, those asked of it: (n, K')."""
        return single_or_better(logits)[:, self.classes[sample].to(logits.device)]

    def again(self, inputs: Tensor) -> Tensor:
        """Return the logits (n, K) of other inputs (n, C, *space), in batches, without a graph."""
        answers = []
        with torch.no_grad(), self.as_called():
            for batch in torch.split(inputs, self.at_once):
                output = torch.func.functional_call(self.network, self._faster, (batch,), tie_weights=False)
                answers.append(single_or_better(logits_in(output, len(batch))))
                self.count(len(batch))
        return torch.cat(answers)

    @cached_property
    def _faster(self) -> dict[str, Tensor]:
        """Stand-ins for weights: on a CPU 2D convolutions are a quarter faster where channels come last."""
        if self.inputs.device.type != "cpu" or self.inputs.ndim != 4:
            return {}
        return {
            name: weight.detach().contiguous(memory_format=torch.channels_last)
            for name, weight in self.network.named_parameters()
            if weight.ndim == 4
        }

    def input_gradients(self, inputs: Tensor, prepare: Callable[[Tensor], None] | None = None) -> Tensor:
        """Return d logit / d input, (B, K', C, *space), at other inputs (B, C, *space).

        The graph of the whole network is held once; its classes are differentiated one after the other.

        Parameters
        ----------
        prepare
            Given the logits with their graph before they are differentiated; it may hook the graph.
        """
        with torch.enable_grad(), self.as_called():
            leaf = inputs.detach().clone().requires_grad_()
            logits = logits_in(
                call_network(self.network, leaf.clone()), len(leaf)
            )  # a copy: it may be overwritten
        if prepare is not None:
            prepare(logits)
        self.count(len(leaf))
        rows = [self._input_gradient(logits, leaf, column) for column in self.directions.transpose(0, 1)]
        return torch.stack(rows, dim=1)

    def _input_gradient(self, logits: Tensor, leaf: Tensor, direction: Tensor) -> Tensor:
        gradient, scale = None, FLOAT16_SCALE if logits.dtype == torch.float16 else 1.0
        if logits.requires_grad:
            (gradient,) = torch.autograd.grad(
                logits, leaf, direction.to(logits) * scale, retain_graph=True, allow_unused=True
            )
        if gradient is None:
            raise ExplainError(
                "no gradient of the logits reaches the input: a part of the network runs in no_grad; "
                "choose a method that needs none there, as occlusion or grad-cam"
            )
        return single_or_better(gradient) / scale

    @contextmanager
    def as_called(self) -> Iterator[None]:
        """Hold the caller's autocast state, which an open recording switched off for its gradients."""
        enabled, dtype = self.autocast
        with torch.autocast(self.inputs.device.type, dtype=dtype, enabled=enabled):
            yield


def autocast_state(device: torch.device) -> tuple[bool, torch.dtype]:
    """Return whether autocast is on for `device`, and its dtype."""
    return torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
