"""File names made of class, method and layer names: plain letters only, no two alike."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.core.explanation import Explanation

LONGEST = 60


def safe(name: str) -> str:
    """Return `name` in ``[A-Za-z0-9._-]``: accents dropped, ``++`` as ``-pp``, everything else as ``-``.

    A name without any plain letter or digit becomes "unnamed".
    """
    plain = (
        unicodedata.normalize("NFKD", re.sub(r"\++", lambda plus: "-" + "p" * len(plus[0]), name))
        .encode("ascii", "ignore")
        .decode()
    )
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")[:LONGEST].rstrip("-._") or "unnamed"


def heatmap_names(explanation: Explanation) -> list[str]:
    """Return a name for each heatmap: class and method, and the layer where there are several."""
    several = len(explanation.layers) > 1
    parts = [
        (h.class_name, h.method, h.layer) if several else (h.class_name, h.method)
        for h in explanation.heatmaps
    ]
    return distinct(["-".join(safe(part) for part in whole) for whole in parts])


def distinct(names: Sequence[str]) -> list[str]:
    """Return `names` with ``-2``, ``-3`` ... after those that would fall together, case not counting."""
    taken: set[str] = set()
    result = []
    for name in names:
        number, candidate = 1, name
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate.casefold())
        result.append(candidate)
    return result
