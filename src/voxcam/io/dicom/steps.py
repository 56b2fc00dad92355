"""Are the slices of a series one even stack? Which share a place, which are missing, which stray."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

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
GRID_KINDS = (
    "orientation",
    "missing-slices",
    "uneven-steps",
    "not-in-line",
    "several-per-position",
)


def same_place(headers: Sequence[Header], normal: NDArray[np.float64]) -> tuple[tuple[Header, ...], ...]:
    """Return headers in order along the normal, those within 1 % of a step of one another together."""
    ordered = sorted(headers, key=lambda h: (_along(h, normal), _tie(h)))
    places = np.array([_along(h, normal) for h in ordered])
    gaps = np.diff(places)
    steps = gaps[gaps > _SAME_MM]
    near = max(_SAME_MM, 0.01 * _median(steps)) if steps.size else _SAME_MM
    starts = [0, *(np.flatnonzero(gaps > near) + 1), len(ordered)]
    groups = [ordered[a:b] for a, b in pairwise(starts)]
    return tuple(tuple(sorted(group, key=_tie)) for group in groups)


def step_findings(slices: Sequence[Sequence[Header]], normal: NDArray[np.float64]) -> list[Finding]:
    """Return what is odd about the positions of slices that are in order along the normal."""
    findings = _duplicates(slices)
    if len(slices) < 3:
        return findings + _stray(slices, normal)
    places = np.array([_along(here[0], normal) for here in slices])
    gaps = np.diff(places)
    usual = usual_gap(places)
    steps = np.maximum(1, np.round(gaps / usual))
    if steps.max() > 1 and bool((np.abs(gaps - steps * usual) <= 2 * EVEN * usual * steps).all()):
        return [*findings, _missing(places, steps.astype(int))]
    return findings + _stray(slices, normal)


def _stray(slices: Sequence[Sequence[Header]], normal: NDArray[np.float64]) -> list[Finding]:
    """Return findings on how far positions are from the line of even steps between the first and the last."""
    origins = np.array([here[0].position for here in slices])
    apart = max((_spread(here) for here in slices), default=0.0)
    if len(slices) < 2:
        return [_not_in_line(apart)] if apart > _NOTED_MM else []
    step = (origins[-1] - origins[0]) / (len(slices) - 1)
    off = origins - origins[0] - np.arange(len(slices))[:, None] * step
    along = off @ normal
    aside = max(float(np.linalg.norm(off - np.outer(along, normal), axis=1).max()), apart)
    step_mm = float(step @ normal)
    allowed = max(_NOTED_MM, EVEN * step_mm)
    if np.abs(along).max() > allowed:
        return [_uneven(origins @ normal)]
    if aside > allowed:
        return [_not_in_line(aside)]
    worst = float(np.linalg.norm(off, axis=1).max())
    if worst <= _NOTED_MM:
        return []
    text = f"slices lie up to {worst:.2f} mm off even steps of {step_mm:.4g} mm: taken as even"
    return [Finding("nearly-even", text, len(slices))]


def _missing(places: NDArray[np.float64], steps: NDArray[np.int_]) -> Finding:
    gaps = np.flatnonzero(steps > 1)
    lost = int((steps - 1).sum())
    where = [f"{places[g]:.2f} and {places[g + 1]:.2f} mm ({steps[g] - 1})" for g in gaps[:3]]
    more = f" and {len(gaps) - 3} more gaps" if len(gaps) > 3 else ""
    text = (
        f"{lost} {'slice is' if lost == 1 else 'slices are'} missing of {len(places) + lost}: between "
        f"{', '.join(where)}{more} along the normal; copy or export the whole series again"
    )
    return Finding("missing-slices", text, lost, stops=True)


def _uneven(places: NDArray[np.float64]) -> Finding:
    gaps = np.diff(places)
    worst = int(np.abs(gaps - usual_gap(places)).argmax())
    text = (
        f"expected even steps between slices, found {gaps.min():.2f} to {gaps.max():.2f} mm, oddest between "
        f"{places[worst]:.2f} and {places[worst + 1]:.2f} mm along the normal; "
        "resample the series to even steps first"
    )
    return Finding("uneven-steps", text, len(places), stops=True)


def _not_in_line(aside_mm: float) -> Finding:
    text = (
        f"expected slices one behind the other, found some up to {aside_mm:.2f} mm aside; "
        "split the series into stacks first"
    )
    return Finding("not-in-line", text, stops=True)


def _duplicates(slices: Sequence[Sequence[Header]]) -> list[Finding]:
    shared = [here for here in slices if len(here) > 1]
    if not shared:
        return []
    extra = sum(len(here) - 1 for here in shared)
    if all(_copies(here) for here in shared):
        copies = "1 copy" if extra == 1 else f"{extra} copies"
        return [Finding("copies", f"slices are here more than once ({copies}): kept once", extra)]
    if len(shared) == len(slices) and not any(_copies(here) for here in shared):
        text = (
            f"each of {len(slices)} positions holds {len(shared[0])} images or more (time, echo, b-value): "
            "splitting them is not supported yet; export each as a series of its own"
        )
        return [Finding("several-per-position", text, extra, stops=True)]
    where = f"{len(shared)} of {len(slices)} positions"
    text = f"{where} hold more than one slice: kept once if their pixels are equal"
    return [Finding("duplicates", text, extra)]


def _copies(here: Sequence[Header]) -> bool:
    uids = {header.instance_uid for header in here}
    return len(uids) == 1 and uids != {""}


def _spread(here: Sequence[Header]) -> float:
    """Largest distance in mm of slices taken for one place from the first of them."""
    first = np.array(here[0].position)
    return max(float(np.linalg.norm(np.array(h.position) - first)) for h in here)


def usual_gap(places: NDArray[np.float64]) -> float:
    """Return the lower median gap: of 5 and 10 it is 5, and the slice between is seen to be missing."""
    return _median(np.diff(places))


def _median(gaps: NDArray[np.float64]) -> float:
    return float(np.sort(gaps)[(len(gaps) - 1) // 2])


def _along(header: Header, normal: NDArray[np.float64]) -> float:
    return float(np.array(header.position) @ normal)


def _tie(header: Header) -> tuple[int, str, str]:
    return header.instance_number or 0, header.instance_uid, str(header.file)
