"""One sample through a transformer, with a graph that starts at its attention and not before."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar, final

import torch
from torch import Tensor, nn

from voxcam.cam.memory.budget import is_out_of_memory
from voxcam.cam.tracing.recording import call_network, logits_in, single_or_better, with_part
from voxcam.cam.transformers.attended import tokens_in
from voxcam.cam.transformers.attention import Meeting
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.transformers.attended import Attended

Show = Callable[[Tensor, int], Tensor]
"""Makes, of a block's tokens and the axis they are on, what the head is shown in their place."""


class Notes(ABC):
    """What is noted of one pass of one sample.

    Attributes
    ----------
    starts
        Attentions where a graph starts or passes, each (1, heads, queries, keys), in order.
    answers
        How many rows of logits the pass gives.
    """

    def __init__(self, attended: Attended) -> None:
        self.attended = attended
        self.starts: list[Tensor] = []
        self.answers = 1

    def meet(self, probabilities: Tensor) -> Tensor:
        """Take the probabilities of one attention, and return what takes their place."""
        return self._noted(probabilities) if self.attended.is_one(probabilities) else probabilities

    def hooks(self) -> Mapping[str, Callable[[nn.Module, object, object], object]]:
        """Return the hooks to hang, by module."""
        return {}

    @abstractmethod
    def _noted(self, probabilities: Tensor) -> Tensor: ...


SomeNotes = TypeVar("SomeNotes", bound=Notes)


def passed(inquiry: Inquiry, sample: int, start: Callable[[], SomeNotes]) -> tuple[SomeNotes, Tensor]:
    """Run the network on one sample; return the notes of it, and the logits with their graph.

    A network may run its blocks in its own no_grad, at whose end grad is off again: then it is run once
    more with grad on from the start.
    """
    network = inquiry.network
    for grad in (False, True):
        notes = start()
        with torch.set_grad_enabled(grad), inquiry.as_called(), ExitStack() as hooks, Meeting(notes.meet):
            for name, hook in notes.hooks().items():
                hooks.callback(network.get_submodule(name).register_forward_hook(hook).remove)
            output = call_network(network, inquiry.inputs[sample : sample + 1])
            logits = logits_in(output, notes.answers)
        if logits.requires_grad:
            inquiry.count(1)
            return notes, logits
    raise ExplainError(
        "no gradient of the logits reaches the attention; choose a method that needs none, as occlusion"
    )


@final
class LastAttention(Notes):
    """Notes all attention, without a graph; at the last the graph starts, and `starts` holds that one.

    Attributes
    ----------
    fused
        Of each attention, what `fuse` made of its probabilities (heads, queries, keys).
    """

    def __init__(self, attended: Attended, fuse: Callable[[Tensor], Tensor]) -> None:
        super().__init__(attended)
        self._fuse = fuse
        self.fused: list[Tensor] = []

    def _noted(self, probabilities: Tensor) -> Tensor:
        self.fused.append(self._fuse(single_or_better(probabilities.detach())[0]))
        if len(self.fused) < self.attended.times:
            return probabilities
        start, handed_on = _start_of_graph(probabilities)
        self.starts.append(start)
        return handed_on


@final
class EveryAttention(Notes):
    """Notes all attention; the graph starts at the first and goes through all others."""

    def _noted(self, probabilities: Tensor) -> Tensor:
        if not self.starts:
            start, handed_on = _start_of_graph(probabilities)
        else:
            start, handed_on = (noted := probabilities.clone()), noted.clone()
        self.starts.append(start)
        return handed_on


