"""A network written as a line, ``DenseNet121(spatial_dims=3, ...)``: read as data, never run."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from voxcam.errors import ClassifierError
from voxcam.model.networks.catalogue import entry_of
from voxcam.model.networks.names import known_network

LENGTH_LIMIT = 4_000
DEPTH_LIMIT = 8


def network_section(text: str) -> dict[str, Any]:
    """Return the section that a line of text stands for, as ``inference.json`` would hold it.

    ``DenseNet121(3, 1, out_channels=2)`` and ``monai.networks.nets.DenseNet121(spatial_dims=3, ...)``
    become ``{"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 2}``.
    Arguments are numbers, strings, True, False, None, and lists, tuples and dictionaries of them; a tuple
    becomes a list. Whether they fit, `build_network` says.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a network of the catalogue.
    ClassifierError
        If it is anything but one call with plain values, or too long.
    """
    call = _parsed(text)
    name = known_network(_dotted(call.func))
    section: dict[str, Any] = {"_target_": name}
    for key, node in [*_by_position(name, call.args), *_by_keyword(call.keywords)]:
        if key in section:
            raise _unreadable(f"it gives {key} twice")
        section[key] = _plain(node, 1)
    return section


def _parsed(text: str) -> ast.Call:
    if len(text) > LENGTH_LIMIT:
        raise _unreadable(f"it is longer than {LENGTH_LIMIT:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deep"
        raise _unreadable(str(reason)) from None
    if not isinstance(body, ast.Call):
        raise _unreadable(f"found {_shown(body)}")
    return body


def _dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` as written; ``nets.X`` stands for ``monai.networks.nets.X``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise _unreadable(f"what is called is no name, but {_shown(node)}")
    dotted = ".".join([node.id, *parts])
    return f"monai.networks.{dotted}" if dotted.startswith("nets.") else dotted


def _by_position(name: str, values: list[ast.expr]) -> list[tuple[str, ast.expr]]:
    positions = entry_of(name).positional
    if len(values) > len(positions):
        raise _unreadable(f"{name} takes {len(positions)} arguments by position, found {len(values)}")
    return list(zip(positions, values, strict=False))


def _by_keyword(keywords: list[ast.keyword]) -> list[tuple[str, ast.expr]]:
    named = []
    for keyword in keywords:
        if keyword.arg is None:
            raise _unreadable("write the arguments out instead of **")
        named.append((keyword.arg, keyword.value))
    return named


def _plain(node: ast.expr, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise _unreadable(f"its values are nested deeper than {DEPTH_LIMIT}")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=number)) if type(
            number
        ) in (int, float):
            return -number if isinstance(sign, ast.USub) else number  # type: ignore[operator]
        case ast.List() | ast.Tuple():
            return [_plain(part, depth + 1) for part in node.elts]
        case ast.Dict():
            return {_key(key): _plain(v, depth + 1) for key, v in zip(node.keys, node.values, strict=True)}
    raise _unreadable(f"found {_shown(node)}")


def _key(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise _unreadable("the keys of a dictionary are strings")
    return node.value


def _shown(node: ast.expr) -> str:
    """Return what was written, briefly, and what it is called."""
    kinds = {"JoinedStr": "f-string", "NamedExpr": "assignment", "BinOp": "calculation"}
    kind = type(node).__name__
    try:
        written = " ".join(ast.unparse(node).split())
    except RecursionError:  # a chain of a thousand attributes
        written = "..."
    return f"{written[:40]!r} ({kinds.get(kind, kind.lower())})"


def _unreadable(why: str) -> ClassifierError:
    return ClassifierError(
        "cannot read the network: expected one call with plain values, such as DenseNet121(spatial_dims=3, "
        f"in_channels=1, out_channels=2); {why}"
    )
