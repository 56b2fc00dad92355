"""The syntax of an expression: Python's, with MONAI's references standing in it as names."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, Any

from voxcam.model.bundle import bounded
from voxcam.model.bundle.bounded import NotStaticError

if TYPE_CHECKING:
    from collections.abc import Iterator

# As MONAI's ReferenceResolver.id_matcher, with the older separator "#" beside "::".
REFERENCE = re.compile(r"@\w*(?:(?:::|#)\w*)*")

_LETTERS = 2_000
_STAND_IN = "reference_{}_"
_STAND_INS = re.compile(r"reference_\d+_")


def parsed(text: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the tree of an expression, and what each name that stands for a reference refers to.

    Raises
    ------
    NotStaticError
        It is too long, or no expression of Python.
    """
    ids: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        ids.append(found[0][1:])
        return _STAND_IN.format(len(ids) - 1)

    if len(text) > _LETTERS:
        raise NotStaticError(f"more than {_LETTERS:,} letters")
    if _STAND_INS.search(text):
        raise NotStaticError("a name that VoxCAM keeps for itself")
    tree = _tree(REFERENCE.sub(stand_in, text))
    return tree, {_STAND_IN.format(number): id_ for number, id_ in enumerate(ids)}


def _tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        is_import = re.match(r"\s*(import|from)\s", text)
        raise NotStaticError("an import" if is_import else "a syntax that is not Python's") from None


def holds_stand_in(text: str) -> bool:
    """Whether a reference was written in a text: MONAI would look it up there, too."""
    return _STAND_INS.search(text) is not None


def dotted(node: ast.expr) -> str:
    """Return ``torch.cuda.is_available`` of a name or of attributes on one, else ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or _STAND_INS.fullmatch(node.id):
        return ""
    return ".".join([node.id, *reversed(parts)])


def called(node: ast.expr) -> str:
    """Return what a call calls, in short, for messages."""
    if isinstance(node, ast.Name | ast.Attribute):
        return (dotted(node) or getattr(node, "attr", "") or "a reference")[:40]
    return type(node).__name__


def unpacked(target: ast.expr, entry: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names a loop binds and their values: ``for x in`` or ``for x, y in``."""
    if isinstance(target, ast.Name):
        yield target.id, entry
        return
    if not isinstance(target, ast.Tuple) or not all(isinstance(part, ast.Name) for part in target.elts):
        raise NotStaticError("a loop over more than plain names")
    for part, value in zip(target.elts, bounded.listed(entry), strict=True):
        yield from unpacked(part, value)
