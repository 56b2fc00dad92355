"""A forward pass whose trunk keeps no graph, ready to be differentiated from the logits back to a layer."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from voxcam.cam.tracing.addresses import Address, address_of, find_module, refuse_torchscript
from voxcam.cam.tracing.as_found import as_found, plain
from voxcam.cam.tracing.layouts import Layout, layout_of
from voxcam.cam.tracing.tape import Tape
from voxcam.cam.transformers.attention import Meeting
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    LayoutOf = Callable[[nn.Module, nn.Module, Tensor, Tensor], Layout | str]

FLOAT16_SCALE = 256.0
"""Pooling divides a gradient by the number of units: in float16 it would sink below what it can hold."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a forward pass left behind; its graph reaches from the logits to the layers and no further.

    Attributes
    ----------
    logits
        (B, K), in the network's own dtype, with their graph.
    outputs
        By layer name, in the layer's own shape and dtype: the ends of the graph. Private copies,
        which nothing the network does in place can reach. In the order in which the layers ran.
    layouts
        By layer name, where in its output the feature maps lie.
    tape
        What happened after the earliest layer, for a replay; None unless it was asked for.
    """

    logits: Tensor
    outputs: Mapping[str, Tensor]
    layouts: Mapping[str, Layout]
    tape: Tape | None = None

    def activations(self, layer: str) -> Tensor:
        """Return the feature maps (B, C, *grid) of `layer`, without graph, in float32 or better."""
        return single_or_better(self.layouts[layer].maps(self.outputs[layer].detach())).contiguous()

    def after(self, layer: str, activations: Tensor) -> Tensor:
        """Return the logits (B, K) for other feature maps (B, C, *grid) at `layer`; the trunk is not run.

        Tokens without a place keep their values. Needs a tape.
        """
        if self.tape is None:
            raise RuntimeError("the pass was recorded without a tape")
        recorded = self.outputs[layer].detach()
        output = self.layouts[layer].replaced(recorded, activations.to(recorded.dtype))
        first = next(iter(self.outputs))
        return self.tape.replay(layer, (first, self.outputs[first].detach()), output)


@contextmanager
def recorded(
    network: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    *,
    taped: bool = False,
    layout: LayoutOf = layout_of,
) -> Iterator[Recording]:
    """Run `network` once and yield its `Recording`; the network is back as it was found afterwards.

    Up to the earliest of `layers` no graph is kept: that layer's hook cuts its output loose and
    switches grad on. Parameters may be frozen, and the caller may be in no_grad, inference mode or
    autocast; the block itself runs outside autocast, for gradients to be reduced in full precision.

    Parameters
    ----------
    network
        Takes (B, C, *space), gives logits: (B, K), or (B,) of one class, or a tuple or list that starts
        with them, or a mapping that holds them as ``"logits"`` or as its only value. Samples must not mix.
    inputs
        (B, C, *space).
    layers
        Names as `voxcam.cam.tracing.addresses.address_of` reads them.
    taped
        Whether what follows the earliest layer is noted, so that it can be replayed.
    layout
        Says where in a layer's output the feature maps lie.

    Raises
    ------
    ExplainError
        A layer is unknown, runs several times without saying which, or has no grid; the output is not
        logits; or inputs, logits or activations are not finite.
    """
    refuse_torchscript(network)
    if not layers:
        raise ExplainError("expected at least one layer, found none")
    addresses = {name: address_of(name) for name in layers}
    for address in addresses.values():
        find_module(network, address.module)
    with as_found(network, inputs.device):
        inputs = plain(inputs)
        listener = _Listener(network, inputs, layout, taped)
        recording = listener.hear(addresses)
        if not recording.logits.requires_grad:
            # A layer inside the network's own no_grad: that switched grad off again on its end. With
            # grad on from the start it is on again there, and inside there still is no graph.
            with torch.enable_grad():
                recording = listener.hear(addresses)
        _require_finite(recording, inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            yield recording


def single_or_better(tensor: Tensor) -> Tensor:
    """Return `tensor` in float32, or in its own dtype if that is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def all_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; needs no memory of the tensor's size."""
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) & torch.isfinite(high))


