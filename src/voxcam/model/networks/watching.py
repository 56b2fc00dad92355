"""What a forward pass changed unasked: the network, torch's settings, its random numbers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of every thread of the process; a name for the reader, how it is read, how it is put back.
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch's default number format": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the number of torch's threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's choice of deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "torch's default device": (torch.get_default_device, torch.set_default_device),
}
_REGISTERS = {
    "_parameters": "which numbers it holds",
    "_buffers": "which numbers it holds",
    "_modules": "which layers it has",
    "_forward_pre_hooks": "its own hooks",
    "_forward_hooks": "its own hooks",
    "_backward_pre_hooks": "its own hooks",
    "_backward_hooks": "its own hooks",
}
RANDOM = "torch's random numbers (it draws some in evaluation)"


@contextmanager
def watched(network: nn.Module) -> Iterator[list[str]]:
    """Hold `network` in eval mode without a graph, and gather what changes meanwhile.

    The list is filled at the end of the block, also where that raises, and all is put back first: weights,
    buffers, hooks, training flags, `SETTINGS`, and the random numbers. Those (`RANDOM`) another thread may
    have drawn: `draws_numbers` tells.
    """
    changed: list[str] = []
    flags = [(module, module.training) for module in network.modules()]
    with torch.inference_mode(False), torch.no_grad():
        for module, _ in flags:
            module.training = False
        kept, settings = _Kept(network), {name: read() for name, (read, _) in SETTINGS.items()}
        before = _random_state(network)
        try:
            yield changed
        finally:
            changed += [name for name, value in settings.items() if SETTINGS[name][0]() != value]
            for name in changed:
                if name in SETTINGS:
                    SETTINGS[name][1](settings[name])
            changed += [*kept.put_back(), *_random_put_back(network, before)]
            for module, training in flags:
                module.training = training


def draws_numbers(network: nn.Module, inputs: Tensor) -> bool:
    """Run `network` once more and tell whether an operation of this thread draws random numbers."""
    draws = _Draws()
    with watched(network), draws:
        network(inputs)
    return draws.drawn


class _Kept:
    """What a network holds: copies of its numbers, and what is registered in each of its modules."""

    def __init__(self, network: nn.Module) -> None:
        self.modules = list(network.modules())
        self.numbers = [(name, tensor, tensor.detach().clone()) for name, tensor in _numbers(network)]
        self.registers = [
            (module.__dict__[key], dict(module.__dict__[key]), what)
            for module in self.modules
            for key, what in _REGISTERS.items()
        ]

    def put_back(self) -> list[str]:
        """Return what differs, having put it back."""
        changed = []
        for register, before, what in self.registers:
            if list(register) != list(before) or any(register[key] is not before[key] for key in before):
                register.clear()
                register.update(before)
                changed.append(what)
        for name, tensor, copy in self.numbers:
            if not _same(tensor, copy):
                tensor.data = copy
                changed.append(f"its own {name!r}")
        if any(module.training for module in self.modules):
            changed.append("its mode to training")
        return list(dict.fromkeys(changed))


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Note whether an operation of this thread draws random numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.drawn = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation as it is."""
        self.drawn = self.drawn or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _numbers(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()
    called = network.__dict__.get("called")  # of `voxcam.model.opaque.Opaque`, which hides it
    if isinstance(called, nn.Module):
        yield from _numbers(called)


def _same(now: Tensor, before: Tensor) -> bool:
    if now.shape != before.shape or now.dtype != before.dtype or now.device != before.device:
        return False
    return torch.equal(now, before) or bool(((now == before) | ((now != now) & (before != before))).all())


def _random_state(network: nn.Module) -> tuple[int, list[tuple[torch.device, Tensor]]]:
    devices = {tensor.device for _, tensor in _numbers(network) if tensor.device.type == "cuda"}
    states = [(device, torch.cuda.get_rng_state(device)) for device in devices]
    return torch.initial_seed(), [(torch.device("cpu"), torch.get_rng_state()), *states]


def _random_put_back(
    network: nn.Module, before: tuple[int, list[tuple[torch.device, Tensor]]]
) -> Iterator[str]:
    seed, states = before
    now = _random_state(network)
    moved = any(not torch.equal(a, b) for (_, a), (_, b) in zip(states, now[1], strict=False))
    is_reseeded = now[0] != seed
    if not moved:
        return
    for device, state in states:
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
    yield "torch's seed" if is_reseeded else RANDOM
