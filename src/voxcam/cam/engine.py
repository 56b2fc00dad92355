"""The door: every class by every method at every layer asked, from one pass and what a method asks beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from voxcam.cam.asking.inquiry import Inquiry, autocast_state
from voxcam.cam.asking.passes import Counter
from voxcam.cam.asking.subject import Subject
from voxcam.cam.layers import layer_for
from voxcam.cam.maps import NO_LAYER, Key, Maps
from voxcam.cam.methods import FUSION, GRADIENT, LAYER, NETWORK, known_methods, known_options, passes_of
from voxcam.cam.methods.fusion import BASE
from voxcam.cam.tracing.as_found import as_found, plain, require_inputs
from voxcam.cam.tracing.gradients import class_gradients, known_classes, linear_heads
from voxcam.cam.tracing.heads import require_linear_head
from voxcam.cam.tracing.recording import Recording, all_finite, logits_in, recorded, single_or_better
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from voxcam.cam.tracing.heads import LinearHead

    Classes = Sequence[int] | Sequence[Sequence[int]] | Tensor | None
    Options = Mapping[str, Mapping[str, Any]]
    Progress = Callable[[int, int], None]


def class_maps(  # noqa: PLR0913 - the one door; what is rarely asked is keyword-only
    network: nn.Module,
    inputs: Tensor,
    layer: str | Sequence[str] | None = None,
    methods: str | Sequence[str] = ("grad-cam",),
    classes: Classes = None,
    *,
    chunk: int | None = None,
    options: Options | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Maps:
    """Return the maps of all classes by all methods, from one forward pass and what a method asks beside.

    Gradients are taken a chunk of classes at a time and dropped once weighed, so memory does not grow
    with the number of classes. The network is left as it was found.

    Parameters
    ----------
    network
        Any eager module from (B, C, *space) to logits (B, K), 1D to 3D; see `voxcam.cam.tracing.recording`
        for other outputs. Samples must not mix, as in any network in evaluation mode.
    inputs
        (B, C, *space).
    layer
        A layer's name, or several; see `candidate_layers`. None for `default_layer` of these.
    methods
        Keys of `METHODS`.
    classes
        Columns of the logits, the same for every sample or one row for each; None for all.
    chunk
        Classes differentiated together; by default as many as fit in 256 MiB of gradients.
    options
        By method, its own keyword arguments: ``{"occlusion": {"size": 16}}``.
    seed
        Of what a method draws; the same seed gives the same maps.
    progress
        Called with (passes done, passes in all), a pass being one sample through the network beyond the
        first; an exception it raises ends the work. `voxcam.cam.plan` says beforehand how many there are.

    Raises
    ------
    ExplainError
        A method, option, layer or class is unknown or unfit, or a value is not finite.
    """
    asked = known_methods((methods,) if isinstance(methods, str) else methods)
    known_options(asked, options or {})
    require_inputs(inputs)
    call = _Call(network, inputs, asked, options or {}, seed, progress, chunk, autocast_state(inputs.device))
    if not call.of(GRADIENT, LAYER, FUSION):
        return _without_layers(call, classes)
    if layer is None:
        layer = layer_for(network, inputs[:1]).name
    layers = (layer,) if isinstance(layer, str) else tuple(dict.fromkeys(layer))
    if call.of(FUSION) and len(layers) < 2:
        raise ExplainError(
            f"{call.of(FUSION)[0]} joins several layers, found {len(layers)}; name more of them"
        )
    return _at_layers(call, layers, classes)


@dataclass(frozen=True)
class _Call:
    """What was asked, less the layers and classes."""

    network: nn.Module
    inputs: Tensor
    methods: tuple[str, ...]
    options: Options
    seed: int
    progress: Progress | None
    chunk: int | None
    autocast: tuple[bool, torch.dtype]

    def of(self, *kinds: Mapping[str, object]) -> list[str]:
        """Return the methods asked that are of some kinds."""
        return [method for method in self.methods if any(method in kind for kind in kinds)]

    def inquiry(self, all_logits: Tensor, classes: Tensor, channels: Sequence[int]) -> Inquiry:
        """Return what asks the network again, with a counter that knows how often it will."""
        samples, space = len(self.inputs), tuple(self.inputs.shape[2:])
        total = passes_of(self.methods, samples, classes.shape[1], space, channels, self.options)
        counter = Counter(sum(total.values()), self.progress)
        inputs = plain(self.inputs)
        return Inquiry(self.network, inputs, all_logits, classes, self.seed, counter, self.autocast)


def _at_layers(call: _Call, layers: Sequence[str], classes: Classes) -> Maps:
    """Record one pass, and take from it what every method needs."""
    with recorded(call.network, call.inputs, layers, taped=bool(call.of(LAYER))) as recording:
        asked = known_classes(recording.logits, classes)
        channels = [recording.layouts[name].channels for name in layers]
        inquiry = call.inquiry(recording.logits.detach(), asked, channels)
        heads = linear_heads(recording)
        values = _by_gradients(call, recording, asked, heads, layers)
        values |= _by_fusion(call, values, layers)
        values |= _by_asking_about_layers(call, inquiry, recording, layers)
        values |= _by_asking_the_network(call, inquiry)
        columns = asked.to(recording.logits.device)
        biases = {name: head.bias(recording).gather(1, columns) for name, head in heads.items()}
        logits = single_or_better(recording.logits.detach())
    kept = {key: maps.float() for key, maps in values.items() if key[0] in call.methods}
    return Maps(logits.float(), asked, tuple(layers), call.methods, kept, biases)


def _without_layers(call: _Call, classes: Classes) -> Maps:
    """Ask the network as a whole; no layer is recorded."""
    with as_found(call.network, call.inputs.device):
        output = call.network(plain(call.inputs))
        logits = single_or_better(logits_in(output, len(call.inputs)))
        if not all_finite(logits):
            raise ExplainError("the network's logits hold NaN or infinity; look for such values in the input")
        asked = known_classes(logits, classes)
        values = _by_asking_the_network(call, call.inquiry(logits, asked, []))
    return Maps(logits.float(), asked, (), call.methods, {key: maps.float() for key, maps in values.items()})


def _by_gradients(
    call: _Call,
    recording: Recording,
    classes: Tensor,
    heads: Mapping[str, LinearHead],
    layers: Sequence[str],
) -> dict[Key, Tensor]:
    """Weigh the activations by the gradients, a chunk of classes at a time."""
    methods = list(dict.fromkeys(call.of(GRADIENT) + [BASE] * bool(call.of(FUSION))))
    if not methods:
        return {}
    for name in layers if "cam" in methods else ():
        require_linear_head(recording, name)
    activations = {name: recording.activations(name) for name in layers}
    values = {
        (method, name): _empty_maps(activations[name], classes.shape[1])
        for method in methods
        for name in layers
    }
    for part, gradients in class_gradients(recording, classes, call.chunk, heads):
        for (method, name), maps in values.items():
            maps[:, part] = GRADIENT[method](activations[name], gradients[name])
        del gradients  # or this chunk would still be held while the next one is differentiated
    return values


def _by_fusion(call: _Call, values: Mapping[Key, Tensor], layers: Sequence[str]) -> dict[Key, Tensor]:
    return {
        (method, "+".join(layers)): FUSION[method]([values[BASE, name] for name in layers])
        for method in call.of(FUSION)
    }


def _by_asking_about_layers(
    call: _Call, inquiry: Inquiry, recording: Recording, layers: Sequence[str]
) -> dict[Key, Tensor]:
    subjects = {name: Subject(inquiry, recording, name) for name in layers}
    return {
        (method, name): LAYER[method](subject, **call.options.get(method, {}))
        for method in call.of(LAYER)
        for name, subject in subjects.items()
    }


def _by_asking_the_network(call: _Call, inquiry: Inquiry) -> dict[Key, Tensor]:
    return {
        (method, NO_LAYER): NETWORK[method](inquiry, **call.options.get(method, {}))
        for method in call.of(NETWORK)
    }


def _empty_maps(activations: Tensor, classes: int) -> Tensor:
    batch, _, *grid = activations.shape
    return torch.empty((batch, classes, *grid), dtype=torch.float32, device=activations.device)
