"""Methods for transformers, on the grid of their tokens: what attends to what, and what that does to a class.

Each is a function of an `Inquiry` and returns maps (B, K', *token grid), raw and never negative. Samples run
one by one, for attention takes memory with the square of the tokens. The patches lie edge to edge, so that
the half-pixel rule of `voxcam.cam.upsample` places them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.cam.tracing.gradients import CHUNK_BYTES
from voxcam.cam.tracing.recording import FLOAT16_SCALE, all_finite, single_or_better
from voxcam.cam.transformers.attended import find_attention
from voxcam.cam.transformers.blocks import EveryAttention, LastAttention, passed, products, scores_of_blocks
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.asking.passes import Extent
    from voxcam.cam.transformers.attended import Attended
    from voxcam.cam.transformers.blocks import Show

_FUSE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda heads: heads.mean(0),
    "max": lambda heads: heads.amax(0),
}

_SHOW: Mapping[str, Show] = {
    "mean": lambda tokens, axis: tokens.mean(axis, keepdim=True).expand_as(tokens),
    "tokens": lambda tokens, _: tokens,
}


def attention_rollout(inquiry: Inquiry, *, fuse: str = "mean") -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020): what share of the tokens read stems from each patch.

    Of each block the heads' attention is fused and averaged with the identity, which stands for the skip
    connection; its rows are made to add up to 1; and the blocks are multiplied, the first on the right. The
    map is the class token's row of the product. Where the head reads other tokens it is the mean of their
    rows; which it reads is measured, by the gradient at the last attention. Between 0 and 1: together with
    the tokens that have no place, the shares add up to 1.

    It knows nothing of the classes: each gets the same map. Nor does it know what values, perceptrons and
    head make of what attention brings them.

    Parameters
    ----------
    fuse
        Of the heads: ``"mean"``, as in the paper, or ``"max"``.

    Raises
    ------
    ExplainError
        The network does not attend among one set of tokens, or `fuse` is unknown.
    """
    _require_one_of("attention-rollout", "fuse", fuse, _FUSE)
    attended = _where_it_attends(inquiry, "attention-rollout")
    rows = [_rolled_out(inquiry, attended, sample, _FUSE[fuse]) for sample in range(len(inquiry.inputs))]
    maps = attended.on_grid(torch.stack(rows))
    return torch.stack([maps] * inquiry.classes.shape[1], dim=1)


def legrad(inquiry: Inquiry, *, score: str = "mean") -> Tensor:
    """LeGrad (Bousselham et al. 2024): how far more attention to a patch would raise a class, block by block.

    mean_l mean_heads mean_queries ReLU(d s_l / d A_l), of which the columns of the patches are kept. A_l are
    the probabilities of block l, and s_l is what the network's head says of that block's tokens when they are
    put in place of the last block's. Only the way through block l itself counts. Never negative, in logits
    per unit of probability; its last step, to scale each map to 0..1, is left out.

    Parameters
    ----------
    score
        What the head is shown of block l. ``"mean"``: the mean token in every place, as the authors' code has
        it. ``"tokens"``: the tokens as they are; then s of the last block is the logit itself. ``"logits"``
        is another method: there are no scores of blocks, and the logit is differentiated at every A_l, by
        all ways. That needs no blocks, but as much memory as a step of training.

    Raises
    ------
    ExplainError
        The network does not attend among one set of tokens; its head cannot be shown the tokens of its
        blocks; `score` is unknown; or a gradient is not finite.
    """
    _require_one_of("legrad", "score", score, (*_SHOW, "logits"))
    attended = _where_it_attends(inquiry, "legrad")
    rows = [
        _by_blocks(inquiry, attended, sample, _SHOW[score])
        if score in _SHOW
        else _by_logits(inquiry, attended, sample)
        for sample in range(len(inquiry.inputs))
    ]
    maps = attended.on_grid(torch.stack(rows))
    if not all_finite(maps):
        raise ExplainError("legrad: the gradients hold NaN or infinity; run the network in float32")
    return maps


