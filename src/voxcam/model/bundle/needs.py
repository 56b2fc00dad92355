"""What only running a bundle's code could tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A place of a bundle that cannot be read without running what came with it.

    Parameters
    ----------
    file
        Name of the file, such as "inference.json".
    line
        From 1; 0 for a file that has no lines.
    place
        The value, as MONAI writes it: "preprocessing::transforms::3::func"; "" for a whole file.
    what
        What stands there, in words: "an expression with a lambda".
    text
        How it is written, cut to 60 letters.
    """

    file: str
    line: int
    place: str
    what: str
    text: str

    def __str__(self) -> str:
        """Return it as one line."""
        line = f" line {self.line}" if self.line else ""
        place = f" ({self.place})" if self.place else ""
        text = f": {self.text!r}" if self.text else ""
        return f"{self.file}{line}{place} is {self.what}{text}"
