"""A configuration file as plain data, every value with its line: JSON or YAML, within limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Mapping

Path_ = tuple[str | int, ...]

# A configuration of the MONAI model zoo takes 60 kB and 2,000 values at most, 12 deep.
DOCUMENT_BYTES = 2**20
DEPTH = 64
NODES = 100_000


@dataclass(frozen=True, eq=False)
class Document:
    """What a file says.

    Parameters
    ----------
    name
        Its name in ``configs``, to speak of it.
    content
        Plain data: dicts, lists, str, int, float, bool, None.
    lines
        The line, from 1, on which the value at a path of keys and indices is written.
    data
        The bytes it was read from.
    """

    name: str
    content: dict[str, Any]
    lines: Mapping[Path_, int] = field(default_factory=dict)
    data: bytes = b""

    def line(self, path: Path_) -> int:
        """Return the line of the value at `path`, or of what it lies in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: Path_) -> str:
        """Return file, line and place of the value at `path`, for messages."""
        return f"{self.name} line {self.line(path)} ({place_of(path)})"


class Counted:
    """The lines of the values read so far, and the refusal of one too many."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path_, int] = {}
        self._nodes = 0

    def add(self, path: Path_, line: int) -> None:
        """Count the value at `path`; the first line said of it stays."""
        self._nodes += 1
        if self._nodes > NODES:
            raise self.refusal(line, f"more than {NODES:,} values")
        if len(path) > DEPTH:
            raise self.refusal(line, f"values nested more than {DEPTH} deep")
        self.lines.setdefault(path, line)

    def refusal(self, line: int, why: str) -> ClassifierError:
        """Return the error that says what is wrong on a line."""
        return ClassifierError(f"{self.name} line {line}: {in_short(why, 200)}")


def read_document(name: str, data: bytes) -> Document:
    """Return what a configuration file says.

    Parameters
    ----------
    name
        Ends in .json, .yaml or .yml, which tells the form.
    data
        Its bytes: UTF-8, with or without a byte order mark.

    Raises
    ------
    ClassifierError
        It is too large, not UTF-8, not of its form, nested too deep, says a key twice, or is no object.
    """
    if len(data) > DOCUMENT_BYTES:
        raise ClassifierError(f"{name} is over {DOCUMENT_BYTES:,} bytes: that is no configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ClassifierError(f"{name} line {line}: expected UTF-8 text; save it as UTF-8") from None
    counted = Counted(name)
    content = _content(text, counted)
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise ClassifierError(f"{name}: expected an object of named sections, found {kind}")
    return Document(name, content, counted.lines, data)


def _content(text: str, counted: Counted) -> Any:
    if counted.name.lower().endswith(".json"):
        from voxcam.model.bundle.json_text import read_json

        return read_json(text, counted)
    from voxcam.model.bundle.yaml_text import read_yaml

    return read_yaml(text, counted)


def place_of(path: Path_) -> str:
    """Return a path as MONAI writes it: ``preprocessing::transforms::3``, in short."""
    return in_short("::".join(str(part) for part in path), 120)


def in_short(text: str, length: int = 60) -> str:
    """Return `text` on one line of printable characters, cut to `length`."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= length else line[: length - 3] + "..."
