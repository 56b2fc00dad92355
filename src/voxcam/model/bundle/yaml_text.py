"""YAML with the line of every value: plain values only, no tags, every alias counted each time.

The nodes of PyYAML's safe loader are read, not what it would construct of them: an alias costs
nothing there until it is walked, which is how a few lines become 10^9 values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.model.bundle.documents import DEPTH

if TYPE_CHECKING:
    from voxcam.model.bundle.documents import Counted, Path_

_OF_YAML = "tag:yaml.org,2002:"
_PLAIN = ("null", "bool", "int", "float")
# PyYAML takes seconds for what `json` reads in milliseconds.
_LETTERS = 2**18
# PyYAML multiplies 1:2:3:... out at base 60: a long one takes for ever.
_NUMBER_LETTERS = 400


def read_yaml(text: str, counted: Counted) -> Any:
    """Return the value that `text` states.

    Raises
    ------
    ClassifierError
        It is not YAML, nests too deep, holds too much, says a key twice, or has a tag.
    """
    import yaml  # type: ignore[import-untyped]

    if len(text) > _LETTERS:
        raise counted.refusal(1, f"over {_LETTERS:,} letters of YAML: that is no configuration")
    try:
        loader = yaml.SafeLoader(text)
        node = _composed(loader, counted)
        return None if node is None else _Walk(loader, counted).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise counted.refusal(line, f"{error.problem or error.context}: it is not YAML") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise counted.refusal(line, "a character that YAML does not allow") from None


def _composed(loader: Any, counted: Counted) -> Any:
    """Return the tree of nodes, refused where it nests too deep: PyYAML goes on until the stack ends."""
    compose, depth = loader.compose_node, 0

    def compose_node(parent: Any, index: Any) -> Any:
        nonlocal depth
        depth += 1
        if depth > DEPTH + 2:
            line = loader.peek_event().start_mark.line + 1
            raise counted.refusal(line, f"values nested more than {DEPTH} deep")
        node = compose(parent, index)
        depth -= 1
        return node

    loader.compose_node = compose_node
    return loader.get_single_node()


class _Walk:
    def __init__(self, loader: Any, counted: Counted) -> None:
        self._loader = loader
        self._counted = counted

    def value(self, node: Any, path: Path_) -> Any:
        self._counted.add(path, _line(node))
        match node.id, node.tag.removeprefix(_OF_YAML):
            case "mapping", "map":
                return self._mapping(node, path)
            case "sequence", "seq":
                return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
            case "scalar", tag:
                return self._scalar(node, tag)
        raise self._tagged(node)

    def _mapping(self, node: Any, path: Path_) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in found:
                raise self._counted.refusal(_line(key_node), f"key {str(key)[:60]!r} comes twice")
            self._counted.lines.setdefault((*path, key), _line(key_node))
            found[key] = self.value(value_node, (*path, key))
        return found

    def _key(self, node: Any) -> str | int:
        if node.tag == f"{_OF_YAML}merge":
            raise self._counted.refusal(_line(node), "the merge key '<<' is not read: write the keys out")
        key = self._scalar(node, node.tag.removeprefix(_OF_YAML)) if node.id == "scalar" else None
        if not isinstance(key, str | int):
            raise self._counted.refusal(_line(node), "expected a text or a whole number as a key")
        return key

    def _scalar(self, node: Any, tag: str) -> Any:
        if tag in ("str", "timestamp", "value"):
            if any("\ud800" <= letter <= "\udfff" for letter in node.value):
                raise self._counted.refusal(_line(node), "half of a surrogate pair in a text")
            return node.value
        if tag not in _PLAIN:
            raise self._tagged(node)
        try:
            if len(node.value) > _NUMBER_LETTERS:
                raise ValueError
            return getattr(self._loader, f"construct_yaml_{tag}")(node)
        except (ValueError, KeyError, OverflowError):
            raise self._counted.refusal(_line(node), f"expected a value of kind {tag}") from None

    def _tagged(self, node: Any) -> Exception:
        tag = node.tag.replace(_OF_YAML, "!!")[:60]
        return self._counted.refusal(_line(node), f"the tag {tag!r} is not read: only plain values are")


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
