"""Names that were asked for, held against those there are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def check_names(asked: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raise ExplainError, naming the nearest, if a name is not known, or none is given."""
    names = list(asked)
    if not names:
        raise ExplainError(f"no {what} asked for: there is {', '.join(known)}")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]!r}? There is" if close else "there is"
            choice = _listed(known) if what == "layer" else ", ".join(known)
            raise ExplainError(f"no {what} is called {name!r}: {hint} {choice}")


def _listed(known: Sequence[str]) -> str:
    """Name all of a few, the last ones of many: of a network's layers those are the ones to choose from."""
    few = 20
    shown = ", ".join(known[-few:])
    return shown if len(known) <= few else f"{shown}, and {len(known) - few} before (`voxcam model BUNDLE`)"
