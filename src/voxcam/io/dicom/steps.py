"""Are the slices of a series one even stack? Which share a place, which are missing, which stray."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from voxcam.io.dicom.dimensions import copies
from voxcam.io.study import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.dicom.headers import Header

# A slice may lie this part of a step off the even grid: an old scanner rounds its table positions (a
# real GE series steps 6.96, 6.97, 7.06 mm), a lost slice is off by half a step at least.
EVEN = 0.02
# Below these nothing is said.
_SAME_MM = 1e-3
_NOTED_MM = 0.01
GRID_KINDS = ("orientation", "missing-slices", "uneven-steps", "not-in-line")
_WAY_OUT = (
    "read it with gaps marked or interpolated (--gaps mark, --gaps interpolate), or copy the whole series"
)


def same_place(headers: Sequence[Header], normal: NDArray[np.float64]) -> tuple[tuple[Header, ...], ...]:
    """Return headers in order along the normal, those within 1 % of a step of one another together."""
    along = _positions(headers) @ normal
    order = np.argsort(along, kind="stable")
    places, ordered = along[order], [headers[index] for index in order]
    gaps = np.diff(places)
    steps = gaps[gaps > _SAME_MM]
    near = max(_SAME_MM, 0.01 * _median(steps)) if steps.size else _SAME_MM
    starts = [0, *(np.flatnonzero(gaps > near) + 1), len(ordered)]
    return tuple(tuple(sorted(ordered[a:b], key=_tie)) for a, b in pairwise(starts))


def step_findings(slices: Sequence[Sequence[Header]], normal: NDArray[np.float64]) -> list[Finding]:
    """Return what is odd about the positions of slices that are in order along the normal."""
    if len(slices) < 3:
        return _stray(slices, normal)
    places = _firsts(slices) @ normal
    steps = grid_steps(places)
    if steps is not None and steps.max() > 1:
        return [_missing(places, steps), *_aside(slices, normal)]
    return _stray(slices, normal)


def grid_steps(places: NDArray[np.float64]) -> NDArray[np.int_] | None:
    """Return how many even steps lie between neighbours; None if they are no whole numbers of them."""
    gaps = np.diff(places)
    usual = usual_gap(places)
    steps = np.maximum(1, np.round(gaps / usual))
    whole = bool((np.abs(gaps - steps * usual) <= 2 * EVEN * usual * steps).all())
    return steps.astype(int) if whole else None


def _stray(slices: Sequence[Sequence[Header]], normal: NDArray[np.float64]) -> list[Finding]:
    """Return findings on how far positions are from the line of even steps between the first and the last."""
    origins = _firsts(slices)
    apart = max((_spread(here) for here in slices if len(here) > 1), default=0.0)
    if len(slices) < 2:
        return [_not_in_line(apart)] if apart > _NOTED_MM else []
    step = (origins[-1] - origins[0]) / (len(slices) - 1)
    off = origins - origins[0] - np.arange(len(slices))[:, None] * step
    along = off @ normal
    aside = max(float(np.linalg.norm(off - np.outer(along, normal), axis=1).max()), apart)
    step_mm = float(step @ normal)
    allowed = max(_NOTED_MM, EVEN * step_mm)
    if np.abs(along).max() > allowed:
        return [_uneven(origins @ normal), *_aside(slices, normal)]
    if aside > allowed:
        return [_not_in_line(aside)]
    worst = float(np.linalg.norm(off, axis=1).max())
    if worst <= _NOTED_MM:
        return []
    text = f"slices lie up to {worst:.2f} mm off even steps of {step_mm:.4g} mm: taken as even"
    return [Finding("nearly-even", text, len(slices))]


def _aside(slices: Sequence[Sequence[Header]], normal: NDArray[np.float64]) -> list[Finding]:
    """Return that slices lie beside the line from the first to the last, however far they are along it."""
    origins = _firsts(slices) - _firsts(slices)[0]
    along = origins @ normal
    aside = float(np.linalg.norm(origins - np.outer(along / along[-1], origins[-1]), axis=1).max())
    return [_not_in_line(aside)] if aside > max(_NOTED_MM, EVEN * usual_gap(along)) else []


def _missing(places: NDArray[np.float64], steps: NDArray[np.int_]) -> Finding:
    gaps = np.flatnonzero(steps > 1)
    lost = int((steps - 1).sum())
    where = [f"{places[g]:.2f} and {places[g + 1]:.2f} mm ({steps[g] - 1})" for g in gaps[:3]]
    more = f" and {len(gaps) - 3} more gaps" if len(gaps) > 3 else ""
    text = (
        f"{lost} {'slice is' if lost == 1 else 'slices are'} missing of {len(places) + lost}: between "
        f"{', '.join(where)}{more} along the normal; {_WAY_OUT}"
    )
    return Finding("missing-slices", text, lost, stops=True)


def _uneven(places: NDArray[np.float64]) -> Finding:
    gaps = np.diff(places)
    worst = int(np.abs(gaps - usual_gap(places)).argmax())
    text = (
        f"expected even steps between slices, found {gaps.min():.2f} to {gaps.max():.2f} mm, oddest between "
        f"{places[worst]:.2f} and {places[worst + 1]:.2f} mm along the normal; {_WAY_OUT}"
    )
    return Finding("uneven-steps", text, len(places), stops=True)


def _not_in_line(aside_mm: float) -> Finding:
    text = (
        f"expected slices one behind the other, found some up to {aside_mm:.2f} mm aside; "
        "split the series into stacks first"
    )
    return Finding("not-in-line", text, stops=True)


def duplicate_findings(slices: Sequence[Sequence[Header]]) -> list[Finding]:
    """Return what is to be said of positions that hold more than one image, none of them a fourth axis."""
    shared = [here for here in slices if len(here) > 1]
    if not shared:
        return []
    extra = sum(len(here) - 1 for here in shared)
    if all(copies(here) for here in shared):
        number = "1 copy" if extra == 1 else f"{extra} copies"
        return [Finding("copies", f"slices are here more than once ({number}): kept once", extra)]
    where = f"{len(shared)} of {len(slices)} positions"
    text = f"{where} hold more than one slice: kept once if their pixels are equal"
    return [Finding("duplicates", text, extra)]


def _spread(here: Sequence[Header]) -> float:
    """Largest distance in mm of slices taken for one place from the first of them."""
    places = _positions(here)
    return float(np.linalg.norm(places - places[0], axis=1).max())


def _positions(headers: Sequence[Header]) -> NDArray[np.float64]:
    return np.array([header.position for header in headers], dtype=np.float64)


def _firsts(slices: Sequence[Sequence[Header]]) -> NDArray[np.float64]:
    return _positions([here[0] for here in slices])


def usual_gap(places: NDArray[np.float64]) -> float:
    """Return the lower median gap: of 5 and 10 it is 5, and the slice between is seen to be missing."""
    return _median(np.diff(places))


def _median(gaps: NDArray[np.float64]) -> float:
    return float(np.sort(gaps)[(len(gaps) - 1) // 2])


def _tie(header: Header) -> tuple[int, str, int, str]:
    return header.instance_number or 0, header.instance_uid, header.frame, str(header.file)
