"""MONAI's ``$`` expressions worked out by a walker of our own over a small grammar; Python never runs them.

Literals, arithmetic, comparisons, conditions, subscripts, ``@`` references, a few functions with plain
arguments and a few names of torch, numpy and MONAI: see `voxcam.model.bundle.known_names`. All else is
`NotStaticError`. Values are small: nothing a bundle writes can make them take time or memory.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

from voxcam.model.bundle import bounded, known_names
from voxcam.model.bundle.bounded import NotStaticError, Steps, WrongExpressionError, is_component, plain
from voxcam.model.bundle.expression_syntax import called, dotted, holds_stand_in, parsed, unpacked
from voxcam.model.bundle.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NotStaticError", "WrongExpressionError", "evaluate"]

_DEPTH = 50

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: bounded.add,
    ast.Sub: bounded.of_numbers(operator.sub),
    ast.Mult: bounded.multiply,
    ast.Div: bounded.of_numbers(operator.truediv),
    ast.FloorDiv: bounded.of_numbers(operator.floordiv),
    ast.Mod: bounded.of_numbers(operator.mod),
    ast.Pow: bounded.power,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: lambda value: +bounded.number(value),
    ast.USub: lambda value: -bounded.number(value),
    ast.Not: lambda value: not plain(value),
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: plain(a) == plain(b),
    ast.NotEq: lambda a, b: plain(a) != plain(b),
    ast.Lt: lambda a, b: plain(a) < plain(b),
    ast.LtE: lambda a, b: plain(a) <= plain(b),
    ast.Gt: lambda a, b: plain(a) > plain(b),
    ast.GtE: lambda a, b: plain(a) >= plain(b),
    ast.In: lambda a, b: plain(a) in plain(b),
    ast.NotIn: lambda a, b: plain(a) not in plain(b),
    ast.Is: bounded.same,
    ast.IsNot: lambda a, b: not bounded.same(a, b),
}


def evaluate(text: str, look_up: Callable[[str], Any], steps: Steps | None = None) -> Any:
    """Return the value of an expression.

    Parameters
    ----------
    text
        Without its ``$``.
    look_up
        Returns the value a reference stands for; gets what is behind the ``@``.
    steps
        How much may be worked out, where several expressions share it.

    Raises
    ------
    NotStaticError
        Only running it could tell: the message says what in it is not of the grammar.
    WrongExpressionError
        It is of the grammar but has no value: a division by zero, an index beyond the end.
    """
    steps = steps or Steps()
    steps.take(len(text) // 16)
    tree, references = parsed(text)
    try:
        return _Walk(references, look_up, steps).value(tree)
    except (ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise WrongExpressionError(type(error).__name__) from None


class _Walk:
    """One expression on its way to a value."""

    def __init__(self, names: dict[str, str], look_up: Callable[[str], Any], steps: Steps) -> None:
        self._references = names
        self._look_up = look_up
        self._bound: dict[str, Any] = {}
        self._steps = steps
        self._depth = 0

    def value(self, node: ast.expr) -> Any:
        step = _GRAMMAR.get(type(node))
        if step is None:
            raise NotStaticError(_NAMED.get(type(node), f"a {type(node).__name__} expression"))
        self._depth += 1
        if self._depth > _DEPTH:
            raise NotStaticError("values nested too deep")
        found = step(self, node)
        self._depth -= 1
        self._steps.take(1 + bounded.size(found) // 16)
        if isinstance(node, ast.Dict | ast.Call) and type(found) is dict and is_component(found):
            raise NotStaticError("an object put together")
        return found

    def constant(self, node: ast.Constant) -> Any:
        if node.value is not None and not isinstance(node.value, bool | int | float | str):
            raise NotStaticError(f"a value of type {type(node.value).__name__}")
        if isinstance(node.value, str) and holds_stand_in(node.value):
            raise NotStaticError("a reference within a text")
        return node.value

    def name(self, node: ast.Name) -> Any:
        if node.id in self._bound:
            return self._bound[node.id]
        if node.id in self._references:
            return self._look_up(self._references[node.id])
        raise NotStaticError(f"the name {node.id[:40]!r}")

    def items(self, node: ast.List | ast.Tuple) -> Any:
        found: list[Any] = []
        for entry in node.elts:
            if isinstance(entry, ast.Starred):
                found += bounded.listed(self.value(entry.value))
            else:
                found.append(self.value(entry))
        return found if isinstance(node, ast.List) else tuple(found)

    def mapping(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= bounded.mapping(self.value(value))
            else:
                found[self.value(key)] = self.value(value)
        return found

    def operation(self, node: ast.BinOp) -> Any:
        work = _OPERATORS.get(type(node.op))
        if work is None:
            raise NotStaticError(f"the operator {type(node.op).__name__}")
        return work(self.value(node.left), self.value(node.right))

    def sign(self, node: ast.UnaryOp) -> Any:
        work = _SIGNS.get(type(node.op))
        if work is None:
            raise NotStaticError(f"the operator {type(node.op).__name__}")
        return work(self.value(node.operand))

    def junction(self, node: ast.BoolOp) -> Any:
        ends = isinstance(node.op, ast.Or)
        found: Any = None
        for part in node.values:
            found = self.value(part)
            if bool(plain(found)) is ends:
                break
        return found

    def comparison(self, node: ast.Compare) -> Any:
        left, found = self.value(node.left), True
        for comparison, part in zip(node.ops, node.comparators, strict=True):
            right = self.value(part)
            found = _COMPARISONS[type(comparison)](left, right)
            if not found:
                break
            left = right
        return found

    def condition(self, node: ast.IfExp) -> Any:
        return self.value(node.body if plain(self.value(node.test)) else node.orelse)

    def subscript(self, node: ast.Subscript) -> Any:
        found = self.value(node.value)
        if is_component(found):
            raise NotStaticError("an item of an object")
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            return found[slice(*(None if part is None else self.value(part) for part in parts))]
        return found[self.value(node.slice)]

    def comprehension(self, node: ast.ListComp) -> list[Any]:
        """``[x for x in y if z]``: one loop, over what is already there."""
        loop = node.generators[0]
        if len(node.generators) > 1 or loop.is_async:
            raise NotStaticError("a comprehension with more than one loop")
        outer, found = dict(self._bound), []
        for entry in bounded.listed(self.value(loop.iter)):
            self._bound = outer | dict(unpacked(loop.target, entry))
            if all(plain(self.value(test)) for test in loop.ifs):
                found.append(self.value(node.elt))
        self._bound = outer
        return found

    def attribute(self, node: ast.Attribute) -> Any:
        path = dotted(node)
        if path not in known_names.VALUES or self._is_bound(path):
            raise NotStaticError(f"the attribute {(path or node.attr)[:40]!r}")
        return known_names.VALUES[path]

    def call(self, node: ast.Call) -> Any:
        names = [keyword.arg or "**" for keyword in node.keywords]
        if any(isinstance(part, ast.Starred) for part in node.args) or "**" in names:
            raise NotStaticError("a call with unpacked arguments")
        path = dotted(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr in known_names.MOVES and not path:
            return self._moved(node.func, node)
        work = known_names.FUNCTIONS.get(path)
        is_object = known_names.OBJECT.fullmatch(path) and not node.args
        if not (work or is_object) or self._is_bound(path) or any(name.startswith("_") for name in names):
            raise NotStaticError(f"a call of {called(node.func)!r}")
        named = {name: self.value(keyword.value) for name, keyword in zip(names, node.keywords, strict=True)}
        return work(*map(self.value, node.args), **named) if work else Section({"_target_": path} | named)

    def _is_bound(self, path: str) -> bool:
        """Whether a loop has given the first of the names another meaning."""
        return path.partition(".")[0] in self._bound

    def _moved(self, func: ast.Attribute, node: ast.Call) -> Any:
        """``@network_def.to(@device)``: the network itself; VoxCAM puts it where it runs."""
        found = self.value(func.value)
        arguments = [self.value(part) for part in node.args]
        is_place = all(isinstance(where, str) and known_names.DEVICE.fullmatch(where) for where in arguments)
        if not is_component(found) or node.keywords or not is_place:
            raise NotStaticError(f"a call of {func.attr!r}")
        return found


_GRAMMAR: dict[type[ast.expr], Callable[[_Walk, Any], Any]] = {
    ast.Constant: _Walk.constant,
    ast.Name: _Walk.name,
    ast.List: _Walk.items,
    ast.Tuple: _Walk.items,
    ast.Dict: _Walk.mapping,
    ast.BinOp: _Walk.operation,
    ast.UnaryOp: _Walk.sign,
    ast.BoolOp: _Walk.junction,
    ast.Compare: _Walk.comparison,
    ast.IfExp: _Walk.condition,
    ast.Subscript: _Walk.subscript,
    ast.ListComp: _Walk.comprehension,
    ast.Attribute: _Walk.attribute,
    ast.Call: _Walk.call,
}
# In words, what people meet.
_NAMED: dict[type[ast.expr], str] = {
    ast.Lambda: "a lambda",
    ast.JoinedStr: "a format string",
    ast.DictComp: "a dict comprehension",
    ast.SetComp: "a set comprehension",
    ast.GeneratorExp: "a generator",
    ast.NamedExpr: "an assignment",
    ast.Set: "a set",
}
