"""Class maps: every class by every method at every asked layer, from one capture."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch

from voxcam.cam.gradients import class_gradients, known_classes
from voxcam.cam.heads import require_linear_head
from voxcam.cam.methods import METHODS
from voxcam.cam.recording import all_finite, recorded
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Maps:
    """Raw maps and the logits they explain, float32, on the device of the inputs.

    ``maps["grad-cam"]`` is (B, K', *grid); with several layers, ``maps["grad-cam", "layer4"]``.

    Attributes
    ----------
    logits
        (B, K): every class of the network.
    classes
        The K' classes of the maps, in their order.
    layers, methods
        What was asked.
    values
        The maps by (method, layer).
    """

    logits: Tensor
    classes: tuple[int, ...]
    layers: tuple[str, ...]
    methods: tuple[str, ...]
    values: Mapping[tuple[str, str], Tensor]

    @property
    def layer(self) -> str:
        """The layer, when there is but one; else raises an `ExplainError`."""
        if len(self.layers) > 1:
            raise ExplainError(f"the maps are of {len(self.layers)} layers; name one: maps[method, layer]")
        return self.layers[0]

    def __getitem__(self, key: str | tuple[str, str]) -> Tensor:
        method, layer = (key, self.layer) if isinstance(key, str) else key
        if (method, layer) not in self.values:
            raise ExplainError(
                f"no map by {method!r} at {layer!r}; there are {', '.join(self.methods)} "
                f"at {', '.join(self.layers)}"
            )
        return self.values[method, layer]


def class_maps(
    network: nn.Module,
    inputs: Tensor,
    layer: str | Sequence[str],
    methods: str | Sequence[str] = ("grad-cam",),
    classes: Sequence[int] | None = None,
    *,
    chunk: int | None = None,
) -> Maps:
    """Return the maps of all classes by all methods, from one forward pass.

    Gradients are taken a chunk of classes at a time and dropped once weighed, so memory does not grow
    with the number of classes. The network is left as it was found.

    Parameters
    ----------
    network
        Any eager module from (B, C, *space) to logits (B, K), 1D to 3D; see `voxcam.cam.recording`
        for other outputs. Samples must not mix, as in any network in evaluation mode.
    inputs
        (B, C, *space).
    layer
        A submodule's dotted name, or several; see `candidate_layers` and `default_layer`.
    methods
        Keys of `METHODS`.
    classes
        Columns of the logits; None for all.
    chunk
        Classes differentiated together; by default as many as fit in 256 MiB of gradients.

    Raises
    ------
    ExplainError
        A method, layer or class is unknown or unfit, or a value is not finite.
    """
    asked_methods = _known_methods((methods,) if isinstance(methods, str) else methods)
    with recorded(network, inputs, (layer,) if isinstance(layer, str) else layer) as recording:
        asked_classes = known_classes(recording, classes)
        layers = tuple(recording.outputs)
        activations = {name: recording.activations(name) for name in layers}
        if "cam" in asked_methods:
            for name in layers:
                require_linear_head(recording, name)
        values = {
            (method, name): _empty_maps(a, len(asked_classes))
            for method in asked_methods
            for name, a in activations.items()
        }
        for part, gradients in class_gradients(recording, asked_classes, chunk):
            for (method, name), maps in values.items():
                maps[:, part] = METHODS[method](activations[name], gradients[name])
        logits = recording.logits.detach().float()
    for (method, name), maps in values.items():
        if not all_finite(maps):
            raise ExplainError(f"{method} at layer {name!r} gives NaN or infinity; try a later layer")
    return Maps(logits, asked_classes, layers, asked_methods, values)


def _known_methods(methods: Sequence[str]) -> tuple[str, ...]:
    for method in methods:
        if method not in METHODS:
            nearest = get_close_matches(method.lower(), METHODS, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ExplainError(f"unknown method {method!r}; {hint}There are {', '.join(METHODS)}")
    if not methods:
        raise ExplainError(f"expected at least one method, found none; there are {', '.join(METHODS)}")
    return tuple(dict.fromkeys(methods))


def _empty_maps(activations: Tensor, classes: int) -> Tensor:
    batch, _, *grid = activations.shape
    return torch.empty((batch, classes, *grid), dtype=torch.float32, device=activations.device)
