"""Where a network attends from token to token: how many tokens, on which grid, in which blocks."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxcam.cam.tracing.addresses import refuse_torchscript
from voxcam.cam.tracing.layouts import token_grid
from voxcam.cam.tracing.recording import parts_of
from voxcam.cam.transformers.attention import INSTEAD, Meeting
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Attended:
    """Where a network attends from token to token.

    Attributes
    ----------
    tokens
        How many there are: those without a place, and then those of the grid.
    grid
        Units along each of the input's spatial axes.
    times
        How many attentions there are.
    blocks
        The transformer's blocks: of each attention, the outermost module that holds it and no other, and
        puts out all tokens. They stand side by side in one parent; where they do not, there are none.
    """

    tokens: int
    grid: tuple[int, ...]
    times: int
    blocks: tuple[str, ...]

    def is_one(self, probabilities: Tensor) -> bool:
        """Whether these are of one of the attentions counted."""
        return tuple(probabilities.shape[-2:]) == (self.tokens, self.tokens)

    def on_grid(self, tokens: Tensor) -> Tensor:
        """Return what belongs to places of the grid, (..., *grid), of values (..., tokens)."""
        places = tokens[..., self.tokens - prod(self.grid) :]
        return places.reshape(*places.shape[:-1], *self.grid)


def find_attention(network: nn.Module, sample: Tensor, method: str) -> Attended:
    """Run `network` on one sample (1, C, *space), without a graph, and return where it attends.

    Raises
    ------
    ExplainError
        `method` has nothing to work on: there is no attention among the tokens of one grid.
    """
    refuse_torchscript(network)
    watch = _Watch()
    with torch.no_grad(), ExitStack() as hooks, Meeting(watch.meet):
        for name, module in network.named_modules():
            hooks.callback(module.register_forward_pre_hook(watch.entering(name)).remove)
            hooks.callback(module.register_forward_hook(watch.leaving(name)).remove)
        network(sample)
    tokens, grid = _one_grid(network, watch.shapes, tuple(sample.shape[2:]), method)
    stacks = [stack for stack, shape in zip(watch.stacks, watch.shapes, strict=True) if shape[-1] == tokens]
    return Attended(tokens, grid, len(stacks), _blocks(stacks, watch.put_out, tokens))


def tokens_in(output: object, tokens: int) -> tuple[Tensor, int] | None:
    """Return what holds all tokens in what a module put out for one sample, and the axis they are on."""
    for part in parts_of(output).values():
        if isinstance(part, Tensor) and part.ndim == 3:
            for axis in (1, 0):
                if part.shape[axis] == tokens and part.shape[1 - axis] == 1:
                    return part, axis
    return None


@dataclass
class _Watch:
    """What is noted of a pass: the shape of every attention, the modules it ran in, who puts out tokens."""

    shapes: list[tuple[int, ...]] = field(default_factory=list)
    stacks: list[tuple[str, ...]] = field(default_factory=list)
    put_out: dict[str, set[int]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    thread: int = field(default_factory=threading.get_ident)

    def meet(self, probabilities: Tensor) -> Tensor:
        self.shapes.append(tuple(probabilities.shape))
        self.stacks.append(tuple(self.running))
        return probabilities

    def entering(self, name: str) -> Callable[[nn.Module, object], None]:
        def hook(_module: nn.Module, _args: object) -> None:
            if threading.get_ident() == self.thread:
                self.running.append(name)

        return hook

    def leaving(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _args: object, output: object) -> None:
            if threading.get_ident() == self.thread:
                self.running.pop()
                lengths = {size for part in parts_of(output).values() for size in _lengths(part)}
                self.put_out[name] = lengths

        return hook


def _lengths(part: object) -> tuple[int, ...]:
    """Return the axes that may count tokens, of what was put out for one sample."""
    if not isinstance(part, Tensor) or part.ndim != 3:
        return ()
    return tuple(part.shape[axis] for axis in (0, 1) if part.shape[1 - axis] == 1)


def _one_grid(
    network: nn.Module, shapes: Sequence[tuple[int, ...]], space: tuple[int, ...], method: str
) -> tuple[int, tuple[int, ...]]:
    """Return how many tokens attend to one another, and their grid, or raise an `ExplainError`."""
    if not shapes:
        raise ExplainError(
            f"the network has no attention from token to token, which {method} reads: {INSTEAD}"
        )
    parts, windows = max((shape[0], shape[-1]) for shape in shapes)
    if parts > 1:
        raise ExplainError(
            f"the network attends within {parts} windows of {windows} tokens, over which {method} is not "
            f"defined: {INSTEAD}"
        )
    # What comes after the last attention from token to token may be a pooling with queries of its own.
    last = max((at for at, shape in enumerate(shapes) if shape[-1] == shape[-2]), default=len(shapes) - 1)
    pairs = dict.fromkeys(shape[-2:] for shape in shapes[: last + 1])
    ((queries, keys), *others) = pairs
    if others or queries != keys:
        found = ", ".join(f"{first} to {second}" for first, second in pairs)
        raise ExplainError(
            f"{method} needs one set of tokens that attend to one another in every block, but the network "
            f"attends from {found} tokens: {INSTEAD}"
        )
    grid = token_grid(network, keys, space)
    if grid is None:
        raise ExplainError(
            f"the network attends among {keys} tokens, which fit no grid of patches over {space}: {INSTEAD}"
        )
    return keys, grid


def _blocks(stacks: Sequence[tuple[str, ...]], put_out: dict[str, set[int]], tokens: int) -> tuple[str, ...]:
    """Return the blocks of a transformer, told by the modules that ran round each attention."""
    blocks = []
    for at, stack in enumerate(stacks):
        elsewhere = {name for other in (*stacks[:at], *stacks[at + 1 :]) for name in other}
        own = (name for name in stack if name not in elsewhere and tokens in put_out.get(name, ()))
        blocks += [block for block in [next(own, None)] if block is not None]
    parents = {block.rpartition(".")[0] for block in blocks}
    return tuple(blocks) if len(blocks) == len(stacks) and len(parents) == 1 else ()
