"""Whether a volume is of the kind a model was trained on: refused if not, or its reader is warned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.model.statement import Statement

# Of the voxels, looked at on a lattice of about this many: a share is told well enough.
LOOKED_AT = 200_000
# Air and metal lie outside of any range that matters: it is odd only if next to nothing lies inside, or if
# the values take up next to nothing of it, as an image scaled to 0..1 does of HU.
_SHARE = 0.02
_APART = ("from column to column", "from row to row", "from slice to slice")
_STATE_IT = "; state the modality if you know it (--modality, or under Scan in the reading room)"


@dataclass(frozen=True)
class Fit:
    """How a volume fits a model.

    Parameters
    ----------
    against
        Why it is refused, in a phrase; () if it is not.
    warnings
        In what it differs from what the model states it was trained on, a sentence each.
    """

    against: tuple[str, ...]
    warnings: tuple[str, ...]

    def require(self, name: str) -> None:
        """Raise ClassifierError if the volume is refused."""
        if self.against:
            raise ClassifierError(f"the scan does not fit classifier {name!r}: {'; '.join(self.against)}")


def fit_of(statement: Statement, volume: Volume, *, look: bool = False) -> Fit:
    """Return how `volume` fits what the model states; `look` at its voxels too, which takes a moment."""
    warnings = [*_spacing(statement, volume), *(_values(statement, volume) if look else ())]
    return Fit(tuple(_kind(statement, volume)), tuple(warnings))


def _kind(statement: Statement, volume: Volume) -> list[str]:
    against = []
    for what, ours, theirs in (
        ("modality", statement.modality, volume.modality),
        ("values in", statement.unit, volume.unit),
    ):
        if ours and ours != theirs:
            found = theirs or "none stated"
            # Of a scan that states its modality no other can be stated.
            hint = "" if volume.modality else _STATE_IT
            against.append(f"it expects {what} {ours}, found {found}{hint}")
    return against


def _spacing(statement: Statement, volume: Volume) -> list[str]:
    if statement.spacing_mm is None:
        return []
    warnings = []
    ranges = statement.spacing_mm
    for axis, spacing in enumerate(volume.geometry.spacing_mm[: len(ranges)]):
        low, high = ranges[axis]
        if not low * 0.99 <= spacing <= high * 1.01:
            warnings.append(
                f"voxels are {spacing:.3g} mm {_APART[axis]}, the model was trained on "
                + (f"{low:g}" if low == high else f"{low:g} to {high:g}")
                + " mm"
            )
    return warnings


def _values(statement: Statement, volume: Volume) -> list[str]:
    values = _some(volume)
    if values.size == 0:
        return []
    if values.min() == values.max():
        return [f"all values looked at are {values.min():g}: there is nothing to see"]
    if statement.value_range is None:
        return []
    low, high = statement.value_range
    unit = f" {volume.unit}" if volume.unit else ""
    stated = f"{low:g} to {high:g}{unit}, the range the model states"
    inside = float(np.mean((values >= low) & (values <= high)))
    bottom, top = np.percentile(values, [0.5, 99.5])
    if inside < _SHARE:
        return [f"only {inside:.1%} of the values lie in {stated}"]
    if top - bottom < _SHARE * (high - low):
        return [f"the values span {bottom:.3g} to {top:.3g}, next to nothing of {stated}"]
    return []


def _some(volume: Volume) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the finite values on a lattice through the volume."""
    if volume.is_colour:
        return np.empty(0, np.float32)
    shape = volume.voxels.shape
    step = max(1, int(np.ceil((np.prod(shape) / LOOKED_AT) ** (1 / 3))))
    lattice = tuple(slice(step // 2 if n > step else 0, None, step) for n in shape[:3])
    values = np.asarray(volume.voxels[lattice], dtype=np.float32)
    return values[np.isfinite(values)]
