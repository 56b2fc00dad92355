"""What came of a call: a figure, or the kind of error; and how far maps lie apart."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from benchmarks.engines.tables import Cell
from voxcam import cam

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from benchmarks.engines.networks import Case


Outcome = tuple[Cell, Cell]
"""The same measured of a peer and of VoxCAM."""


def outcome_of(run: Callable[[], object]) -> str:
    """Run in silence; return the error's kind, or what came back if that is short, or "works"."""
    try:
        with redirect_stdout(StringIO()):
            result = run()
    except Exception as error:
        return type(error).__name__
    return "x".join(map(str, result)) if isinstance(result, tuple) else "works"


def ours(
    case: Case,
    method: str,
    classes: Sequence[object] | None = None,
    options: Mapping[str, object] | None = None,
) -> Tensor:
    """Return VoxCAM's maps (B, K, *grid)."""
    given = {method: options} if options else None
    return cam.class_maps(case.network, case.x, case.layer, method, classes, options=given)[method]


def share_of_range(maps: Tensor, right: Tensor) -> float:
    """Return max |maps - right| over the range of `right`, map by map; the largest of all maps."""
    maps, right = maps.double().flatten(2), right.double().flatten(2)
    low, high = right.aminmax(dim=-1)
    whole = (high - low).clamp(min=1e-12 * right.abs().max().item())
    return float(((maps - right).abs().amax(-1) / whole).max())


def share_of_largest(maps: Tensor, right: Tensor) -> float:
    """Return the largest difference of maps after a ReLU, each divided by its largest value."""
    maps, right = maps.double().relu().flatten(2), right.double().relu().flatten(2)
    return float((maps / maps.amax(-1, keepdim=True) - right / right.amax(-1, keepdim=True)).abs().max())
