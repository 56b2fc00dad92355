"""The gradients of many classes at once: one batched vector-Jacobian product over the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from voxcam.cam.memory.budget import is_out_of_memory
from voxcam.cam.tracing.heads import LinearHead, linear_head
from voxcam.cam.tracing.recording import FLOAT16_SCALE, Recording, all_finite, single_or_better
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHUNK_BYTES = 256 * 2**20
"""Gradients held at a time, unless the caller says how many classes; the head needs a few times that."""


def class_gradients(
    recording: Recording,
    classes: Tensor,
    chunk: int | None = None,
    heads: Mapping[str, LinearHead] | None = None,
) -> Iterator[tuple[slice, dict[str, Tensor]]]:
    """Yield the gradients of `classes`, a chunk at a time.

    Where nothing but global average pooling and one linear layer follow, they are read off its weights
    (`voxcam.cam.tracing.heads.linear_head`), and take no memory.

    Parameters
    ----------
    recording
        A forward pass that is still open.
    classes
        (B, K'): columns of the logits, each once or more; as `known_classes` returns them.
    chunk
        Classes differentiated together; by default as many as fit in `CHUNK_BYTES`.
    heads
        By layer, its linear head, where it has one; None to find out.

    Yields
    ------
    part
        Where in the K' classes the chunk lies.
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
    heads = linear_heads(recording) if heads is None else heads
    if heads.keys() == recording.outputs.keys():
        weights = {layer: head.gradients(recording, classes) for layer, head in heads.items()}
        yield slice(0, classes.shape[1]), weights
        return
    for start in range(0, classes.shape[1], step):
        part = slice(start, min(start + step, classes.shape[1]))
        yield part, gradients_along(recording, one_hot(classes[:, part], recording.logits.shape[1]))


def linear_heads(recording: Recording) -> dict[str, LinearHead]:
    """Return the linear heads of the layers that have one, each compared with the gradients of a class."""
    found = {layer: linear_head(recording, layer) for layer in recording.outputs}
    if not any(found.values()):
        return {}
    batch, count = recording.logits.shape
    first = torch.zeros(batch, 1, dtype=torch.long)
    along = gradients_along(recording, one_hot(first, count))
    tolerance = 1e-5 if recording.logits.dtype in (torch.float32, torch.float64) else 2e-2
    heads = {}
    for layer, head in found.items():
        if head is not None:
            off = (head.gradients(recording, first) - along[layer]).abs().max()
            if off <= tolerance * along[layer].abs().max():
                heads[layer] = head
    return heads


def known_classes(logits: Tensor, classes: Sequence[int] | Sequence[Sequence[int]] | Tensor | None) -> Tensor:
    """Return `classes` as (B, K') columns of the logits (B, K), all of them for None.

    Parameters
    ----------
    classes
        (K',), the same for every sample, or (B, K'), those of each sample.

    Raises
    ------
    ExplainError
        A class does not exist, or there is not one row of classes for every sample.
    """
    batch, count = logits.shape
    if classes is None:
        return torch.arange(count).expand(batch, count)
    try:
        asked = torch.as_tensor(classes).cpu()
    except (ValueError, TypeError) as error:
        raise ExplainError(
            f"expected classes as whole numbers, (K,) or one row of K for each of {batch} samples"
        ) from error
    if not asked.numel():
        raise ExplainError("expected at least one class, found none")
    if asked.is_floating_point() or asked.dtype == torch.bool or asked.ndim not in (1, 2):
        raise ExplainError(f"expected classes as whole numbers, (K,) or ({batch}, K), found {classes!r}")
    if asked.ndim == 2 and len(asked) != batch:
        raise ExplainError(f"expected classes for each of {batch} samples, found {len(asked)} rows")
    for index in asked.flatten().tolist():
        if not 0 <= index < count:
            raise ExplainError(f"class {index} does not exist; the network has {count}, 0 to {count - 1}")
    return asked.long().expand(batch, asked.shape[-1])


def one_hot(classes: Tensor, count: int) -> Tensor:
    """Return, for classes (B, K'), the directions (B, K', count) in which their logits grow."""
    return torch.nn.functional.one_hot(classes, count).float()


def gradients_along(
    recording: Recording, directions: Tensor, *, unused_is_zero: bool = False
) -> dict[str, Tensor]:
    """Return the gradients of sums of logits, by layer name: (B, k, C, *grid), in float32 or better.

    Parameters
    ----------
    directions
        (B, k, K): the weight of each logit in each of k sums.
    unused_is_zero
        Whether a layer that the logits do not depend on has gradients of 0, or is an error.

    Raises
    ------
    ExplainError
        The logits do not depend on a layer, or a gradient is not finite.
    """
    logits, scale = recording.logits, FLOAT16_SCALE if recording.logits.dtype == torch.float16 else 1.0
    # Row k asks for sum k of every sample at once: samples do not mix, so each gets its own gradient.
    asked = directions.to(logits).mul(scale).transpose(0, 1)
    gradients: dict[str, Tensor] = {}
    for layer, gradient in zip(recording.outputs, _products(recording, asked), strict=True):
        if gradient is None and unused_is_zero:
            gradient = recording.outputs[layer].new_zeros(len(asked), *recording.outputs[layer].shape)
        if gradient is None:
            raise ExplainError(
                f"no gradient of the logits reaches layer {layer!r}; choose a layer on the way to the classes"
            )
        if not all_finite(gradient):
            raise ExplainError(
                f"the gradients at layer {layer!r} hold NaN or infinity; run the network in float32, "
                "or choose a later layer"
            )
        full = single_or_better(recording.layouts[layer].maps(gradient)).transpose(0, 1)
        gradients[layer] = full if scale == 1 else full / scale
    return gradients


def _chunk_that_fits(recording: Recording) -> int:
    bytes_a_class = sum(output.numel() * output.element_size() for output in recording.outputs.values())
    return max(1, CHUNK_BYTES // bytes_a_class)


def _products(recording: Recording, asked: Tensor) -> Sequence[Tensor | None]:
    """Return asked (k, B, K) times the Jacobian of each layer: (k, B, ...), None where there is none."""
    logits, outputs = recording.logits, tuple(recording.outputs.values())
    if not logits.requires_grad:
        return [None] * len(outputs)
    try:
        return torch.autograd.grad(
            logits, outputs, asked, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # An operation without a vmap rule: one class after the other.
    rows = [torch.autograd.grad(logits, outputs, row, retain_graph=True, allow_unused=True) for row in asked]
    return [None if column[0] is None else torch.stack(column) for column in zip(*rows, strict=True)]
