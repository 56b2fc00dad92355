"""Why a file of weights is not read: said without its name, which whoever opened it puts in front."""

from __future__ import annotations

from voxcam.errors import ClassifierError, UntrustedCodeError

_MOST_CHARACTERS = 400


class Refusal(Exception):  # noqa: N818 - it becomes a ClassifierError at the door
    """A file of weights cannot be read.

    Parameters
    ----------
    what
        The rest of a sentence that begins with the file's name.
    runs_code
        Whether it is because reading the file would run code that came with it.
    """

    def __init__(self, what: str, runs_code: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.runs_code = runs_code

    def of(self, name: str) -> ClassifierError:
        """Return the error a caller sees, for the file of that name."""
        kind = UntrustedCodeError if self.runs_code else ClassifierError
        return kind(f"{shown(name)} {shown(self.what, _MOST_CHARACTERS)}")


def damaged(why: str) -> Refusal:
    """Return the refusal of a file that is not what it set out to be."""
    return Refusal(f"is damaged: {why}; fetch or save it again")


def shown(text: object, most: int = 120) -> str:
    """Return text that came with a file on one line, printable and not too long."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[: most + 1])
    return line if len(line) <= most else line[: most - 3] + "..."
