"""Which layers of a network can carry a map, and which one to take when nobody says."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxcam.cam.as_found import as_found, plain
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DROPOUT = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout


@dataclass(frozen=True)
class Layer:
    """A layer whose output is a stack of feature maps.

    Attributes
    ----------
    name
        Dotted name in the network, as `network.get_submodule` takes it.
    kind
        Name of its class: ``"Conv3d"``, ``"ResNetBlock"``.
    channels
        How many feature maps.
    grid
        Size of each, in units, in the order of the input's spatial axes.
    """

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]


def candidate_layers(network: nn.Module, inputs: Tensor | Sequence[int]) -> list[Layer]:
    """List the layers that can carry a map, in the order in which they finish.

    They are the submodules that run exactly once in a forward pass and put out (B, C, *grid) with as
    many axes as the input and more than one unit; dropout is left out. One forward pass, without a graph.

    Parameters
    ----------
    network
        Any eager module.
    inputs
        An example (B, C, *space), or its shape: then zeros are used, on the device and in the
        dtype of the network's first parameter.

    Raises
    ------
    ExplainError
        The network is TorchScript.
    """
    if not isinstance(inputs, Tensor):
        inputs = _zeros_for(network, inputs)
    refuse_torchscript(network)
    runs: dict[str, list[Layer | None]] = {}

    def note(name: str, module: nn.Module, output: object) -> None:
        runs.setdefault(name, []).append(_layer_of(name, module, output, inputs))

    with as_found(network, inputs.device), ExitStack() as hooks:
        for name, module in network.named_modules():
            if name:
                handle = module.register_forward_hook(
                    lambda module, _inputs, output, name=name: note(name, module, output)
                )
                hooks.callback(handle.remove)
        network(plain(inputs))
    return [layers[0] for layers in runs.values() if len(layers) == 1 and layers[0] is not None]


def default_layer(layers: Iterable[Layer]) -> Layer:
    """Choose the last layer to finish that is not a pooling.

    It is the deepest one with a grid, hence the closest to the classes; of nested modules that put
    out the same tensor (a stage and its last block) it is the outermost. A pooling is passed over,
    for it only coarsens or resamples the grid before it. Where global pooling and one linear layer
    follow, Grad-CAM at this layer adds up to the logit.

    Raises
    ------
    ExplainError
        None of `layers` qualifies.
    """
    chosen = [layer for layer in layers if "Pool" not in layer.kind]
    if not chosen:
        raise ExplainError(
            "no layer of the network keeps a spatial grid of more than one unit; give a larger input, "
            "or a method that needs no layer"
        )
    return chosen[-1]


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """Return the submodule called `name`, or raise an `ExplainError` that names the nearest ones."""
    modules: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    modules.pop("", None)
    if name not in modules:
        nearest = get_close_matches(name, modules, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        hint = hint or "voxcam.cam.candidate_layers lists the layers that can carry a map"
        raise ExplainError(f"the network has no layer {name!r}; {hint}")
    refuse_torchscript(modules[name])
    return modules[name]


def refuse_torchscript(module: nn.Module) -> None:
    """Raise an `ExplainError` if `module` is TorchScript: its layers run outside Python, unseen by hooks."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ExplainError(
            "expected an eager module, found TorchScript, whose layers cannot be observed; "
            "load the network from its Python class and its weights"
        )


def why_no_map(module: nn.Module, output: object, inputs: Tensor) -> str | None:
    """Say why `output` is not a stack of feature maps (B, C, *grid) for `inputs`, or None if it is."""
    if not isinstance(output, Tensor):
        return f"puts out a {type(output).__name__}, not a tensor"
    if isinstance(module, nn.Linear | nn.LayerNorm):
        return f"is a {type(module).__name__}, whose channels come last"
    shape, rank = tuple(output.shape), inputs.ndim - 2
    if len(shape) != rank + 2:
        return f"puts out shape {shape}, which has no grid of {rank} spatial axes"
    if shape[0] != inputs.shape[0]:
        return f"puts out a batch of {shape[0]} for {inputs.shape[0]} inputs"
    if not output.is_floating_point():
        return f"puts out {output.dtype}, which has no gradient"
    return None


def _layer_of(name: str, module: nn.Module, output: object, inputs: Tensor) -> Layer | None:
    if isinstance(module, _DROPOUT):  # the identity in evaluation, or dropout of attention weights: no grid
        return None
    if why_no_map(module, output, inputs) is not None or not isinstance(output, Tensor):
        return None
    _, channels, *grid = output.shape
    return Layer(name, type(module).__name__, channels, tuple(grid)) if prod(grid) > 1 else None


def _zeros_for(network: nn.Module, shape: Sequence[int]) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    return torch.zeros(tuple(shape), dtype=like.dtype, device=like.device)
