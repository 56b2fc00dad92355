"""What may be stated, by key, and how each value is read; docs/statements.md says it for users."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from voxcam.core.answer import ACTIVATIONS, AGGREGATES
from voxcam.errors import ClassifierError

AXES = ("i", "j", "k")


def is_whole(value: object) -> bool:
    """Whether `value` is an integer, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refused(key: str, expected: str, found: object) -> ClassifierError:
    return ClassifierError(f"the statement {key!r} should be {expected}, found {str(found)[:60]!r}")


def _text(key: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise _refused(key, "text", value)
        return value

    return read


def _one_of(key: str, choices: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise _refused(key, f"one of {', '.join(choices)}", value)
        return str(value)

    return read


def _classes(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        if sorted(value) != sorted(str(n) for n in range(len(value))):
            raise _refused("classes", '{"0": "first class", "1": ...}', value)
        value = [value[str(n)] for n in range(len(value))]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise _refused("classes", "a list of names", value)
    if len(set(value)) != len(value) or not value:
        raise ClassifierError(f"class names are empty or not distinct: {tuple(value)[:8]}")
    return tuple(value)


def _sequences(value: Any) -> tuple[str, ...]:
    return _classes(value)


def _temperature(value: Any) -> float:
    if not _is_number(value) or value <= 0:
        raise _refused("temperature", "a number above 0", value)
    return float(value)


def _thresholds(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or not all(_is_number(least) for least in value.values()):
        raise _refused("thresholds", "an object of class names and numbers", value)
    return {str(name): float(least) for name, least in value.items()}


def _background(value: Any) -> int | str:
    if not (isinstance(value, str) or (is_whole(value) and value >= 0)):
        raise _refused("background", "the name or index of a class", value)
    return cast("int | str", value)


def _range(value: Any) -> tuple[float, float]:
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))):
        raise _refused("input_range", "[lowest, highest]", value)
    if not value[0] < value[1]:
        raise _refused("input_range", "[lowest, highest]", value)
    return float(value[0]), float(value[1])


def _spacing(value: Any) -> tuple[tuple[float, float], ...]:
    """Take [[0.5, 1], [0.5, 1], [1, 5]], or [1, 1, 2] for exactly that."""
    entries = value if isinstance(value, list | tuple) else [None]
    pairs: list[Any] = [[entry, entry] if _is_number(entry) else entry for entry in entries]
    for pair in pairs:
        good = isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_is_number, pair))
        if not good or not 0 < pair[0] <= pair[1]:
            raise _refused("input_spacing_mm", "[smallest, largest] of each axis, in mm", value)
    return tuple((float(low), float(high)) for low, high in pairs)


def _channels(value: Any) -> int:
    if not is_whole(value) or value < 1:
        raise _refused("input_channels", "a whole number from 1 on", value)
    return int(value)


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise _refused("input_shape", "2 or 3 whole numbers", value)
    if not all(is_whole(n) and n > 0 for n in value):
        raise _refused("input_shape", "2 or 3 whole numbers", value)
    return tuple(value)


def _axis(value: Any) -> int:
    if value in AXES:
        return AXES.index(value)
    if not is_whole(value) or value not in (0, 1, 2):
        raise _refused("slices_along", "i, j or k", value)
    return int(value)


def _neighbours(value: Any) -> int:
    if not is_whole(value) or value < 1 or value % 2 == 0:
        raise _refused("neighbours", "an odd number of slices", value)
    return int(value)


STATED: dict[str, Callable[[Any], Any]] = {
    "name": _text("name"),
    "classes": _classes,
    "negative": _text("negative"),
    "activation": _one_of("activation", ACTIVATIONS),
    "temperature": _temperature,
    "thresholds": _thresholds,
    "aggregate": _one_of("aggregate", tuple(AGGREGATES)),
    "background": _background,
    "output_unit": _text("output_unit"),
    "default_layer": _text("default_layer"),
    "input_modality": _text("input_modality"),
    "input_unit": _text("input_unit"),
    "input_range": _range,
    "input_spacing_mm": _spacing,
    "input_channels": _channels,
    "input_shape": _shape,
    "sequences": _sequences,
    "slices_along": _axis,
    "neighbours": _neighbours,
}