@final
class EachBlock(Notes):
    """Shows the head the tokens of every block, each with a graph back to that block's attention alone.

    What a block puts out goes on without its graph. In place of what the last one puts out goes a batch:
    what is shown of each block, and at its end the last block's own tokens, whose logits must be the
    network's. So the trunk runs once, and so does the head.

    Attributes
    ----------
    shown
        What the head is shown of each block, where the block's graph ends.
    joined
        Those together, where the head's graph starts.
    batch_axis
        Of `shown` and `joined`: 0, or 1 where tokens come first.
    """

    def __init__(self, attended: Attended, show: Show) -> None:
        super().__init__(attended)
        self.answers = len(attended.blocks) + 1
        self.shown: list[Tensor] = []
        self.joined: Tensor | None = None
        self.batch_axis = 0
        self._show, self._thread = show, threading.get_ident()

    def hooks(self) -> Mapping[str, Callable[[nn.Module, object, object], object]]:
        """Return one hook for every block, at its end."""
        return dict.fromkeys(self.attended.blocks, self._end_of_block)

    def _noted(self, probabilities: Tensor) -> Tensor:
        start, handed_on = _start_of_graph(probabilities)
        self.starts.append(start)
        return handed_on

    def _end_of_block(self, _module: nn.Module, _args: object, output: object) -> object:
        found = tokens_in(output, self.attended.tokens)
        if threading.get_ident() != self._thread or found is None:
            return output
        tokens, token_axis = found
        self.batch_axis = 1 - token_axis
        self.shown.append(self._show(tokens, token_axis))
        torch.set_grad_enabled(False)
        if len(self.shown) < len(self.attended.blocks):
            return with_part(output, tokens, tokens.detach())
        if len({each.shape for each in self.shown}) > 1:
            raise ExplainError(_NO_SCORES)
        self.joined, handed_on = _start_of_graph(torch.cat([*self.shown, tokens], dim=self.batch_axis))
        return with_part(output, tokens, handed_on)


def scores_of_blocks(
    inquiry: Inquiry, attended: Attended, sample: int, show: Show
) -> tuple[EachBlock, Tensor]:
    """Return the notes of a pass, and the logits (blocks + 1, K) of what was shown of each block.

    Raises
    ------
    ExplainError
        The network has no blocks, or what follows the last of them does not take their tokens.
    """
    if not attended.blocks:
        raise ExplainError(_NO_SCORES)
    taken = [EachBlock(attended, show)]  # kept here too, to see how far a pass came that fails

    def start() -> EachBlock:
        taken.append(EachBlock(attended, show))
        return taken[-1]

    try:
        notes, logits = passed(inquiry, sample, start)
    except (RuntimeError, ExplainError) as error:
        if is_out_of_memory(error) or taken[-1].joined is None:
            raise
        raise ExplainError(_NO_SCORES) from error
    own, expected = single_or_better(logits.detach()[-1]), inquiry.all_logits[sample]
    tolerance = 1e-3 if logits.dtype in (torch.float32, torch.float64) else 0.2
    if bool((own - expected.to(own)).abs().max() > tolerance * expected.abs().max()):
        raise ExplainError(_NO_SCORES)
    return notes, logits


def products(outputs: Tensor, starts: Sequence[Tensor], rows: Tensor) -> list[Tensor]:
    """Return rows (k, *shape of `outputs`) times the Jacobian at each of `starts`: (k, *its shape)."""
    differentiated = partial(
        torch.autograd.grad, outputs, tuple(starts), retain_graph=True, materialize_grads=True
    )
    with torch.autocast(outputs.device.type, enabled=False):
        try:
            return list(differentiated(rows, is_grads_batched=True))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            # An operation without a vmap rule: one row after the other.
        return [torch.stack(each) for each in zip(*map(differentiated, rows), strict=True)]


def _start_of_graph(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Switch grad on; return a leaf with the values of `tensor`, and a copy of it to hand on.

    The copy may be overwritten in place. The network may be in its own inference mode, whose tensors cannot
    enter a graph.
    """
    torch.set_grad_enabled(True)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = tensor.detach().clone().requires_grad_()
        return leaf, leaf.clone()


_NO_SCORES = (
    "legrad shows the network's head the tokens of every block, but found no such blocks, or a head that "
    "takes more than the last one's tokens; choose its option score='logits', or grad-cam"
)
