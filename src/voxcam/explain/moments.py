"""A study in time: one moment of it, or every moment scored and the clearest one taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.volume import SEQUENCE
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.core.answer import Answer
    from voxcam.core.volume import Volume
    from voxcam.model.classifier import Classifier

    Progress = Callable[[int, int], None]


def still(
    volume: Volume, classifier: Classifier, moment: int | str | None, progress: Progress | None = None
) -> tuple[Volume, dict[str, Any]]:
    """Return the volume at the moment asked for, and what the provenance tells of all moments.

    Parameters
    ----------
    moment
        A place along the fourth axis; "all" to score each and take the clearest; None if there is one only.
        Sequences of one study are channels, not moments.

    Raises
    ------
    ExplainError
        If there is no such moment, or several and none was chosen.
    """
    count = _moments(volume)
    if moment == "all" and count > 1:
        return _clearest(volume, classifier, count, progress)
    if moment == "all" or (moment is None and count == 1):
        return volume, {}
    if moment is None:
        axis = volume.fourth.name if volume.fourth else "time"
        raise ExplainError(
            f"the classifier reads one moment, the volume has {count} along {axis}: "
            "choose one (--moment N), or have all scored (--moment all)"
        )
    if not isinstance(moment, int):
        raise ExplainError(f"a moment is a whole number from 0, or all; found {moment!r}")
    try:
        return volume.moment(moment), {}
    except ValueError as error:
        raise ExplainError(str(error)) from None


def _moments(volume: Volume) -> int:
    if len(volume.voxels.shape) == 3 or (volume.fourth and volume.fourth.name == SEQUENCE):
        return 1
    return int(volume.voxels.shape[3])


def _clearest(
    volume: Volume, classifier: Classifier, count: int, progress: Progress | None
) -> tuple[Volume, dict[str, Any]]:
    scores = []
    for place in range(count):
        if progress:
            progress(place, count)
        found = classifier.predict(volume.moment(place)).scores
        scores.append([found[name] for name in classifier.classes])
    table = np.array(scores)
    shown, axis = clearest_moment(table, classifier.answer), volume.fourth
    told = {
        "axis": axis.name if axis else "",
        "unit": axis.unit if axis else "",
        "values": list(axis.values) if axis else [],
        "scores": {name: table[:, n].tolist() for n, name in enumerate(classifier.classes)},
        "shown": shown,
    }
    return volume.moment(shown), {"moments": told}


def clearest_moment(scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]], answer: Answer) -> int:
    """Return the moment to show of scores (moments, classes).

    With a background class, the one that speaks most clearly against it; of values (a regression) the one
    nearest to their mean; else the one with the highest score of any class.
    """
    if answer.background is not None:
        return int(scores[:, answer.background].argmin())
    if not answer.is_probability:
        return int(np.abs(scores - scores.mean(axis=0)).sum(axis=1).argmin())
    return int(scores.max(axis=1).argmax())
