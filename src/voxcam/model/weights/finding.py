"""The state dict among what a trainer saved beside it: epochs, optimizers, averaged copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from voxcam.model.weights.refusals import Refusal, shown

Leaf = TypeVar("Leaf")

# Where trainers put a network's weights: PyTorch's tutorials, Lightning, MONAI, nnU-Net, DeepSpeed, timm.
PLAIN_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "network_weights",
    "network_state_dict",
    "model",
    "network",
    "net",
    "module",
    "weights",
)
# Running averages of the weights, kept beside them.
AVERAGED_KEYS = (
    "ema",
    "ema_state_dict",
    "ema_model",
    "ema_network",
    "ema_weights",
    "model_ema",
    "model_ema_state_dict",
    "network_ema",
    "state_dict_ema",
    "averaged_model",
    "swa_model",
)
_OPTIMIZER_KEYS = frozenset(["state", "param_groups"])
_DEEPEST = 4
_SHOWN_KEYS = 6


@dataclass(frozen=True)
class Found(Generic[Leaf]):
    """A state dict, and what was noted on the way to it."""

    state: dict[str, Leaf]
    notes: tuple[str, ...] = ()


def find_state(tree: object, is_weight: Callable[[object], bool], depth: int = 0) -> Found[Leaf]:
    """Return the state dict that a checkpoint is, or holds.

    Parameters
    ----------
    tree
        A state dict, or nested dictionaries as trainers save them.
    is_weight
        Tells a weight from everything else.

    Raises
    ------
    Refusal
        If there is none, or more than one to choose from.
    """
    if not isinstance(tree, Mapping):
        raise Refusal(
            f"holds no state dict but {_kind(tree)}: save network.state_dict() as model.safetensors"
        )
    if not tree:
        raise Refusal("holds no state dict: it is an empty dictionary")
    if any(is_weight(value) for value in tree.values()):
        return Found(_flat(tree, is_weight))
    if depth >= _DEEPEST:
        raise Refusal("holds no state dict: its dictionaries go too deep")
    key, notes = _chosen(tree)
    found: Found[Leaf] = find_state(tree[key], is_weight, depth + 1)
    return Found(found.state, (*notes, *found.notes))


def _flat(tree: Mapping[object, object], is_weight: Callable[[object], bool]) -> dict[str, Leaf]:
    for name, value in tree.items():
        if not isinstance(name, str):
            raise Refusal(f"holds no state dict: {shown(repr(name), 40)} among its names is no text")
        if not is_weight(value):
            raise Refusal(f"holds no state dict alone: {shown(name)!r} in it is {_kind(value)}, not a tensor")
    return cast("dict[str, Leaf]", dict(tree))


def _chosen(tree: Mapping[object, object]) -> tuple[object, tuple[str, ...]]:
    plain, averaged = _full(tree, PLAIN_KEYS), _full(tree, AVERAGED_KEYS)
    if len(plain) > 1:
        raise Refusal(
            f"holds several state dicts ({_listed(plain)}): save the one meant alone, as model.safetensors"
        )
    if plain:
        notes = [f"the weights are those under {plain[0]!r}"]
        notes += [f"averaged weights under {key!r} were left alone" for key in averaged]
        return plain[0], tuple(notes)
    if len(averaged) == 1:
        return averaged[0], (f"the weights are averaged ones, under {averaged[0]!r}: there are no others",)
    raise Refusal(_nothing_found(tree))


def _nothing_found(tree: Mapping[object, object]) -> str:
    keys = [key for key in tree if isinstance(key, str)]
    if _OPTIMIZER_KEYS & set(keys) or (keys and all("optim" in key or "sched" in key for key in keys)):
        return (
            "holds the state of an optimizer and no weights: save network.state_dict() as model.safetensors"
        )
    return (
        f"holds no state dict that is known as one (it has {_listed(keys) or 'no names'}): save "
        "network.state_dict() as model.safetensors"
    )


def _full(tree: Mapping[object, object], keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if isinstance(tree.get(key), Mapping) and tree[key]]


def _listed(keys: list[str]) -> str:
    names = [repr(shown(key, 40)) for key in keys[:_SHOWN_KEYS]]
    return ", ".join(names) + (", ..." if len(keys) > _SHOWN_KEYS else "")


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if not isinstance(value, dict | list | tuple | str | bytes | int | float):
        return "an object"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