def passes_of_attention(extent: Extent, **_: object) -> int:
    """Return one pass to see where the network attends, and one a sample."""
    return 1 + extent.samples


def _require_one_of(method: str, option: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ExplainError(f"{method}: expected {option} as one of {', '.join(known)}, found {value!r}")


def _where_it_attends(inquiry: Inquiry, method: str) -> Attended:
    with inquiry.as_called():
        attended = find_attention(inquiry.network, inquiry.inputs[:1], method)
    inquiry.count(1)
    return attended


def _rolled_out(
    inquiry: Inquiry, attended: Attended, sample: int, fuse: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the shares (tokens,) of the tokens that the head reads, of one sample."""
    notes, logits = passed(inquiry, sample, lambda: LastAttention(attended, fuse))
    rolled = identity = torch.eye(attended.tokens).to(notes.fused[0])
    with torch.autocast(rolled.device.type, enabled=False):
        for fused in notes.fused:
            halved = (fused + identity) / 2
            rolled = (halved / halved.sum(-1, keepdim=True)) @ rolled
    weights = torch.randn(logits.shape, generator=inquiry.generator()).to(logits)
    (gradient,) = products(logits, notes.starts, weights[None])
    read = gradient.abs().amax((0, 1, 2, 4)) > 0
    if not bool(read.any()):
        raise ExplainError(
            "attention-rollout: the gradient of the logits at the last attention is zero, so it is not known "
            "which tokens the head reads; is an activation after the logits saturated?"
        )
    return rolled[read].mean(0)


def _by_blocks(inquiry: Inquiry, attended: Attended, sample: int, show: Show) -> Tensor:
    """Return the relevance (K', tokens) of one sample by the scores of its blocks.

    The head is differentiated once for all of them, and then each block by itself.
    """
    notes, logits = scores_of_blocks(inquiry, attended, sample, show)
    assert notes.joined is not None
    relevance = []
    for directions, scale in _chunks(inquiry, sample, logits, notes.starts[:1]):
        rows = directions[:, None].repeat(1, len(logits), 1)
        rows[:, -1] = 0  # the last block's own tokens, shown to compare the logits
        (at_tokens,) = products(logits, [notes.joined], rows)
        parts = torch.split(at_tokens, 1, dim=1 + notes.batch_axis)[:-1]
        gradients = (
            products(shown, [start], part)[0]
            for shown, start, part in zip(notes.shown, notes.starts, parts, strict=True)
        )
        relevance.append(_relevance(gradients) / scale)
    return torch.cat(relevance)


def _by_logits(inquiry: Inquiry, attended: Attended, sample: int) -> Tensor:
    """Return the relevance (K', tokens) of one sample by its logits, at every attention together."""
    notes, logits = passed(inquiry, sample, lambda: EveryAttention(attended))
    relevance = []
    for directions, scale in _chunks(inquiry, sample, logits, notes.starts):
        relevance.append(_relevance(products(logits, notes.starts, directions[:, None])) / scale)
    return torch.cat(relevance)


def _chunks(
    inquiry: Inquiry, sample: int, logits: Tensor, starts: Sequence[Tensor]
) -> Iterator[tuple[Tensor, float]]:
    """Yield directions (k, K) of as many classes as fit in memory at `starts`, and the factor they hold."""
    scale = FLOAT16_SCALE if logits.dtype == torch.float16 else 1.0
    bytes_a_class = sum(start.numel() * start.element_size() for start in starts)
    for some in torch.split(inquiry.directions[sample].to(logits), max(1, CHUNK_BYTES // bytes_a_class)):
        yield some * scale, scale


def _relevance(gradients: Iterable[Tensor]) -> Tensor:
    """Return (k, keys) of gradients (k, 1, heads, queries, keys) at each attention, holding one at a time."""
    return torch.stack([single_or_better(each).relu().mean((1, 2, 3)) for each in gradients]).mean(0)
