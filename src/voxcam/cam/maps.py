"""The maps of one call: raw values by method and layer, and what is odd or complete about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from voxcam.cam.tracing.heads import SAME_MAP
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

NO_LAYER = "network"
"""Stands for the layer of a map by a method that asks the network as a whole."""

Key = tuple[str, str]  # method, layer


@dataclass(frozen=True, eq=False)
class Maps:
    """Raw maps and the logits they explain, float32, on the device of the inputs.

    ``maps["grad-cam"]`` is (B, K', *grid); with several layers, ``maps["grad-cam", "layer4"]``.

    Attributes
    ----------
    logits
        (B, K): every class of the network.
    classes
        (B, K'): the columns of the logits that the maps are of, sample by sample.
    layers, methods
        What was asked.
    values
        The maps by (method, layer). The layer of a method that needs none is ``"network"``; that of one
        that joins several is their names joined by ``+``.
    biases
        By layer, (B, K'): the logit less the sum of its Grad-CAM, where nothing but global average pooling
        and one linear layer follow. There it is that layer's bias, and the map tells all of the logit.
    """

    logits: Tensor
    classes: Tensor
    layers: tuple[str, ...]
    methods: tuple[str, ...]
    values: Mapping[Key, Tensor]
    biases: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, key: str | Key) -> Tensor:
        """Return the maps of a method; of a (method, layer) where there are several layers."""
        found = [each for each in self.values if key in (each, each[0])]
        if len(found) > 1:
            raise ExplainError(
                f"there are maps by {key!r} at {len(found)} layers; name one: maps[method, layer]"
            )
        if not found:
            have = ", ".join(f"{method} at {layer}" for method, layer in self.values)
            raise ExplainError(f"no map by {key!r}; there are {have}")
        return self.values[found[0]]

    def flags(self, key: str | Key) -> list[list[str | None]]:
        """Say of each sample's and class's map what is odd about it: B lists of K' words, see `flag_of`."""
        return [[flag_of(one) for one in sample] for sample in self[key]]

    def same_map(self, layer: str) -> tuple[str, ...]:
        """Return the methods asked that give one map at `layer` (`cam` gives N times it, over N places)."""
        alike = tuple(method for method in self.methods if method in SAME_MAP)
        return alike if layer in self.biases and len(alike) > 1 else ()


def flag_of(values: Tensor) -> str | None:
    """Say what is odd about a map: ``"non-finite"``, ``"no positive evidence"``, ``"constant"``, or None."""
    low, high = torch.aminmax(values)
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        return "non-finite"
    if bool(high <= 0):
        return "no positive evidence"
    return "constant" if bool(low == high) and values.numel() > 1 else None
