"""A pickle read as a description: nothing it names is imported, nothing it asks for is called or built.

Where a pickle says "import this name" there comes a `Named`, where it says "call it" or "make one" there
comes a `Made`. Lists, tuples, dictionaries, numbers and texts are themselves.
"""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BytesIO


@dataclass(frozen=True)
class Named:
    """A global the pickle names: ``torch._utils``, ``_rebuild_tensor_v2``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """What calling `by` with `arguments` would have made; `state` is what would have been set on it."""

    by: Any
    arguments: Any
    state: Any = None


@dataclass(frozen=True, eq=False)
class Stored:
    """What lies outside the pickle, by the id it is asked for: a tensor's storage."""

    key: Any


@dataclass(frozen=True)
class Inert:
    """A pickle's content.

    Parameters
    ----------
    root
        What it describes; None if it is broken.
    names
        What it would have imported, in its own order.
    broken
        Whether it breaks off or contradicts itself.
    """

    root: Any
    names: tuple[Named, ...]
    broken: bool = False


def read_inert(pickled: BytesIO) -> Inert:
    """Read one pickle, of any protocol; the stream is left behind it."""
    machine = _Machine()
    try:
        for operation, argument, _ in pickletools.genops(pickled):
            _OPERATIONS[operation.name](machine, argument)
        return Inert(machine.stack[-1], tuple(machine.names))
    except (ValueError, LookupError, TypeError, AttributeError, struct.error, OverflowError):
        return Inert(None, tuple(machine.names), broken=True)


class _Machine:
    """The stack machine that a pickle is a program for, with nothing behind its names."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.names: list[Named] = []

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        """Take the uppermost values, lowest first."""
        if count > len(self.stack):
            raise IndexError
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_marked(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())

    def name(self, module: Any, name: Any) -> None:
        named = Named(str(module), str(name))
        self.names.append(named)
        self.push(named)

    def make(self, by: Any, arguments: Any) -> None:
        self.push(_dictionary(arguments) if by in _DICTIONARIES else Made(by, arguments))

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]


def _dictionary(arguments: Any) -> dict[Any, Any]:
    """Return a dictionary with the pairs that Python 2 gave to its constructor; nothing else gives any."""
    made: dict[Any, Any] = {}
    pairs = arguments[0] if isinstance(arguments, tuple) and arguments else ()
    for pair in pairs if isinstance(pairs, list) else ():
        _set(made, *pair)
    return made


def _set(target: Any, key: Any, value: Any) -> None:
    # Only what has a name can be an entry of a state dict; a nested tuple as a key could exhaust the C stack.
    if isinstance(target, dict) and isinstance(key, str | int | float | bytes | None):
        target[key] = value


def _set_items(machine: _Machine, _: Any) -> None:
    items = machine.pop_marked()
    for key, value in zip(items[::2], items[1::2], strict=True):
        _set(machine.stack[-1], key, value)


def _set_item(machine: _Machine, _: Any) -> None:
    key, value = machine.pop(2)
    _set(machine.stack[-1], key, value)


def _append(machine: _Machine, values: list[Any]) -> None:
    if isinstance(machine.stack[-1], list):
        machine.stack[-1].extend(values)


def _dict_of_marked(machine: _Machine, _: Any) -> None:
    items = machine.pop_marked()
    made: dict[Any, Any] = {}
    for key, value in zip(items[::2], items[1::2], strict=True):
        _set(made, key, value)
    machine.push(made)


def _build(machine: _Machine, _: Any) -> None:
    (state,) = machine.pop(1)
    if isinstance(machine.stack[-1], Made):
        machine.stack[-1].state = state


def _make_of_marked(machine: _Machine, named: str | None) -> None:
    """INST names the class in the operation itself, OBJ on the stack."""
    values = machine.pop_marked()
    if named is None:
        machine.make(values[0], tuple(values[1:]))
        return
    module, _, name = named.partition(" ")
    machine.name(module, name)
    (by,) = machine.pop(1)
    machine.make(by, tuple(values))


def _pop(machine: _Machine, _: Any) -> None:
    # Of a mark, it takes the mark.
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop(1)


def _drop_marked(machine: _Machine, _: Any) -> None:
    machine.pop_marked()


def _value(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


def _nothing(machine: _Machine, _: Any) -> None:
    pass


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(tuple(machine.pop(count)))


_DICTIONARIES = (
    Named("collections", "OrderedDict"),
    Named("collections", "defaultdict"),
    Named("collections", "Counter"),
    Named("builtins", "dict"),
    Named("__builtin__", "dict"),
)

# Every operation of protocols 0 to 5 but those that reach outside: extension codes and buffers.
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _value),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), _value),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _value),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _value),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _value),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_marked())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "LIST": lambda machine, _: machine.push(machine.pop_marked()),
    "FROZENSET": lambda machine, _: machine.push(machine.pop_marked()),
    "DICT": _dict_of_marked,
    "APPEND": lambda machine, _: _append(machine, machine.pop(1)),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_marked()),
    "ADDITEMS": lambda machine, _: _append(machine, machine.pop_marked()),
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "POP": _pop,
    "POP_MARK": _drop_marked,
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.push(machine.memo[key])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, key: machine.remember(key)),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "GLOBAL": lambda machine, named: machine.name(*named.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.pop(2)),
    "REDUCE": lambda machine, _: machine.make(*machine.pop(2)),
    "NEWOBJ": lambda machine, _: machine.make(*machine.pop(2)),
    "NEWOBJ_EX": lambda machine, _: machine.make(*machine.pop(3)[:2]),
    "INST": _make_of_marked,
    "OBJ": _make_of_marked,
    "BUILD": _build,
    "PERSID": lambda machine, key: machine.push(Stored(key)),
    "BINPERSID": lambda machine, _: machine.push(Stored(*machine.pop(1))),
}
