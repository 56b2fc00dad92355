"""The dry run on load: one forward pass that shows whether a network can serve as a classifier."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voxcam import cam
from voxcam.errors import ClassifierError, ExplainError
from voxcam.model.networks import stated_size
from voxcam.model.networks.messages import in_one_line
from voxcam.model.networks.watching import RANDOM, draws_numbers, watched
from voxcam.model.opaque import Opaque

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTPUTS_LIMIT = 100_000
# Voxels of an example: 512^3 is 0.5 GB a channel.
VOXELS_LIMIT = 2**27
# Tried in turn where no size is stated. In 3D 64 comes first: at 32 the last stage of a DenseNet is one
# unit, and a layer before it would be taken for the best.
SIZES = {2: (64, 96, 128, 224), 3: (64, 96, 48, 32)}
_SQUASHING = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Tanh)


@dataclass(frozen=True)
class Contract:
    """What a network was found to do.

    Parameters
    ----------
    outputs
        How many classes it puts out.
    example_shape
        The input it was run on: (1, channels, *space).
    layers
        Names of the layers that can carry a map, in the order in which they finish.
    notes
        What a reader should know; each a sentence.
    """

    outputs: int
    example_shape: tuple[int, ...]
    layers: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_contract(
    network: nn.Module, example_shape: tuple[int, ...], classes: int | None = None
) -> Contract:
    """Run `network` over zeros once and say what it is, or what is wrong with it.

    The pass runs in eval mode and without a graph. What the network changed of itself, of its input or of
    torch's settings is put back before it is named.

    Parameters
    ----------
    example_shape
        (1, channels, *space); `workable_shape` gives the space.
    classes
        How many classes are named; None if they are not.

    Raises
    ------
    ClassifierError
        If it cannot run on the shape, puts out anything but one finite number for each class, or changes
        what it was not asked to change. One line.
    """
    example_shape = tuple(example_shape)
    _refuse_shape(example_shape)
    inputs = _zeros(network, example_shape)
    version = inputs._version  # counts in-place operations, also those that leave zeros zero
    with watched(network) as changed:
        output = _ran(network, inputs)
    if inputs._version != version or inputs.count_nonzero():
        changed.append("its own input (an in-place operation)")
    if RANDOM in changed and not draws_numbers(network, _zeros(network, example_shape)):
        changed.remove(RANDOM)
    logits, notes = _logits_of(output)
    if changed:
        raise _broken(f"running it changed {', '.join(changed)}; a map needs the same network each time")
    _refuse_logits(logits, classes)
    return Contract(
        logits.shape[1], example_shape, _layers(network, example_shape), (*notes, *_notes(network))
    )


def workable_shape(
    network: nn.Module, rank: int, channels: int, stated: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Return the voxels along each axis of an input that the network can run on.

    Those stated, where there are `rank` of them; else the size the network is bound to (ViT, Classifier);
    else the first of `SIZES` that runs.

    Raises
    ------
    ClassifierError
        If none of these sizes runs.
    """
    if stated and len(stated) == rank:
        return tuple(stated)
    bound = stated_size(network)
    return bound or _first_that_runs(network, rank, channels)


def _first_that_runs(network: nn.Module, rank: int, channels: int) -> tuple[int, ...]:
    for size in SIZES[rank]:
        space = (size,) * rank
        try:
            with watched(network):
                _ran(network, _zeros(network, (1, channels, *space)))
        except ClassifierError as error:
            why = str(error)
        else:
            return space
    raise ClassifierError(
        f"no input size is stated, and none of {', '.join(map(str, SIZES[rank]))} voxels an axis runs: state "
        f"input_shape ({why})"
    )


def _refuse_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (4, 5) or not all(type(size) is int and size > 0 for size in shape):
        raise ClassifierError(
            f"expected an example as (1, channels, height, width) or with depth, found {shape}"
        )
    if torch.Size(shape).numel() > VOXELS_LIMIT:
        raise ClassifierError(
            f"expected a network that runs on at most {VOXELS_LIMIT:,} voxels at once, found {_by(shape)}; "
            "give the bundle smaller windows (inferer, roi_size)"
        )


def _zeros(network: nn.Module, shape: tuple[int, ...]) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    return torch.zeros(shape, dtype=like.dtype, device=like.device)


