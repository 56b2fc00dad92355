"""Build the MONAI network that a bundle's `network_def` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.networks import nets

if TYPE_CHECKING:
    from torch import nn


def build(definition: dict[str, Any]) -> nn.Module:
    """Build a network from its plain arguments; `torch.manual_seed` says which weights it starts with."""
    arguments = {name: value for name, value in definition.items() if name != "_target_"}
    network: nn.Module = getattr(nets, definition["_target_"])(**arguments)
    return network
