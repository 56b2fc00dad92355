"""JSON with the line of every value.

Python's `json` says neither where a value stands nor that a key comes twice, and nests until the
stack ends.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxcam.model.bundle.documents import Counted, Path_

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_NUMBER_LETTERS = 400
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    # Not of JSON, but of Python's; refused where the value is needed.
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


def read_json(text: str, counted: Counted) -> Any:
    """Return the value that `text` states.

    Raises
    ------
    ClassifierError
        It is not JSON, nests too deep, holds too much, or says a key twice.
    """
    return _Scan(text, counted).document()


class _Scan:
    def __init__(self, text: str, counted: Counted) -> None:
        self._text = text
        self._counted = counted
        self._breaks = [at.start() for at in re.finditer("\n", text)]
        self._at = 0

    def document(self) -> Any:
        self._skip_blanks()
        value = self._value(())
        self._skip_blanks()
        if self._at < len(self._text):
            raise self._refusal("expected the end of the file after its object")
        return value

    def _value(self, path: Path_) -> Any:
        self._counted.add(path, self._line())
        match self._text[self._at : self._at + 1]:
            case "{":
                return self._object(path)
            case "[":
                return self._array(path)
            case '"':
                return self._string()
            case _:
                return self._word_or_number()

    def _object(self, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in self._entries("}"):
            line = self._line()
            if self._text[self._at : self._at + 1] != '"':
                raise self._refusal('expected a key in "quotes"')
            key = self._string()
            if key in found:
                raise self._counted.refusal(line, f"key {key[:60]!r} comes twice")
            self._skip_blanks()
            self._expect(":")
            self._skip_blanks()
            self._counted.lines[*path, key] = line
            found[key] = self._value((*path, key))
        return found

    def _array(self, path: Path_) -> list[Any]:
        return [self._value((*path, number)) for number in self._entries("]")]

    def _entries(self, end: str) -> Any:
        """Yield the number of each entry, standing where it begins; the caller reads it."""
        self._at += 1
        self._skip_blanks()
        number = 0
        while self._text[self._at : self._at + 1] != end or number:
            yield number
            number += 1
            self._skip_blanks()
            if self._text[self._at : self._at + 1] == end:
                break
            self._expect(",", f" or {end!r}")
            self._skip_blanks()
        self._at += 1

    def _string(self) -> str:
        try:
            value, self._at = scanstring(self._text, self._at + 1, True)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self._refusal(error.msg) from None
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise self._refusal("half of a surrogate pair in a text")
        return str(value)

    def _word_or_number(self) -> Any:
        number = _NUMBER.match(self._text, self._at)
        if number and number.end() - self._at <= _NUMBER_LETTERS:
            self._at = number.end()
            return float(number[0]) if number[1] or number[2] else int(number[0])
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        raise self._refusal("expected a value" if number is None else "a number of too many digits")

    def _skip_blanks(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at

    def _expect(self, mark: str, otherwise: str = "") -> None:
        if not self._text.startswith(mark, self._at):
            raise self._refusal(f"expected {mark!r}{otherwise}")
        self._at += 1

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at) + 1

    def _refusal(self, why: str) -> Exception:
        return self._counted.refusal(self._line(), f"{why}: it is not JSON")