def _ran(network: nn.Module, inputs: Tensor) -> Any:
    shape = tuple(inputs.shape)
    try:
        return network(inputs)
    except Exception as error:
        raise _broken(_why_not(network, shape, error)) from None


def _why_not(network: nn.Module, shape: tuple[int, ...], error: Exception) -> str:
    """Turn torch's message into one about the input, where it is about the input."""
    message = in_one_line(error, 1_000)
    channels = re.search(r"to have (\d+) channels, but got (\d+) channels", message)
    if channels:
        return f"expected an input of {channels[1]} channels, found {channels[2]}"
    bound = stated_size(network)
    if bound and bound != shape[2:]:
        return f"expected an input of {_by(bound)} voxels, found {_by(shape[2:])}"
    too_small = (
        "Kernel size can't be greater|[Oo]utput size is too small|more than 1 spatial element|"
        "more than 1 value per channel|smaller than kernel|non-empty 3D or 4D|non-zero size"
    )
    if re.search(too_small, message):
        return (
            f"expected an input of at least {_larger(network, shape)} voxels an axis, found {_by(shape[2:])}"
        )
    kind = type(error).__name__
    return f"it does not run on an input of {_by(shape)}: {kind}: {in_one_line(error)}"


def _larger(network: nn.Module, shape: tuple[int, ...]) -> str:
    """Return the smallest size of an axis, by halving, that runs; or that it is more than was found."""
    low, high = min(shape[2:]), 256 if len(shape) == 4 else 128
    if not _runs(network, shape, high):
        return f"more than {low}"
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _runs(network, shape, middle) else (middle, high)
    return str(high)


def _runs(network: nn.Module, shape: tuple[int, ...], least: int) -> bool:
    try:
        network(_zeros(network, (*shape[:2], *[max(size, least) for size in shape[2:]])))
    except Exception:  # the first one is told
        return False
    return True


def _logits_of(output: Any) -> tuple[Tensor, list[str]]:
    """Return the logits in what the network puts out, with a note where they were not all of it."""
    if isinstance(output, Tensor):
        return output, []
    if isinstance(output, list | tuple) and output and isinstance(output[0], Tensor):
        more = len(output) - 1
        return output[0], [f"puts out {more} more beside the logits, which are left alone"] if more else []
    if isinstance(output, dict):
        keys = ", ".join(repr(str(key)[:40]) for key in list(output)[:6])
        raise _broken(f"expected logits (n, classes), found a dictionary with {keys or 'nothing'}")
    raise _broken(f"expected logits (n, classes), found a {type(output).__name__}")


def _refuse_logits(logits: Tensor, classes: int | None) -> None:
    shape = tuple(logits.shape)
    if logits.ndim != 2:
        kind = "; it labels voxels, not the whole" if logits.ndim > 3 else ""
        raise _broken(f"expected logits (n, classes), found an output of shape {shape}{kind}")
    if shape[0] != 1 or not shape[1]:
        raise _broken(f"expected logits of one input and at least one class, found shape {shape}")
    if shape[1] > OUTPUTS_LIMIT:
        raise _broken(f"expected at most {OUTPUTS_LIMIT:,} outputs, found {shape[1]:,}")
    if classes is not None and shape[1] != classes:
        raise _broken(
            f"it puts out {shape[1]} numbers, the bundle names {classes} classes: correct channel_def in "
            "metadata.json"
        )
    if not logits.is_floating_point():
        raise _broken(f"expected logits in floating point, found {str(logits.dtype).removeprefix('torch.')}")
    if not bool(torch.isfinite(logits).all()):
        raise _broken(
            "of an input of zeros it puts out NaN or infinity: its weights are damaged, or it divides by "
            "the spread of its input"
        )


def _layers(network: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    if isinstance(network, Opaque | torch.jit.ScriptModule):
        return ()
    try:
        return tuple(layer.name for layer in cam.candidate_layers(network, shape))
    except ExplainError as error:
        raise ClassifierError(str(error)) from error


def _notes(network: nn.Module) -> Iterator[str]:
    modules = [module for module in network.modules() if not any(True for _ in module.children())]
    if modules and isinstance(modules[-1], _SQUASHING):
        kind = type(modules[-1]).__name__
        yield f"ends in {kind}: what VoxCAM takes for logits went through it, and so do the maps"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _broken(why: str) -> ClassifierError:
    return ClassifierError(f"the network cannot serve as a classifier: {why}")
