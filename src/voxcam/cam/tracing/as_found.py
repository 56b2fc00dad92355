"""Borrow a network: run it in evaluation mode, and leave it as it was found."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@contextmanager
def as_found(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Hold `network` in evaluation mode without a graph, and put everything back at the end.

    Put back, also after an exception: the training flag of every submodule (they may differ), the
    caller's grad and inference mode, and the random state of the CPU and of `device`, so that a
    network that draws numbers even in evaluation gives the same map twice. Flags are set one by one,
    not by `eval()`: some networks merge or freeze weights there.

    Two threads that borrow one network take turns; networks of their own run side by side. A thread
    that runs the network without borrowing it meanwhile finds it in evaluation mode.
    """
    with _turn(network), torch.inference_mode(False), torch.no_grad(), _random_state_kept(device):
        flags = [(module, module.training) for module in network.modules()]
        try:
            for module, training in flags:
                if training:  # setting is slow, and most networks come in evaluation mode
                    module.training = False
            yield
        finally:
            for module, training in flags:
                if module.training != training:
                    module.training = training


def plain(inputs: Tensor) -> Tensor:
    """Return `inputs` (B, C, *space) as a tensor that can enter a graph; call it inside `as_found`."""
    require_inputs(inputs)
    # Subclasses (MONAI's MetaTensor) are slow and know no vmap; inference tensors know no graph.
    bare = inputs.as_subclass(Tensor).detach()
    return bare.clone() if bare.is_inference() else bare


def require_inputs(inputs: object) -> None:
    """Raise an `ExplainError` unless `inputs` are what a network of images takes: (B, C, *space), floats."""
    if not isinstance(inputs, Tensor):
        raise ExplainError(f"expected inputs as a tensor (B, C, *space), found a {type(inputs).__name__}")
    if inputs.ndim < 3:
        raise ExplainError(f"expected inputs (B, C, *space), found shape {tuple(inputs.shape)}")
    if not inputs.is_floating_point():
        raise ExplainError(f"expected inputs in floating point, found {inputs.dtype}; use .float()")


_turns: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_turns_guard = threading.Lock()


def _turn(network: nn.Module) -> threading.RLock:
    with _turns_guard:
        return _turns.setdefault(network, threading.RLock())


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    # MPS reads its generator's state without a device index, which fork_rng does not know.
    forked = [] if device.type in ("cpu", "mps", "meta") else [device]
    with torch.random.fork_rng(devices=forked, device_type=device.type if forked else None):
        yield
