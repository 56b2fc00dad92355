"""Lines of words for the picture: which slice and window, whose evidence; no viewer is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcam.plugin.canvas.appearance import frame_words, made_of
from voxcam.plugin.canvas.frame import place_volume
from voxcam.plugin.review.reading import NO_LAYER
from voxcam.plugin.review.review import LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.plugin.review.reading import Reading

NARROW = 760  # canvas pixels across
_MOST_NAMES = 3
_A_NAME = 34  # letters of a model's name
# Where a display axis grows to, and the opposite: in words, and in letters.
_TOWARDS = (("below", "above"), ("the back", "the front"), ("the left", "the right"))
_LETTERS = ("IS", "PA", "LR")
# Cosine from which on a direction is named: an axis 70° away is not.
_NAMED = 0.34


def grey_line(volume: Volume, window: Window | None) -> str:
    """Return what is seen in grey: ``CT   window lung, W 1500 / L -600``."""
    kind = volume.modality or "image"
    if window is None:
        return kind
    # The name is the window's, not of what part of the body is shown.
    name, words = window.name, str(window)
    named = f"window {name}, {words.removeprefix(name).strip()}" if name else words
    return f"{kind}   {named}"


def study_lines(volume: Volume) -> str:
    """Return what to know of the study: its frame, and what of it was not measured."""
    said = frame_words(volume, place_volume(volume).badge).replace(": ", ":\n")
    return "\n".join(filter(None, (said, made_of(volume))))


def label_lines(across: int) -> str:
    """Return the label in lines short enough to leave the lower letter free."""
    lines = LABEL.replace("diagnosis. ", "diagnosis.\n")
    if across < NARROW:
        lines = lines.replace("only. ", "only.\n").replace("model, ", "model,\n")
    return lines


def evidence_lines(reading: Reading, names: Sequence[str]) -> str:
    """Return whose evidence of which classes is seen, the method, and the unit of the colour bars."""
    if not names:
        said = "evidence hidden" if reading.look.hidden else "no evidence shown"
        return "\n".join(filter(None, (_model(reading), said)))
    lines = [_model(reading), _classes(reading, names)]
    heatmap = reading.heatmap(names[0])
    if heatmap is not None:
        where = "" if heatmap.layer == NO_LAYER else f" at {heatmap.layer}"
        lines += [f"{heatmap.method}{where}", f"in {heatmap.unit_words}"]
    return "\n".join(filter(None, lines))


def models(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classifiers an explanation was made by; of joined ones each once."""
    members = [one.get("classifier") for one in provenance.get("members", ())]
    told = members or [provenance.get("classifier")]
    names = [str(one.get("name") or "") for one in told if one]
    return tuple(dict.fromkeys(filter(None, names)))


def side_words(view: Sequence[float]) -> str:
    """Return from where is looked in display direction `view`: ``seen from the front``."""
    axis = int(np.argmax(np.abs(view)))
    return f"seen from {_TOWARDS[axis][int(view[axis] > 0)]}"


def direction_letters(direction: NDArray[np.float64]) -> str:
    """Return the letters of a display direction, the nearest axis first: ``R``, or ``RA`` between two."""
    axes = [axis for axis in np.argsort(-np.abs(direction)) if abs(direction[axis]) >= _NAMED]
    return "".join(_LETTERS[axis][int(direction[axis] < 0)] for axis in axes)


def _model(reading: Reading) -> str:
    names = models(reading.explanation.provenance) if reading.explanation is not None else ()
    return "\n".join(_short(name) for name in names[:_MOST_NAMES]) + (
        f"\n+ {len(names) - _MOST_NAMES} more models" if len(names) > _MOST_NAMES else ""
    )


def _classes(reading: Reading, names: Sequence[str]) -> str:
    """Return the first classes, and how many more there are; what has no evidence says so."""
    said = ", ".join(names[:_MOST_NAMES])
    said += f", + {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    maps = {name: reading.heatmap(name) for name in names[:_MOST_NAMES]}
    nothing = [name for name, heatmap in maps.items() if heatmap is not None and heatmap.is_empty]
    if not nothing:
        return said
    whose = "" if len(names) == 1 else f"{', '.join(nothing)}: "
    return f"{said}\n({whose}no positive evidence)"


def _short(name: str) -> str:
    return name if len(name) <= _A_NAME else f"{name[: _A_NAME - 1]}…"
