"""A state dict into a network: all of it or nothing, and never by guessing."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError
from voxcam.model.weights.finding import find_state
from voxcam.model.weights.numbers import is_finite
from voxcam.model.weights.refusals import Refusal, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from voxcam.model.weights.finding import Found

# What DataParallel, Lightning modules, trainers and torch.compile put before every name.
PREFIXES = ("module.", "model.", "net.", "network.", "_orig_mod.")

# Of swa_utils.AveragedModel: how many states were averaged.
_AVERAGED_COUNT = "n_averaged"
_AVERAGED_PREFIXES = ("ema.", "ema_model.", "model_ema.")
_MOST_PREFIXES = 5
_MOST_COMPARED = 2000
# Batch norms before torch 0.4.1 kept no count of batches; it says nothing about what the network computes.
_COUNTER = "num_batches_tracked"


def fit_weights(network: nn.Module, state: Mapping[str, Any]) -> tuple[str, ...]:
    """Put weights into a network: every entry, or none.

    Parameters
    ----------
    network
        Takes the numbers in its own types (float16, bfloat16 and float64 come as its float32), on its own
        device.
    state
        A state dict, or a trainer's dictionary that holds one.

    Returns
    -------
        What was done beyond copying, a line each.

    Raises
    ------
    ClassifierError
        Naming the first entry that is missing, too much or of another shape, and the nearest there is.
    """
    import torch

    try:
        found: Found[Tensor] = find_state(state, lambda value: isinstance(value, torch.Tensor))
    except Refusal as refusal:
        raise refusal.of("the checkpoint") from None
    wanted = {name: value for name, value in network.state_dict().items() if isinstance(value, torch.Tensor)}
    weights, renamed = _renamed(found.state, wanted)
    weights, counted = _with_counters(weights, wanted)
    _check_names(weights, wanted)
    fitting = {name: _converted(name, weights[name], target) for name, target in wanted.items()}
    _load(network, fitting)
    return (*found.notes, *renamed, *counted, *_conversions(weights, wanted))


def _renamed(
    weights: dict[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the weights without the prefix that keeps them from fitting; as they are if none does.

    Where no prefix makes all names fit, the reading nearest to it is returned: the message is then about
    the entry that is truly missing.
    """
    best: tuple[dict[str, Tensor], tuple[str, ...]] = (weights, ())
    current, notes = _without_averaged(weights)
    for _ in range(_MOST_PREFIXES):
        if current.keys() == wanted.keys():
            return current, notes
        if len(current.keys() & wanted.keys()) > len(best[0].keys() & wanted.keys()):
            best = current, notes
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in current)), None)
        if prefix is None:
            break
        current = {name.removeprefix(prefix): value for name, value in current.items()}
        notes = (*notes, f"{prefix!r} was taken off the front of every name")
    return best


def _without_averaged(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Set aside averaged copies of the weights that lie among them, and the count of an average."""
    plain = {name: value for name, value in weights.items() if not name.startswith(_AVERAGED_PREFIXES)}
    notes: tuple[str, ...] = ()
    if plain and len(plain) < len(weights):
        prefix = next(p for p in _AVERAGED_PREFIXES if any(name.startswith(p) for name in weights))
        notes += (f"averaged weights under {prefix!r} were left alone",)
    plain = plain or dict(weights)
    if plain.pop(_AVERAGED_COUNT, None) is not None:
        notes += ("the weights are an average over training",)
    return plain, notes


def _with_counters(
    weights: dict[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    missing = [name for name in wanted if name not in weights and name.endswith("." + _COUNTER)]
    if not missing:
        return weights, ()
    note = f"{_COUNTER!r} is missing {len(missing)} times and stays as it was"
    return weights | {name: wanted[name] for name in missing}, (note,)


def _check_names(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    missing = [name for name in wanted if name not in weights]
    extra = [name for name in weights if name not in wanted]
    if not missing and not extra:
        return
    if missing:
        what = f"it has no {shown(missing[0])!r}{_nearest(missing[0], extra or list(weights), 'it')}"
    else:
        close = _nearest(extra[0], list(wanted), "the network")
        what = f"it has {shown(extra[0])!r}, which the network has not{close}"
    raise _misfit(f"{what} ({len(missing)} of {len(wanted)} entries missing, {len(extra)} too many)")


def _nearest(name: str, among: list[str], whose: str) -> str:
    close = difflib.get_close_matches(name, among[:_MOST_COMPARED], n=1, cutoff=0.4)
    return f"; the nearest {whose} has is {shown(close[0])!r}" if close else ""


def _converted(name: str, found: Tensor, target: Tensor) -> Tensor:
    if found.shape != target.shape:
        raise _misfit(f"{shown(name)!r} is {_extent(found)}, the network has {_extent(target)}")
    if found.is_quantized or found.is_floating_point() != target.is_floating_point():
        raise _misfit(f"{shown(name)!r} is {_type(found)}, the network has {_type(target)}")
    converted = found.detach().to(target.dtype)
    if not is_finite(converted):
        raise _misfit(f"{shown(name)!r} holds numbers that are not finite as {_type(target)}")
    return converted


def _load(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise _misfit(shown(error, 200)) from None


def _conversions(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[str, ...]:
    pairs = {(_type(weights[name]), _type(target)) for name, target in wanted.items()}
    return tuple(f"{before} became {after}" for before, after in sorted(pairs) if before != after)


def _extent(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _misfit(what: str) -> ClassifierError:
    return ClassifierError(
        f"the state dict does not fit the network: {what}; give the weights of this very network"
    )
