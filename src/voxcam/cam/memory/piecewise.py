"""One call made piece by piece, to need less memory at a time: by sample, by layer, on the CPU."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from voxcam.cam.methods import NETWORK
from voxcam.cam.tracing.as_found import as_found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from voxcam.cam.maps import Maps


@dataclass(frozen=True, eq=False)
class Asked:
    """The arguments of one call of `class_maps`."""

    network: nn.Module
    inputs: Tensor
    layer: str | Sequence[str] | None
    methods: str | Sequence[str]
    classes: Any
    options: Mapping[str, Any]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers; none where the network's own default is asked."""
        layer = self.layer or ()
        return (layer,) if isinstance(layer, str) else tuple(dict.fromkeys(layer))

    @property
    def method_names(self) -> tuple[str, ...]:
        """Names of the methods, each once."""
        return (self.methods,) if isinstance(self.methods, str) else tuple(dict.fromkeys(self.methods))

    def sample(self, at: int) -> Asked:
        """Return the same of one sample."""
        own = self.classes is not None and torch.as_tensor(self.classes).ndim == 2
        classes = self.classes[at : at + 1] if own else self.classes
        return replace(self, inputs=self.inputs[at : at + 1], classes=classes)

    def at(self, layer: str | None, methods: Sequence[str]) -> Asked:
        """Return the same of one layer and some methods, with the options of these alone."""
        options = dict(self.options)
        if options.get("options"):
            options["options"] = {name: own for name, own in options["options"].items() if name in methods}
        return replace(self, layer=layer, methods=tuple(methods), options=options)


@dataclass(frozen=True)
class Portions:
    """How little is asked at a time.

    Attributes
    ----------
    chunk
        Classes differentiated together; None as `class_maps` likes.
    by_sample, by_layer
        One after the other.
    bfloat16
        The forward pass in autocast.
    on_cpu
        Wherever network and inputs are.
    """

    chunk: int | None = None
    by_sample: bool = False
    by_layer: bool = False
    bfloat16: bool = False
    on_cpu: bool = False


def maps_in_portions(run: Callable[..., Maps], asked: Asked, portions: Portions) -> Maps:
    """Call `run` as often as `portions` says, and join the maps; they lie on the device of the inputs."""
    device = asked.inputs.device
    if portions.on_cpu:
        with _weights_on_cpu(asked.network):
            return _moved(_by_sample(run, replace(asked, inputs=asked.inputs.cpu()), portions), device)
    with torch.autocast(device.type, torch.bfloat16) if portions.bfloat16 else nullcontext():
        return _by_sample(run, asked, portions)


def _by_sample(run: Callable[..., Maps], asked: Asked, portions: Portions) -> Maps:
    if not portions.by_sample:
        return _by_layer(run, asked, portions)
    parts = [_by_layer(run, asked.sample(0), portions)]
    if asked.layer is None and parts[0].layers:  # the first sample chose it, as in one call for all
        asked = replace(asked, layer=parts[0].layers)
    parts += [_by_layer(run, asked.sample(at), portions) for at in range(1, len(asked.inputs))]
    return _samples_joined(parts)


def _by_layer(run: Callable[..., Maps], asked: Asked, portions: Portions) -> Maps:
    if not portions.by_layer:
        return _called(run, asked, portions)
    of_layers = [method for method in asked.method_names if method not in NETWORK]
    of_network = [method for method in asked.method_names if method in NETWORK]
    calls = [asked.at(layer, of_layers) for layer in asked.layers if of_layers]
    calls += [asked.at(None, of_network)] if of_network else []
    parts = [_called(run, call, portions) for call in calls]
    return replace(_layers_joined(parts), layers=asked.layers, methods=asked.method_names)


def _called(run: Callable[..., Maps], asked: Asked, portions: Portions) -> Maps:
    options = {**asked.options, "chunk": portions.chunk}
    return run(asked.network, asked.inputs, asked.layer, asked.methods, asked.classes, **options)


def _samples_joined(parts: Sequence[Maps]) -> Maps:
    first = parts[0]
    return replace(
        first,
        logits=torch.cat([part.logits for part in parts]),
        classes=torch.cat([part.classes for part in parts]),
        values={key: torch.cat([part.values[key] for part in parts]) for key in first.values},
        biases={
            layer: torch.cat([part.biases[layer] for part in parts])
            for layer in first.biases
            if all(layer in part.biases for part in parts)
        },
    )


def _layers_joined(parts: Sequence[Maps]) -> Maps:
    return replace(
        parts[0],
        values={key: maps for part in parts for key, maps in part.values.items()},
        biases={layer: bias for part in parts for layer, bias in part.biases.items()},
    )


def _moved(maps: Maps, device: torch.device) -> Maps:
    return replace(
        maps,
        logits=maps.logits.to(device),
        values={key: each.to(device) for key, each in maps.values.items()},
        biases={layer: bias.to(device) for layer, bias in maps.biases.items()},
    )


@contextmanager
def _weights_on_cpu(network: nn.Module) -> Iterator[None]:
    """Lend a network copies of its weights on the CPU.

    Parameters and buffers stay the objects they are. Their own values stay on their device, so that to
    give them back needs no memory and cannot fail; what ran out there is not needed meanwhile.
    """
    home = [(weight, weight.data) for weight in [*network.parameters(), *network.buffers()]]
    with as_found(network, torch.device("cpu")):
        try:
            for weight, values in home:
                weight.data = values.cpu()
            yield
        finally:
            for weight, values in home:
                weight.data = values
