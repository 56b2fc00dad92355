"""Which layers of a network can carry a map, and which one to take when nobody says."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxcam.cam.tracing.addresses import Address, refuse_torchscript
from voxcam.cam.tracing.as_found import as_found, plain
from voxcam.cam.tracing.gradients import gradients_along, linear_heads, one_hot
from voxcam.cam.tracing.layouts import Layout, layout_of
from voxcam.cam.tracing.recording import parts_of, recorded
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    _Noted = tuple[str, nn.Module, list[tuple[str | None, Layout]]]

_DROPOUT = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout
_AT_ONCE, _AT_MOST = 8, 40
"""How many layers are asked together, and in all, whether the classes differ, where the last one is blind."""


@dataclass(frozen=True)
class Layer:
    """A layer whose output holds a stack of feature maps.

    Attributes
    ----------
    name
        As `class_maps` takes it: a submodule, ``"relu@2"`` its second call, ``"encoder[3]"`` a part.
    kind
        Name of its class: ``"Conv3d"``, ``"ResNetBlock"``.
    channels
        How many feature maps.
    grid
        Size of each, in units, in the order of the input's spatial axes.
    stride
        Input voxels from one unit to the next, by sizes alone.
    order
        How the maps lie in the output; see `voxcam.cam.tracing.layouts.Layout`.
    classes_differ
        Whether the gradients of the classes at the places of the grid are not all the same (of a single
        class: not zero); None where it was not tried.
    linear_head
        Whether nothing but global average pooling and one linear layer follow: then `cam`, Grad-CAM,
        HiResCAM, XGrad-CAM and ShapleyCAM are one map; None where it was not tried.
    prefix
        Tokens without a place (class, register) beside those of the grid; a map leaves them out.
    """

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    stride: tuple[float, ...] = ()
    order: str = "channels first"
    classes_differ: bool | None = None
    linear_head: bool | None = None
    prefix: int = 0


@dataclass(frozen=True)
class Ranking:
    """The layers of a network, best first, with the reason for the first.

    Attributes
    ----------
    layers
        The end of every stage (the last layer of each grid), then all others, last to finish first.
    reason
        Why the first is taken when nobody says, in a sentence.
    """

    layers: tuple[Layer, ...]
    reason: str

    @property
    def default(self) -> Layer:
        """The layer to take when nobody says."""
        return self.layers[0]


def candidate_layers(network: nn.Module, inputs: Tensor | Sequence[int]) -> list[Layer]:
    """List the layers that can carry a map, in the order in which they finish.

    They are the submodules that put out feature maps (`voxcam.cam.tracing.layouts`) of more than one unit;
    dropout is left out. One forward pass, without a graph.

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
    noted: list[_Noted] = []
    with as_found(network, inputs.device), ExitStack() as hooks:
        inputs = plain(inputs)
        for name, module in network.named_modules():
            if name and not isinstance(module, _DROPOUT):
                hooks.callback(module.register_forward_hook(_note(name, network, inputs, noted)).remove)
        network(inputs)
    return _named(noted, tuple(inputs.shape[2:]))


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
    chosen = [layer for layer in layers if _is_worth_a_map(layer)]
    if not chosen:
        raise ExplainError(
            "no layer of the network keeps a spatial grid of more than one unit; give a larger input, "
            "or a method that needs no layer (occlusion, integrated-gradients)"
        )
    return chosen[-1]


def layer_for(network: nn.Module, inputs: Tensor) -> Layer:
    """Choose the layer of a network when nobody says: from one pass, or a few where there is a class token.

    `default_layer` chooses by shape alone, which a class token misleads: behind the last attention the
    patches look as before, but no longer reach the classes. There `rank_layers` chooses.
    """
    chosen = default_layer(candidate_layers(network, inputs))
    return rank_layers(network, inputs).default if chosen.prefix else chosen


def rank_layers(network: nn.Module, inputs: Tensor | Sequence[int]) -> Ranking:
    """Rank the layers of a network by what a map there can tell, from two forward passes or a few more.

    The end of each stage is asked whether the classes differ at the places of its grid. The last one
    where they do is the default: it is closest to the classes. Where the last one of all fails, those
    before it are asked, backwards. (In a transformer read out by a class token the last ones do fail:
    behind the last attention what the other tokens hold no longer reaches the classes.)

    Parameters
    ----------
    network, inputs
        As for `candidate_layers`; for a shape, faint noise is used: of zeros a ReLU may let nothing pass.

    Raises
    ------
    ExplainError
        The network is TorchScript, or no layer keeps a grid.
    """
    if not isinstance(inputs, Tensor):
        inputs = _noise_for(network, inputs)
    found = candidate_layers(network, inputs)
    default_layer(found)
    worth = [layer for layer in found if _is_worth_a_map(layer)]
    tried = {layer.name: layer for layer in _tried_until_one_differs(network, inputs, worth)}
    best_first = sorted(
        [tried.get(layer.name, layer) for layer in found[::-1]],
        key=lambda layer: (layer.classes_differ is not True, layer.name not in tried),
    )
    names = [layer.name for layer in found]
    blind = [layer for layer in found[names.index(best_first[0].name) + 1 :] if layer.name in tried]
    return Ranking(tuple(best_first), _reason(best_first[0], blind))


