"""How large a network may be: counted while it is built without memory, and stopped at the bound."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.nn.modules import module as torch_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

# EfficientNet-L2 in 3D, the largest of the catalogue, holds 2 GB (493 million parameters).
NUMBERS_LIMIT_BYTES = 4_000_000_000
# EfficientNet-L2, the deepest of the catalogue, has 1,427.
MODULES_LIMIT = 10_000


class TooLargeError(Exception):
    """The network passes a bound; the message says which, and at what it stopped."""


def refuse_unless_bounded(build: Callable[[], nn.Module]) -> None:
    """Call `build` on torch's "meta" device, where numbers take no room, and drop what it made.

    Raises
    ------
    TooLargeError
        As soon as the parameters and buffers would take more than `NUMBERS_LIMIT_BYTES`, or there are more
        than `MODULES_LIMIT` modules: nothing is built to the end first.
    """
    with _counting(), torch.device("meta"):
        build()


@contextmanager
def _counting() -> Iterator[None]:
    """Watch what this thread's modules register; torch's hooks see every thread."""
    thread, counted = threading.get_ident(), {"bytes": 0, "modules": 0}

    def count_numbers(_owner: nn.Module, _name: str, tensor: torch.Tensor | None) -> None:
        if tensor is None or threading.get_ident() != thread:
            return
        counted["bytes"] += tensor.numel() * 4
        if counted["bytes"] > NUMBERS_LIMIT_BYTES:
            raise TooLargeError(f"its numbers take more than {NUMBERS_LIMIT_BYTES / 1e9:.0f} GB")

    def count_modules(_owner: nn.Module, _name: str, _module: nn.Module | None) -> None:
        if threading.get_ident() != thread:
            return
        counted["modules"] += 1
        if counted["modules"] > MODULES_LIMIT:
            raise TooLargeError(f"it has more than {MODULES_LIMIT:,} modules")

    hooks = (
        torch_modules.register_module_parameter_registration_hook(count_numbers),
        torch_modules.register_module_buffer_registration_hook(count_numbers),
        torch_modules.register_module_module_registration_hook(count_modules),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
