"""Arithmetic of expressions whose results stay small, and what it refuses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Entries of a list with all below it, or letters of a text.
SIZE = 10_000
_BITS = 256
_DIGITS = 20


class NotStaticError(Exception):
    """Only running the expression could tell; the message names the construct."""


class Steps:
    """How much may still be worked out: shared by all expressions of a section."""

    def __init__(self, left: int = 100_000) -> None:
        self._left = left

    def take(self, count: int = 1) -> None:
        """Take steps; raises NotStaticError where none are left."""
        self._left -= count
        if self._left < 0:
            raise NotStaticError("more steps than VoxCAM takes")


class WrongExpressionError(Exception):
    """The expression has no value; the message names the kind of error."""


def is_component(value: Any) -> bool:
    """Whether a value stands for an object MONAI would build: a section with a ``_target_``."""
    return isinstance(value, dict) and "_target_" in value


def plain(value: Any) -> Any:
    """Return `value`, if no object is in it: what an object is equal to or less than, only it could tell."""
    if is_component(value):
        raise NotStaticError("a comparison of objects")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        plain(part)
    return value


def size(value: Any) -> int:
    """Return how many values are in a value, letters of a text each; raises over `SIZE`."""
    left = [value]
    count = 0
    while left:
        part = left.pop()
        count += 1 if not isinstance(part, str | range) else max(1, len(part))
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            left += part
        elif isinstance(part, int) and part.bit_length() > _BITS:
            count = SIZE + 1
        if count + len(left) > SIZE:
            raise NotStaticError("a value that is too large")
    return count


def number(value: Any) -> Any:
    """Return `value` if it is a number."""
    if not isinstance(value, int | float):
        raise TypeError
    return value


def of_numbers(work: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return `work` on two numbers; ``%`` on a text would be a format string."""

    def on_numbers(left: Any, right: Any) -> Any:
        if isinstance(left, str):
            raise NotStaticError("a format string")
        return work(number(left), number(right))

    return on_numbers


def add(left: Any, right: Any) -> Any:
    """Return ``left + right`` of numbers, texts, lists or tuples."""
    for kind in (str, list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            return left + right  # type: ignore[operator]
    return number(left) + number(right)


def multiply(left: Any, right: Any) -> Any:
    """Return ``left * right`` of numbers, or of a text, list or tuple and a whole number."""
    if isinstance(right, str | list | tuple):
        left, right = right, left
    if not isinstance(left, str | list | tuple):
        return number(left) * number(right)
    if not isinstance(right, int):
        raise TypeError
    if len(left) * right > SIZE:
        raise NotStaticError("a value that is too large")
    return left * right


def power(base: Any, exponent: Any) -> Any:
    """Return ``base ** exponent`` of real numbers."""
    whole_numbers = isinstance(base, int) and isinstance(exponent, int)
    if whole_numbers and base.bit_length() * abs(exponent) > 4 * _BITS:
        raise NotStaticError("a power that is too large")
    found = number(base) ** number(exponent)
    if isinstance(found, complex):
        raise NotStaticError("a complex number")
    return found


def same(left: Any, right: Any) -> bool:
    """Return ``left is right`` where one is None, True or False: of others it depends on the interpreter."""
    if not any(side is single for side in (left, right) for single in (None, True, False)):
        raise NotStaticError("'is' between values")
    return left is right


def listed(value: Any) -> list[Any]:
    """Return the entries of a list, tuple, range, text or dict (its keys)."""
    if is_component(value):
        raise NotStaticError("a loop over an object")
    if not isinstance(value, list | tuple | range | str | dict):
        raise TypeError
    return list(value)


def mapping(value: Any) -> dict[Any, Any]:
    """Return a dict that is no object."""
    if is_component(value):
        raise NotStaticError("the parts of an object")
    if not isinstance(value, dict):
        raise TypeError
    return dict(value)


def length(value: Any) -> int:
    """Return how many entries `listed` would find."""
    return len(listed(value))


def counted_range(*bounds: Any) -> range:
    """Return a range that is not too long."""
    found = range(*bounds)
    if max(abs(bound) for bound in bounds) > 2**62 or len(found) > SIZE:
        raise NotStaticError("a value that is too large")
    return found


def rounded(value: Any, digits: Any = None) -> Any:
    """Return ``round(value, digits)``."""
    if digits is None:
        return round(number(value))
    if not isinstance(digits, int):
        raise TypeError
    if abs(digits) > _DIGITS:
        raise NotStaticError("a value that is too large")
    return round(number(value), digits)


def summed(values: Any, start: Any = 0) -> Any:
    """Return the sum of numbers."""
    total = number(start)
    for value in listed(values):
        total += number(value)
    return total


def text(value: Any = "") -> str:
    """Return ``str(value)`` of a single value."""
    if value is not None and not isinstance(value, str | int | float):
        raise NotStaticError("the text of more than one value")
    size(value)
    return str(value)


def whole(value: Any = 0) -> int:
    """Return ``int(value)`` of a number or a short text."""
    if isinstance(value, str):
        if len(value) > _BITS:
            raise NotStaticError("a value that is too large")
        return int(value)
    return int(number(value))


def real(value: Any = 0.0) -> float:
    """Return ``float(value)`` of a number or a text."""
    return float(value if isinstance(value, str) else number(value))


def truth(value: Any = False) -> bool:
    """Return ``bool(value)`` of a value that is no object."""
    return bool(plain(value))


def magnitude(value: Any) -> Any:
    """Return ``abs(value)`` of a number."""
    return abs(number(value))


def ordered(values: Any, reverse: Any = False) -> list[Any]:
    """Return ``sorted(values)``."""
    return sorted(plain(listed(values)), reverse=bool(reverse))


def extreme(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return `min` or `max` of arguments, or of the entries of the only one."""

    def of_plain(*values: Any) -> Any:
        return work(plain(listed(values[0]) if len(values) == 1 else list(values)))

    return of_plain


def is_finite(value: Any) -> bool:
    """Whether a number is neither NaN nor infinite."""
    return not isinstance(value, float) or math.isfinite(value)
