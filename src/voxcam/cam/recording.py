"""A forward pass whose trunk keeps no graph, ready to be differentiated from the logits back to a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxcam.cam.as_found import as_found, plain
from voxcam.cam.layers import find_layer, refuse_torchscript, why_no_map
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, eq=False)
class Recording:
    """What a forward pass left behind; its graph reaches from the logits to the layers and no further.

    Attributes
    ----------
    logits
        (B, K), in the network's own dtype, with their graph.
    outputs
        By layer name, (B, C, *grid) in the layer's own dtype: the ends of the graph. Private copies,
        which nothing the network does in place can reach.
    """

    logits: Tensor
    outputs: Mapping[str, Tensor]

    def activations(self, layer: str) -> Tensor:
        """Return the output of `layer`, without graph, in float32 or better."""
        return single_or_better(self.outputs[layer].detach())


@contextmanager
def recorded(network: nn.Module, inputs: Tensor, layers: Sequence[str]) -> Iterator[Recording]:
    """Run `network` once and yield its `Recording`; the network is back as it was found afterwards.

    Up to the earliest of `layers` no graph is kept: that layer's hook cuts its output loose and
    switches grad on. Parameters may be frozen, and the caller may be in no_grad, inference mode or
    autocast; the block itself runs outside autocast, for gradients to be reduced in full precision.

    Parameters
    ----------
    network
        Takes (B, C, *space), gives logits: (B, K), or a tuple or list that starts with them, or a
        mapping that holds them as ``"logits"`` or as its only value. Samples must not mix.
    inputs
        (B, C, *space).
    layers
        Dotted names of submodules that run once and put out (B, C, *grid).

    Raises
    ------
    ExplainError
        A layer is unknown, does not run exactly once or has no grid; the output is not logits; or
        logits or activations are not finite.
    """
    refuse_torchscript(network)
    if not layers:
        raise ExplainError("expected at least one layer, found none")
    modules = {name: find_layer(network, name) for name in layers}
    with as_found(network, inputs.device):
        inputs = plain(inputs)
        recording = _run(network, inputs, modules)
        if not recording.logits.requires_grad:
            # A layer inside the network's own no_grad: that switched grad off again on its end. With
            # grad on from the start it is on again there, and inside there still is no graph.
            with torch.enable_grad():
                recording = _run(network, inputs, modules)
        _require_finite(recording)
        with torch.autocast(inputs.device.type, enabled=False):
            yield recording


def single_or_better(tensor: Tensor) -> Tensor:
    """Return `tensor` in float32, or in its own dtype if that is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def all_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; needs no memory of the tensor's size."""
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _run(network: nn.Module, inputs: Tensor, modules: Mapping[str, nn.Module]) -> Recording:
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in modules.items():
            tap = partial(_tap, name=name, inputs=inputs, outputs=outputs)
            hooks.callback(module.register_forward_hook(tap).remove)
        output = _call(network, inputs)
    for name in modules:
        if name not in outputs:
            raise ExplainError(
                f"layer {name!r} did not run in this forward pass; "
                "voxcam.cam.candidate_layers lists the layers that do"
            )
    return Recording(_logits_in(output, len(inputs)), {name: outputs[name] for name in modules})


def _tap(
    module: nn.Module, _args: object, output: object, *, name: str, inputs: Tensor, outputs: dict[str, Tensor]
) -> Tensor:
    """Record a layer's output, and hand the network a copy that stems from the record."""
    if name in outputs:
        raise ExplainError(
            f"layer {name!r} runs more than once in a forward pass, so its map would be ambiguous; "
            "take the layer around it, or one of voxcam.cam.candidate_layers"
        )
    problem = why_no_map(module, output, inputs)
    if problem is not None or not isinstance(output, Tensor):
        raise ExplainError(
            f"layer {name!r} {problem}; expected (B, C, *grid), as those of voxcam.cam.candidate_layers have"
        )
    torch.set_grad_enabled(True)
    # The network may run this layer in its own inference mode, whose tensors cannot enter a graph.
    with torch.inference_mode(False), torch.enable_grad():
        # Before the earliest layer nothing requires grad: there the graph begins.
        follows = output.requires_grad
        outputs[name] = output.clone() if follows else output.detach().clone().requires_grad_()
        # A copy once more: an in-place ReLU may follow (MONAI's DenseNet after `features`), which must
        # neither change the record nor meet a leaf of the graph.
        return outputs[name].clone()


def _call(network: nn.Module, inputs: Tensor) -> object:
    """Call `network`, with stand-ins for weights made in inference mode: those cannot enter a graph."""
    weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    stand_ins = {name: weight.clone() for name, weight in weights.items() if weight.is_inference()}
    if stand_ins:
        return torch.func.functional_call(network, stand_ins, (inputs,))
    return network(inputs)


def _logits_in(output: object, batch: int) -> Tensor:
    found = _first(output)
    if isinstance(found, Tensor) and found.ndim == 2 and len(found) == batch and found.shape[1] > 0:
        return found
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


def _require_finite(recording: Recording) -> None:
    for name, output in recording.outputs.items():
        if not all_finite(output.detach()):
            raise ExplainError(
                f"layer {name!r} puts out NaN or infinity; look for such values in the input, "
                "or run the network in float32"
            )
    if not all_finite(recording.logits.detach()):
        raise ExplainError(
            "the network's logits hold NaN or infinity; look for such values in the input, "
            "or run the network in float32"
        )
