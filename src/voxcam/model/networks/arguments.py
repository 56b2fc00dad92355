"""A network's arguments: plain values, known by name, and none that would fetch or trace anything."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError
from voxcam.model.networks.catalogue import DROPPED, entry_of

if TYPE_CHECKING:
    from voxcam.model.networks.catalogue import CatalogueEntry

DEPTH_LIMIT = 8
VALUES_LIMIT = 10_000
WHOLE_NUMBER_LIMIT = 2**31
STRING_LIMIT = 200
# Given to a layer, these would place it elsewhere or make it of other numbers than float32.
_PLACING = frozenset({"device", "dtype"})


@dataclass(frozen=True)
class StatedInput:
    """The input a network was built for.

    Parameters
    ----------
    rank
        Spatial axes, 2 or 3.
    channels
        Channels.
    size
        Voxels along each axis, where the network is bound to them; else None.
    """

    rank: int
    channels: int
    size: tuple[int, ...] | None = None


def checked_arguments(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `arguments` that may be given to MONAI's network `name`, which the catalogue knows.

    What would only download weights is left out; ``pretrained`` is False wherever MONAI takes it.

    Raises
    ------
    ClassifierError
        If one is unknown, no plain value, or makes the network something else than a classifier.
    """
    entry = entry_of(name)
    kept = {key: value for key, value in arguments.items() if key not in DROPPED and key != "_desc_"}
    _refuse_unknown(name, entry, kept)
    _refuse_all_but_plain(name, kept)
    for key, (value, otherwise) in entry.demanded.items():
        _refuse_unless_demanded(name, kept, key, value, otherwise)
    for key, choices in entry.choices.items():
        if key in kept and not (isinstance(kept[key], str) and kept[key] in choices):
            raise _unfit(name, f"{key} {str(kept[key])[:40]!r} is none of {', '.join(sorted(choices))}")
    if "pretrained" in entry.positional:
        kept["pretrained"] = False
    return copy.deepcopy(kept)


def stated_input(name: str, arguments: dict[str, Any]) -> StatedInput:
    """Return the input that checked arguments ask for.

    Raises
    ------
    ClassifierError
        If the number of spatial axes or channels is not said, or is not one the network is offered for.
    """
    entry = entry_of(name)
    rank, channels, size = _stated(entry, arguments)
    if not _is_count(rank) or rank not in entry.ranks:
        offered = " or ".join(map(str, entry.ranks))
        raise _unfit(
            name, f"VoxCAM offers it for {offered} spatial axes ({entry.rank}), found {str(rank)[:40]}"
        )
    if not _is_count(channels):
        raise _unfit(name, f"expected a number of channels ({entry.channels}), found {str(channels)[:40]}")
    return StatedInput(rank, channels, _sizes(name, entry, size, rank))


def _refuse_unknown(name: str, entry: CatalogueEntry, arguments: dict[str, Any]) -> None:
    known = [key for key in (*entry.positional, *entry.keywords) if key not in DROPPED]
    for key in arguments:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
            raise _unfit(name, f"it takes no argument {str(key)[:60]!r}; {hint}")


def _refuse_all_but_plain(name: str, arguments: dict[str, Any]) -> None:
    waiting: list[tuple[str, Any, int]] = [(key, value, 1) for key, value in arguments.items()]
    seen = 0
    while waiting:
        key, value, depth = waiting.pop()
        seen += 1
        if depth > DEPTH_LIMIT or seen > VALUES_LIMIT:
            raise _unfit(name, f"{key} is nested too deep or too long")
        if isinstance(value, dict):
            _refuse_keys(name, key, value)
            waiting += [(key, part, depth + 1) for part in value.values()]
        elif isinstance(value, list | tuple):
            waiting += [(key, part, depth + 1) for part in value]
        elif not _is_plain(value):
            raise _unfit(
                name,
                f"{key} is {str(value)[:40]!r} ({type(value).__name__}); expected numbers below "
                f"{WHOLE_NUMBER_LIMIT:,}, short strings, true, false, null, and lists of them",
            )


def _refuse_keys(name: str, key: str, value: dict[Any, Any]) -> None:
    for own in value:
        if not isinstance(own, str) or own in _PLACING:
            raise _unfit(name, f"{key} has {str(own)[:40]!r}, which VoxCAM does not give to a layer")


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= STRING_LIMIT
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (type(value) in (int, bool) and abs(value) < WHOLE_NUMBER_LIMIT)


def _refuse_unless_demanded(
    name: str, arguments: dict[str, Any], key: str, value: Any, otherwise: str
) -> None:
    is_said = key in arguments
    # ViT alone is no classifier by default.
    if (is_said and arguments[key] != value) or (not is_said and key == "classification"):
        found = repr(arguments[key])[:40] if is_said else "nothing"
        raise _unfit(name, f"expected {key} to be {value!r}, found {found}: it {otherwise}")


def _stated(entry: CatalogueEntry, arguments: dict[str, Any]) -> tuple[Any, Any, Any]:
    if entry.rank == "in_shape":
        shape = arguments.get("in_shape")
        shape = list(shape) if isinstance(shape, list | tuple) else [None]
        return len(shape) - 1, shape[0] if shape else None, shape[1:]
    rank = arguments.get(entry.rank, entry.default_rank)
    channels = arguments.get(entry.channels, entry.default_channels) if entry.channels else None
    return rank, channels if entry.channels else entry.default_channels, arguments.get(entry.size)


def _sizes(name: str, entry: CatalogueEntry, size: Any, rank: int) -> tuple[int, ...] | None:
    if not entry.size:
        return None
    sizes = [size] * rank if isinstance(size, int) else size
    if not isinstance(sizes, list | tuple) or len(sizes) != rank or not all(map(_is_count, sizes)):
        raise _unfit(name, f"expected {rank} sizes ({entry.size}), found {str(size)[:40]!r}")
    return tuple(sizes)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _unfit(name: str, why: str) -> ClassifierError:
    return ClassifierError(f"network {name} cannot be built from network_def: {why}")
