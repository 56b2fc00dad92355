"""The windows a DICOM image proposes."""

from __future__ import annotations

import math
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

from voxcam.core.windows import Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from voxcam.core.windows import WindowFunction

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# The explanation is free text and may hold anything, a name too; it is kept if it says one of these.
_NAMES = (
    "abdomen angio bone brain cerebrum chest head heart kidney liver lung mediastinum neck normal pelvis "
    "soft spine stroke tissue harder softer standard user"
).split()


def windows_of(dataset: Dataset) -> tuple[Window, ...]:
    """Return the pairs of WindowCenter and WindowWidth (0028,1050, 1051) with their explanations (0028,1055).

    PS3.3 C.11.2.1.2: values are modality values; pairs whose width is not over 0 say nothing, and
    are left out. A LINEAR window narrower than 1 is not defined, and is taken as LINEAR_EXACT.
    """
    centres, widths = _all(dataset, "WindowCenter"), _all(dataset, "WindowWidth")
    names = _all(dataset, "WindowCenterWidthExplanation")
    stated = str(next(iter(_all(dataset, "VOILUTFunction")), "")).strip().upper()
    function = stated if stated in _FUNCTIONS else "LINEAR"
    windows = []
    for centre, width, name in zip(centres, widths, chain(names, repeat("")), strict=False):
        try:
            c, w = float(centre), float(width)
        except (TypeError, ValueError):
            continue
        if math.isfinite(c) and math.isfinite(w) and w > 0:
            defined = "LINEAR_EXACT" if function == "LINEAR" and w < 1 else function
            windows.append(Window(c, w, _known(str(name)), cast("WindowFunction", defined)))
    return tuple(windows)


def _known(explanation: str) -> str:
    words = explanation.replace("_", " ").lower().split()
    return " ".join(words) if words and all(word in _NAMES for word in words) else ""


def _all(dataset: Dataset, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
    except Exception:  # an element that cannot be parsed counts as absent, whatever pydicom raises
        return []
    if value is None:
        return []
    return [value] if isinstance(value, (str, int, float)) else list(value)