@dataclass(eq=False)
class _Listener:
    """Hears what layers put out during one forward pass of this thread."""

    network: nn.Module
    inputs: Tensor
    layout: LayoutOf
    taped: bool
    thread: int = field(default_factory=threading.get_ident)

    def hear(self, addresses: Mapping[str, Address]) -> Recording:
        """Run the network once and return what the layers at `addresses` put out."""
        self.outputs: dict[str, Tensor] = {}
        self.layouts: dict[str, Layout] = {}
        self.calls = dict.fromkeys(addresses, 0)
        self.tape = Tape() if self.taped else None
        with ExitStack() as taping:
            self.taping = taping
            with ExitStack() as hooks:
                for name, address in addresses.items():
                    module = self.network.get_submodule(address.module)
                    while isinstance(module, nn.ModuleList) and len(module):
                        module = module[-1]  # a list is never called: what it comes to is its last member's
                    hooks.callback(module.register_forward_hook(self._tap(name, address)).remove)
                output = call_network(self.network, self.inputs)
            for name in addresses:
                self._require_heard(name)
            logits = logits_in(output, len(self.inputs))
        if self.tape is not None:
            self.tape.end(logits)
        return Recording(logits, self.outputs, self.layouts, self.tape)

    def _tap(self, name: str, address: Address) -> Callable[[nn.Module, object, object], object]:
        """Return a hook that records a layer's output, and hands the network a copy that stems from it."""

        def hook(module: nn.Module, _args: object, output: object) -> object:
            if threading.get_ident() != self.thread:  # somebody else runs the same network meanwhile
                return output
            self.calls[name] += 1
            if address.call is None and self.calls[name] > 1:
                raise ExplainError(
                    f"layer {name!r} runs more than once in a forward pass, so its map would be ambiguous; "
                    f"name the call, '{name}@1' or '{name}@2', or take the layer around it"
                )
            if address.call not in (None, self.calls[name]):
                return output
            return self._recorded(name, address, module, output)

        return hook

    def _recorded(self, name: str, address: Address, module: nn.Module, output: object) -> object:
        part, found = self._part_with_maps(address, module, output)
        torch.set_grad_enabled(True)
        # The network may run this layer in its own inference mode, whose tensors cannot enter a graph.
        with torch.inference_mode(False), torch.enable_grad():
            # Before the earliest layer nothing requires grad: there the graph begins.
            follows = part.requires_grad
            self.layouts[name] = found
            self.outputs[name] = part.clone() if follows else part.detach().clone().requires_grad_()
            # A copy once more: an in-place ReLU may follow (MONAI's DenseNet after `features`), which must
            # neither change the record nor meet a leaf of the graph.
            handed_on = self.outputs[name].clone()
        if self.tape is not None:
            self.tape.begin(name, handed_on)
            if len(self.outputs) == 1:
                self.taping.enter_context(self.tape)
                # torch's fused attention can be differentiated once, and replayed one by one: this can more.
                self.taping.enter_context(Meeting(lambda probabilities: probabilities))
        return with_part(output, part, handed_on)

    def _part_with_maps(self, address: Address, module: nn.Module, output: object) -> tuple[Tensor, Layout]:
        parts = {key: part for key, part in parts_of(output).items() if address.item in (None, key)}
        if not parts:
            have = ", ".join(map(repr, parts_of(output))) or "one tensor"
            raise ExplainError(f"layer {address.module!r} puts out no part {address.item!r}; there is {have}")
        layouts = {key: self._layout(module, part) for key, part in parts.items()}
        fit = {key: (parts[key], found) for key, found in layouts.items() if isinstance(found, Layout)}
        if len(fit) > 1:
            choices = ", ".join(repr(f"{address.module}[{key}]") for key in fit)
            raise ExplainError(f"layer {address.module!r} puts out several stacks of maps; choose {choices}")
        if not fit:
            raise ExplainError(
                f"layer {str(address)!r} {next(iter(layouts.values()))}; expected (B, C, *grid), as those of "
                "voxcam.cam.candidate_layers have"
            )
        ((part, found),) = fit.values()
        return cast("Tensor", part), found

    def _layout(self, module: nn.Module, part: object) -> Layout | str:
        if not isinstance(part, Tensor):
            return f"puts out a {type(part).__name__}, not a tensor"
        return self.layout(self.network, module, part, self.inputs)

    def _require_heard(self, name: str) -> None:
        if name not in self.outputs:
            times = f"ran {self.calls[name]} times" if self.calls[name] else "did not run"
            raise ExplainError(
                f"layer {name!r} {times} in this forward pass; "
                "voxcam.cam.candidate_layers lists the layers that do"
            )


def parts_of(output: object) -> dict[str | None, object]:
    """Return what a layer puts out by the names its parts have in an address."""
    if isinstance(output, Mapping):
        return {str(key): part for key, part in output.items()}
    if isinstance(output, tuple | list):
        return {str(number): part for number, part in enumerate(output)}
    return {None: output}


def with_part(output: Any, old: Tensor, new: Tensor) -> object:
    """Return `output` with `old`, which it holds or is, replaced by `new`."""
    if output is old:
        return new
    if isinstance(output, MutableMapping):
        changed = copy.copy(output)
        changed.update({key: new for key, part in output.items() if part is old})
        return changed
    parts = [new if part is old else part for part in output]
    if hasattr(output, "_fields"):  # a named tuple
        return type(output)(*parts)
    return parts if isinstance(output, list) else tuple(parts)


def call_network(network: nn.Module, inputs: Tensor) -> object:
    """Call `network`, with stand-ins for weights made in inference mode: those cannot enter a graph."""
    weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    stand_ins = {name: weight.clone() for name, weight in weights.items() if weight.is_inference()}
    if stand_ins:
        # A module that stands in the network twice would keep the stand-ins if its weights were tied.
        return torch.func.functional_call(network, stand_ins, (inputs,), tie_weights=False)
    return network(inputs)


def logits_in(output: object, batch: int) -> Tensor:
    """Return the logits (B, K) in what a network put out, or raise an `ExplainError`."""
    found = _first(output)
    if isinstance(found, Tensor) and len(found.shape) > 0 and len(found) == batch:
        if found.ndim == 1:
            return found.unsqueeze(1)
        if found.shape[1] > 0 and found.shape[2:].numel() == 1:
            return found.flatten(1) if found.ndim > 2 else found
    shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(output).__name__}"
    raise ExplainError(
        f"expected the network to put out logits ({batch}, K), or a tuple that starts with them, "
        f"found {shape}; wrap the network so that it returns one score a class"
    )


def _first(output: object) -> object:
    if isinstance(output, Mapping):
        return next(iter(output.values())) if len(output) == 1 else output.get("logits")
    if isinstance(output, tuple | list):
        return output[0] if output else None
    return output


def _require_finite(recording: Recording, inputs: Tensor) -> None:
    for name, output in recording.outputs.items():
        if not all_finite(output.detach()):
            raise ExplainError(f"layer {name!r} puts out NaN or infinity; {_remedy(inputs)}")
    if not all_finite(recording.logits.detach()):
        raise ExplainError(f"the network's logits hold NaN or infinity; {_remedy(inputs)}")


def _remedy(inputs: Tensor) -> str:
    if not all_finite(inputs):
        return "so does the input: mend it"
    return "the input is finite: run the network in float32, or look for such values in its weights"