def _note(
    name: str, network: nn.Module, inputs: Tensor, noted: list[_Noted]
) -> Callable[[nn.Module, object, object], None]:
    def hook(module: nn.Module, _args: object, output: object) -> None:
        layouts = [
            (key, layout_of(network, module, part, inputs))
            for key, part in parts_of(output).items()
            if isinstance(part, Tensor)
        ]
        noted.append((name, module, [(key, found) for key, found in layouts if isinstance(found, Layout)]))

    return hook


def _named(noted: list[_Noted], space: tuple[int, ...]) -> list[Layer]:
    """Name every stack of maps by its address: the call where there are several, the part likewise."""
    names = [name for name, _, _ in noted]
    layers, calls = [], dict.fromkeys(names, 0)
    for name, module, layouts in noted:
        calls[name] += 1
        call = calls[name] if names.count(name) > 1 else None
        for key, layout in layouts:
            if prod(layout.grid) > 1:
                address = Address(name, key if len(layouts) > 1 else None, call)
                stride = tuple(size / units for size, units in zip(space, layout.grid, strict=True))
                kind = type(module).__name__
                shape = (layout.channels, layout.grid, stride, layout.order)
                layers.append(Layer(str(address), kind, *shape, prefix=layout.prefix))
    return layers


def _is_worth_a_map(layer: Layer) -> bool:
    """Whether a layer is more than a step inside a block: no pooling, and of tokens no single product."""
    return "Pool" not in layer.kind and (layer.order == "channels first" or layer.kind != "Linear")


def _tried_until_one_differs(network: nn.Module, inputs: Tensor, worth: list[Layer]) -> list[Layer]:
    """Try the last layer of each grid; and where the very last is blind, those before it, some at a time."""
    tried = list(_tried(network, inputs, list({layer.grid: layer for layer in worth}.values())))
    stop = len(worth)
    last = next(layer for layer in tried if layer.name == worth[-1].name)
    while not last.classes_differ and stop > max(0, len(worth) - _AT_MOST):
        some = list(_tried(network, inputs, worth[max(0, stop - _AT_ONCE) : stop]))
        last = next((layer for layer in some[::-1] if layer.classes_differ), last)
        tried, stop = tried + some, stop - _AT_ONCE
    return tried


def _tried(network: nn.Module, inputs: Tensor, layers: list[Layer]) -> Iterator[Layer]:
    """Yield `layers` with what the gradients of the first classes say there."""
    with recorded(network, inputs[:1], [layer.name for layer in layers]) as recording:
        count = recording.logits.shape[1]
        some = torch.arange(min(count, 3)).expand(1, -1)
        gradients = gradients_along(recording, one_hot(some, count), unused_is_zero=True)
        for layer in layers:
            gradient = gradients[layer.name][0]
            first = gradient[0] if count > 1 else torch.zeros_like(gradient[0])
            differ = (gradient - first).abs().amax() > 1e-6 * gradient.abs().amax()
            alone = replace(recording, outputs={layer.name: recording.outputs[layer.name]})
            linear = bool(differ) and layer.name in linear_heads(alone)
            yield replace(layer, classes_differ=bool(differ), linear_head=linear)


def _reason(layer: Layer, blind: list[Layer]) -> str:
    """Say why `layer` is taken, when `blind` ones come after it."""
    grid = " x ".join(map(str, layer.grid))
    stride = " x ".join(f"{step:.3g}" for step in layer.stride)
    if not layer.classes_differ:
        return f"the last layer with a grid: {grid} units, {stride} voxels apart; the classes differ nowhere"
    text = f"the last layer where the classes differ from place to place: {grid} units, {stride} voxels apart"
    if blind:
        text += f"; at later ones ({_named_in_short(blind)}) they do not"
    if blind and layer.prefix:
        text += ": the classes are read from a token without a place, which no patch reaches from there"
    if layer.linear_head:
        text += "; pooling and one linear layer follow, so its Grad-CAM adds up to the logit less its bias"
    return text


def _named_in_short(layers: list[Layer]) -> str:
    names = [layer.name for layer in layers]
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"


def _zeros_for(network: nn.Module, shape: Sequence[int]) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    return torch.zeros(tuple(shape), dtype=like.dtype, device=like.device)


def _noise_for(network: nn.Module, shape: Sequence[int]) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    draw = torch.Generator().manual_seed(0)
    return torch.randn(tuple(shape), generator=draw).to(like.device, like.dtype)
