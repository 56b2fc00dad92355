"""Where the feature maps lie in what a layer puts out: channels first, channels last, or tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, log, prod
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_PREFIX_TOKENS = 8
"""Class, distillation and register tokens that may stand before those of the grid."""

_ON_THE_SECOND_AXIS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)


@dataclass(frozen=True)
class Layout:
    """How to find the feature maps (B, C, *grid) in a layer's output.

    Attributes
    ----------
    order
        ``"channels first"``: (B, C, *grid); ``"channels last"``: (B, *grid, C);
        ``"tokens"``: (B, prefix + places of the grid, C); ``"tokens, batch second"``: (tokens, B, C).
    grid
        Units along each of the input's spatial axes.
    channels
        How many feature maps.
    prefix
        Tokens without a place (class, register), before the others.
    """

    order: Literal["channels first", "channels last", "tokens", "tokens, batch second"]
    grid: tuple[int, ...]
    channels: int
    prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """Return the feature maps (..., C, *grid) in `output`, whose leading axes may be any."""
        if self.order == "channels first":
            return output
        if self.order == "channels last":
            return output.movedim(-1, -1 - len(self.grid))
        tokens = output if self.order == "tokens" else output.transpose(-2, -3)
        places = tokens[..., self.prefix :, :].transpose(-1, -2)
        return places.reshape(*places.shape[:-1], *self.grid)

    def replaced(self, output: Tensor, maps: Tensor) -> Tensor:
        """Return `output` (one batch) with its feature maps replaced by `maps` (..., B, C, *grid).

        It lies in memory as `output` does: a step that follows may view it in another shape.
        """
        if self.order == "channels first":
            return _in_memory_as(output, maps)
        if self.order == "channels last":
            return _in_memory_as(output, maps.movedim(-1 - len(self.grid), -1))
        tokens = maps.flatten(-len(self.grid)).transpose(-1, -2)
        recorded = output if self.order == "tokens" else output.transpose(-2, -3)
        prefix = recorded[..., : self.prefix, :].expand(*tokens.shape[:-2], self.prefix, self.channels)
        whole = torch.cat([prefix, tokens], dim=-2)
        return _in_memory_as(output, whole if self.order == "tokens" else whole.transpose(-2, -3))


def _in_memory_as(other: Tensor, tensor: Tensor) -> Tensor:
    """Return `tensor`, which may have more axes before, with its last ones in the memory order of `other`."""
    lead = tensor.ndim - other.ndim
    slowest_first = sorted(range(other.ndim), key=other.stride, reverse=True)
    order = [*range(lead), *(lead + axis for axis in slowest_first)]
    back = sorted(range(tensor.ndim), key=order.__getitem__)
    return tensor.permute(order).contiguous().permute(back)


def layout_of(network: nn.Module, module: nn.Module, output: Tensor, inputs: Tensor) -> Layout | str:
    """Return how `output` of `module` holds feature maps for `inputs` (B, C, *space), or why it does not."""
    shape, batch, space = tuple(output.shape), inputs.shape[0], tuple(inputs.shape[2:])
    if len(shape) == 3 and len(space) > 1 and shape[0] != batch == shape[1] and _puts_batch_second(network):
        return _layout_of_tokens(network, output, space, "tokens, batch second")
    if len(shape) < 2 or shape[0] != batch:
        return _why_not_the_batch(shape, batch)
    if not output.is_floating_point():
        return f"puts out {output.dtype}, which has no gradient"
    if len(shape) == 3 and len(space) > 1:
        return _layout_of_tokens(network, output, space, "tokens")
    if len(shape) != len(space) + 2:
        return f"puts out shape {shape}, which has no grid of {len(space)} spatial axes"
    if _is_attention(output):
        return f"puts out attention {shape}, from token to token, which lies on no grid"
    if _is_channels_last(network, module, shape, space):
        return Layout("channels last", shape[1:-1], shape[-1])
    return Layout("channels first", shape[2:], shape[1])


def token_grid(network: nn.Module, tokens: int, space: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the grid of patches of `space` that the last of `tokens` stand for, or None if none fits.

    The patches are those the network cuts: by a convolution or an unfolding as wide as its stride, or by
    einops. Of several cuts it is the one that leaves the fewest tokens over. Where no cut is seen, patches
    are taken to be cubic and to fill the input, with one token or none before them: no more is guessed.
    """
    strides = set(_patches(network, len(space)))
    floor = {tuple(size // step for size, step in zip(space, each, strict=True)) for each in strides}
    padded = {tuple(ceil(size / step) for size, step in zip(space, each, strict=True)) for each in strides}
    cubic = {
        tuple(size // step for size in space)
        for step in range(2, min(space) + 1)
        if all(size % step == 0 for size in space)
    }
    for grids, most in ((floor, MOST_PREFIX_TOKENS), (padded, MOST_PREFIX_TOKENS), (cubic, 1)):
        fitting = [grid for grid in grids if prod(grid) > 1 and 0 <= tokens - prod(grid) <= most]
        if fitting:
            return max(fitting, key=prod)
    return None


def _layout_of_tokens(
    network: nn.Module,
    output: Tensor,
    space: tuple[int, ...],
    order: Literal["tokens", "tokens, batch second"],
) -> Layout | str:
    tokens = output.shape[1 if order == "tokens" else 0]
    grid = token_grid(network, tokens, space)
    if grid is None:
        return f"puts out {tokens} tokens, which fit no grid of patches over {space}"
    return Layout(order, grid, output.shape[2], tokens - prod(grid))


def _puts_batch_second(network: nn.Module) -> bool:
    """Whether the network holds torch's own attention in its default form, (tokens, B, C)."""
    return any(isinstance(each, nn.MultiheadAttention) and not each.batch_first for each in network.modules())


def _why_not_the_batch(shape: tuple[int, ...], batch: int) -> str:
    found = shape[0] if shape else 0
    text = f"puts out a batch of {found} for {batch} inputs"
    if len(shape) == 3 and found > batch and found % batch == 0:
        text += ": windows, or other parts of an image, without one grid; choose the block around it"
    return text


def _is_attention(output: Tensor) -> bool:
    """Whether `output` is (B, heads, tokens, tokens) of probabilities: square, and rows that sum to one."""
    if output.ndim != 4 or output.shape[-1] != output.shape[-2] or type(output) is not Tensor:
        return False  # a subclass may be a stand-in, without values to look at
    rows = output.detach()[0, 0].float()
    return len(rows) > 1 and bool((rows >= 0).all() & ((rows.sum(-1) - 1).abs() < 0.02).all())


def _is_channels_last(
    network: nn.Module, module: nn.Module, shape: tuple[int, ...], space: tuple[int, ...]
) -> bool:
    """Whether the channels of `shape` are on the last axis: told by the steps inside a layer, or around it.

    Linear steps and `LayerNorm` work on the last axis. A layer whose steps take or give as many values as
    there are on the last axis, and not as many as on the second, has its channels last. If both sizes occur,
    that grid is right which divides the input more evenly; if both do, the layer's outermost steps decide.
    """
    if isinstance(module, nn.Linear):
        return True
    if type(module) is nn.LayerNorm:  # a subclass may turn its axes around
        return len(module.normalized_shape) == 1
    if isinstance(module, _ON_THE_SECOND_AXIS):
        return False
    inside = any(module.children())
    around = module if inside else _holder_of(network, module)
    sizes = set(_sizes_on_the_last_axis(around.modules()))
    last, second = shape[-1] in sizes, shape[1] in sizes
    if not last or (inside and not second):
        return last
    as_last, as_second = _unevenness(space, shape[1:-1]), _unevenness(space, shape[2:])
    if abs(as_last - as_second) > 1e-6:
        return as_last < as_second
    return any(_sizes_on_the_last_axis(around.children()))


def _holder_of(network: nn.Module, module: nn.Module) -> nn.Module:
    return next((each for each in network.modules() if module in each.children()), module)


def _sizes_on_the_last_axis(modules: Iterable[nn.Module]) -> Iterator[int]:
    for module in modules:
        if isinstance(module, nn.Linear):
            yield from (module.in_features, module.out_features)
        elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
            yield module.normalized_shape[0]


def _unevenness(space: tuple[int, ...], grid: tuple[int, ...]) -> float:
    """Return the logarithm of the largest stride along an axis over the smallest."""
    strides = [log(size / units) for size, units in zip(space, grid, strict=True)]
    return max(strides) - min(strides)


def _patches(network: nn.Module, rank: int) -> Iterator[tuple[int, ...]]:
    """Yield the sizes of the patches that steps of the network cut side by side."""
    for module in network.modules():
        patch: tuple[int, ...] = ()
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.kernel_size == module.stride:
            patch = module.stride
        elif isinstance(module, nn.Unfold) and module.kernel_size == module.stride:
            size: Any = module.stride
            patch = (size, size) if isinstance(size, int) else tuple(size)
        elif isinstance(pattern := getattr(module, "pattern", None), str):
            patch = _patch_of_einops(pattern, getattr(module, "axes_lengths", {}))
        if len(patch) == rank and max(patch) > 1:
            yield patch


def _patch_of_einops(pattern: str, lengths: dict[str, int]) -> tuple[int, ...]:
    """Return (2, 4) for ``b c (h p) (w q) -> b (h w) (p q c)`` with p = 2, q = 4; () for other patterns."""
    before, _, after = pattern.partition("->")
    axes = [group.split() for group in re.findall(r"\(([^)]*)\)", before)]
    places = [[name for name in axis if name not in lengths] for axis in axes]
    if any(len(names) != 1 for names in places):
        return ()
    order = " ".join(names[0] for names in places)
    if f"({order})" not in after:
        return ()
    return tuple(prod(lengths[name] for name in axis if name in lengths) for axis in axes)
