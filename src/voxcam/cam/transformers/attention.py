"""The attention of a transformer, met where it is computed: read, or put in its place and differentiated.

No hook sees the probabilities of torch's own attention, and no module holds those of functional code. A
`TorchFunctionMode` meets both: it is of one thread, and leaves nothing in the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Meet = Callable[[Tensor], Tensor]
"""Takes the probabilities (B, heads, queries, keys) of one attention; what it returns takes their place."""

INSTEAD = "choose grad-cam, at a layer that rank_layers names"


class Meeting(TorchFunctionMode):
    """While it is entered, shows `meet` every attention that this thread computes, in its order.

    Seen are softmax over the last of four axes, and torch's two functions that keep the probabilities to
    themselves, `scaled_dot_product_attention` and `multi_head_attention_forward`. Those are computed in
    the open, so that the output stems from what `meet` returned; attention dropout is not applied.
    """

    def __init__(self, meet: Meet) -> None:
        super().__init__()
        self.meet = meet

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Inside this function the mode is off: what these call in turn is not met again.
        if func in _SOFTMAX:
            return _softmax(self.meet, func, args, kwargs or {})
        if func is functional.scaled_dot_product_attention:
            return _dot_product(self.meet, args, kwargs or {})
        if func is functional.multi_head_attention_forward:
            return _multi_head(self.meet, args, kwargs or {})
        return func(*args, **(kwargs or {}))


_SOFTMAX = (torch.softmax, Tensor.softmax, functional.softmax, torch.special.softmax)


def _softmax(meet: Meet, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Compute a softmax, and meet it if it is over the last axis of (B, heads, queries, keys).

    Of one sample, (heads, tokens, tokens) is met too: some networks join samples and heads.
    """
    found: Tensor = func(*args, **kwargs)
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if axis not in (-1, found.ndim - 1):
        return found
    if found.ndim == 4:
        return meet(found)
    if found.ndim == 3 and found.shape[-1] == found.shape[-2]:
        return meet(found[None])[0]
    return found


def _dot_product(meet: Meet, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Compute what `scaled_dot_product_attention` does, in the open."""
    given: dict[str, Any] = dict(zip(_DOT_PRODUCT, args, strict=False)) | kwargs
    query, key, value, mask = given["query"], given["key"], given["value"], given.get("attn_mask")
    if given.get("enable_gqa"):
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scale = query.shape[-1] ** -0.5 if given.get("scale") is None else given["scale"]
    scores = query @ key.transpose(-2, -1) * scale
    if given.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    found = scores.softmax(-1).to(value.dtype)
    mixed: Tensor = (meet(found) if found.ndim == 4 else found) @ value
    return mixed


def _multi_head(meet: Meet, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    """Compute what `multi_head_attention_forward` does, with an output that stems from its probabilities."""
    bound = _MULTI_HEAD.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    value, embedded, heads = given["value"], given["embed_dim_to_check"], given["num_heads"]
    if value.ndim != 3 or given["add_zero_attn"] or given["bias_k"] is not None:
        return functional.multi_head_attention_forward(**given)  # no batch, or keys that are no tokens
    asked = given | {"need_weights": True, "average_attn_weights": False}
    found: Any = functional.multi_head_attention_forward(**asked)[1]
    probabilities = meet(found)  # (B, heads, queries, keys), of value (keys, B, C)
    weight = (
        given["v_proj_weight"] if given["use_separate_proj_weight"] else given["in_proj_weight"][-embedded:]
    )
    bias = None if given["in_proj_bias"] is None else given["in_proj_bias"][-embedded:]
    values = functional.linear(value, weight, bias)
    values = values.reshape(*values.shape[:2], heads, -1).permute(1, 2, 0, 3)
    mixed = (probabilities @ values).permute(2, 0, 1, 3).flatten(2)
    output = functional.linear(mixed, given["out_proj_weight"], given["out_proj_bias"])
    if not given["need_weights"]:
        return output, None
    return output, probabilities.mean(1) if given["average_attn_weights"] else probabilities


_MULTI_HEAD = inspect.signature(functional.multi_head_attention_forward)

_DOT_PRODUCT = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
