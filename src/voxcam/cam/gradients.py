"""The gradients of many classes at once: one batched vector-Jacobian product over the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxcam.cam.recording import Recording, all_finite, single_or_better
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK_BYTES = 256 * 2**20
"""Gradients held at a time, unless the caller says how many classes; the head needs a few times that."""

FLOAT16_SCALE = 256.0
"""Pooling divides a gradient by the number of units: in float16 it would sink below what it can hold."""


def class_gradients(
    recording: Recording, classes: Sequence[int], chunk: int | None = None
) -> Iterator[tuple[slice, dict[str, Tensor]]]:
    """Yield the gradients of `classes`, a chunk at a time.

    Parameters
    ----------
    recording
        A forward pass that is still open.
    classes
        Columns of the logits, each once or more.
    chunk
        Classes differentiated together; by default as many as fit in `CHUNK_BYTES`.

    Yields
    ------
    part
        Where in `classes` the chunk lies.
    gradients
        By layer name, (B, len(part), C, *grid): d logit / d activation, in float32 or better.

    Raises
    ------
    ExplainError
        The logits do not depend on a layer, or a gradient is not finite.
    """
    step = _chunk_that_fits(recording) if chunk is None else chunk
    if step < 1:
        raise ExplainError(f"expected a chunk of 1 class or more, found {step}")
    for start in range(0, len(classes), step):
        part = slice(start, min(start + step, len(classes)))
        yield part, _gradients(recording, classes[part])


def known_classes(recording: Recording, classes: Sequence[int] | None) -> tuple[int, ...]:
    """Return `classes`, or all of them for None; raise an `ExplainError` if one does not exist."""
    count = recording.logits.shape[1]
    if classes is None:
        return tuple(range(count))
    if not len(classes):
        raise ExplainError("expected at least one class, found none")
    for index in classes:
        if not 0 <= index < count:
            raise ExplainError(f"class {index} does not exist; the network has {count}, 0 to {count - 1}")
    return tuple(int(index) for index in classes)


def _chunk_that_fits(recording: Recording) -> int:
    bytes_a_class = sum(output.numel() * output.element_size() for output in recording.outputs.values())
    return max(1, CHUNK_BYTES // bytes_a_class)


def _gradients(recording: Recording, classes: Sequence[int]) -> dict[str, Tensor]:
    logits, scale = recording.logits, FLOAT16_SCALE if recording.logits.dtype == torch.float16 else 1.0
    # Row k asks for logit k of every sample at once: samples do not mix, so each gets its own gradient.
    asked = logits.new_zeros((len(classes), *logits.shape))
    asked[torch.arange(len(classes)), :, list(classes)] = scale
    gradients: dict[str, Tensor] = {}
    for layer, gradient in zip(recording.outputs, _products(recording, asked), strict=True):
        if gradient is None:
            raise ExplainError(
                f"the logits do not depend on layer {layer!r}; choose a layer on the way to the classes"
            )
        if not all_finite(gradient):
            raise ExplainError(
                f"the gradients at layer {layer!r} hold NaN or infinity; run the network in float32, "
                "or choose a later layer"
            )
        full = single_or_better(gradient).transpose(0, 1)
        gradients[layer] = full if scale == 1 else full / scale
    return gradients


def _products(recording: Recording, asked: Tensor) -> Sequence[Tensor | None]:
    """Return asked (k, B, K) times the Jacobian of each layer: (k, B, C, *grid), None where there is none."""
    logits, outputs = recording.logits, tuple(recording.outputs.values())
    if not logits.requires_grad:
        return [None] * len(outputs)
    try:
        return torch.autograd.grad(
            logits, outputs, asked, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
    except RuntimeError:
        # An operation without a vmap rule, or too little memory: one class after the other.
        rows = [
            torch.autograd.grad(logits, outputs, row, retain_graph=True, allow_unused=True) for row in asked
        ]
    return [None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True)]
