"""How much is alive at a time while a network runs, watched on stand-ins that hold no memory."""

from __future__ import annotations

import logging
import weakref
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from voxcam.cam.tracing.addresses import Address, address_of, find_module
from voxcam.cam.tracing.as_found import as_found, plain
from voxcam.cam.tracing.heads import linear_head
from voxcam.cam.tracing.layouts import Layout, layout_of
from voxcam.cam.tracing.recording import Recording, logits_in, parts_of
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Pass:
    """Bytes alive in one forward pass, recorded from some layers on, and in the gradients after it.

    Attributes
    ----------
    peak, held
        At most during the forward pass, and after it: the inputs, what is put out, what autograd keeps.
    gradient
        What the gradients of one class, of all samples, add to that at their largest.
    outputs, maps
        What the layers put out, and one class's maps there.
    classes
        How many there are.
    linear_head
        Whether it is one layer, and nothing but pooling and one linear layer seems to follow.
    """

    peak: int
    held: int
    gradient: int
    outputs: int
    maps: int
    classes: int
    linear_head: bool


def one_pass(network: nn.Module, inputs: Tensor, layers: Sequence[str]) -> Pass:
    """Send `inputs` (B, C, *space) through stand-ins for `network`, or one sample through itself.

    The network itself runs where it cannot on torch's fake tensors: because it reads values, or calls what
    knows only real memory. It is left as it was found, but for tensors that it may keep out of its own
    attributes, in a list or a global.

    Raises
    ------
    ExplainError
        A layer is unknown, or what the network puts out is not logits.
    """
    addresses = {name: address_of(name) for name in layers}
    for address in addresses.values():
        find_module(network, address.module)
    weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with as_found(network, inputs.device), _attributes_kept(network), _silence():
        inputs = plain(inputs)
        try:
            # On the CPU, wherever the network is: only sizes count, and gradients stay in this thread.
            with FakeTensorMode(allow_non_fake_inputs=True), _autocast_on_cpu_as_on(inputs.device):
                stand_ins = {name: _stand_in(weight) for name, weight in weights.items()}
                return _watched(network, stand_ins, _stand_in(inputs), addresses)
        except ExplainError:
            raise
        except Exception:  # whatever stand-ins cannot do; once this is left, their traces are gone
            pass
        return _times(len(inputs), _watched(network, {}, inputs[:1], addresses))


def _watched(
    network: nn.Module, weights: dict[str, Tensor], inputs: Tensor, addresses: Mapping[str, Address]
) -> Pass:
    """Run `network` with `weights` in place of its own, as `recorded` does, and watch what is alive."""
    outputs: dict[str, Tensor] = {}
    layouts: dict[str, Layout] = {}

    def start_graph(name: str, module: nn.Module, part: Tensor) -> Tensor | None:
        found = layout_of(network, module, part, inputs)
        if isinstance(found, str):
            return None
        torch.set_grad_enabled(True)
        layouts[name] = found
        outputs[name] = part.clone() if part.requires_grad else part.detach().clone().requires_grad_()
        return outputs[name].clone()  # the two copies that `recorded` makes

    with _Alive() as alive, torch.no_grad(), ExitStack() as hooks:
        alive.note(inputs)
        for name, address in addresses.items():
            hook = _hook(name, address, start_graph)
            hooks.callback(network.get_submodule(address.module).register_forward_hook(hook).remove)
        logits = logits_in(torch.func.functional_call(network, weights, (inputs,)), len(inputs))
        peak, held = alive.peak, alive.now
        gradient = alive.added(lambda: _one_gradient(logits, list(outputs.values())))
    linear = [linear_head(Recording(logits, outputs, layouts), name) is not None for name in outputs]
    put_out = sum(output.nbytes for output in outputs.values())
    maps = sum(4 * len(inputs) * prod(layout.grid) for layout in layouts.values())
    return Pass(peak, held, gradient, put_out, maps, logits.shape[1], linear == [True])


def _hook(
    name: str, address: Address, start_graph: Callable[[str, nn.Module, Tensor], Tensor | None]
) -> Callable[[nn.Module, object, object], object]:
    """Return a hook that puts what `start_graph` returns in place of the part of an output at `address`."""
    calls = count(1)

    def hook(module: nn.Module, _args: object, output: object) -> object:
        if next(calls) != (address.call or 1):
            return output
        for key, part in parts_of(output).items():
            if isinstance(part, Tensor) and address.item in (None, key):
                new = start_graph(name, module, part)
                if new is not None:
                    return tree_map(partial(_swapped, part, new), output)
        return output

    return hook


def _swapped(old: Tensor, new: Tensor, leaf: object) -> object:
    return new if leaf is old else leaf


def _one_gradient(logits: Tensor, outputs: list[Tensor]) -> object:
    """Differentiate one logit, batched as `class_gradients` does: that takes copies of its own."""
    if not outputs or not logits.requires_grad:
        return None
    one = torch.ones_like(logits)
    try:
        return torch.autograd.grad(
            logits, outputs, one[None], retain_graph=True, allow_unused=True, is_grads_batched=True
        )
    except RuntimeError:  # an operation without a vmap rule
        return torch.autograd.grad(logits, outputs, one, retain_graph=True, allow_unused=True)


def _times(samples: int, one: Pass) -> Pass:
    sizes = {name: samples * getattr(one, name) for name in ("peak", "held", "gradient", "outputs", "maps")}
    return replace(one, **sizes)


class _Alive(TorchDispatchMode):
    """Counts the bytes of all that torch's operations put out, while it is alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._storages: set[int] = set()

    def note(self, tensor: Tensor) -> None:
        """Count the storage of `tensor`, once, until nobody holds it."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._storages:
            self._storages.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def added(self, work: Callable[[], object]) -> int:
        """Return by how much `work` lifts what is alive."""
        self.peak = before = self.now
        work()
        return self.peak - before

    def _forget(self, storage: int, size: int) -> None:
        self._storages.discard(storage)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self.note(leaf)
        return output


def _stand_in(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)


def _autocast_on_cpu_as_on(device: torch.device) -> torch.autocast:
    dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
    return torch.autocast("cpu", dtype, enabled)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torch from printing why stand-ins cannot do something: then the network itself runs."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _attributes_kept(network: nn.Module) -> Iterator[None]:
    """Undo what a pass of stand-ins leaves in a network.

    It may keep a table of positions for the next pass; and in a module that stands in it twice torch 2.13
    (`functional_call`) leaves stand-ins as weights.
    """
    kept = [
        (own, dict(own))
        for module in network.modules()
        for own in (module.__dict__, module._parameters, module._buffers)
    ]
    try:
        yield
    finally:
        for now, before in kept:
            for name in now.keys() - before.keys():
                del now[name]
            now.update(before)
