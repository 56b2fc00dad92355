"""Where peers are wrong, each with a figure measured in this run, and the same figure of VoxCAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.engines.contenders import MONAI, PYTORCH_GRAD_CAM, TORCH_CAM
from benchmarks.engines.tables import Cell, Findings, Table
from benchmarks.engines.wrong_monai import WRONG as OF_MONAI
from benchmarks.engines.wrong_pytorch_grad_cam import WRONG as OF_PYTORCH_GRAD_CAM
from benchmarks.engines.wrong_torch_cam import WRONG as OF_TORCH_CAM

if TYPE_CHECKING:
    from collections.abc import Callable

NOTE = (
    "Errors of maps are shares of the right map's range, beside closed forms in float64; where a call fails, "
    "the kind of its error. Hooks, gradients and flags left behind are in the table of traces. captum has "
    "none of these."
)


def measure() -> Findings:
    """Measure all of them."""
    rows: list[list[Cell]] = []
    for peer, wrong in (
        (MONAI, OF_MONAI),
        (PYTORCH_GRAD_CAM, OF_PYTORCH_GRAD_CAM),
        (TORCH_CAM, OF_TORCH_CAM),
    ):
        rows += [[peer, what, *both(run)] for _, what, run in wrong]
    return Findings(
        "defects", [Table("Where peers are wrong", ("engine", "what", "there", "VoxCAM"), rows, NOTE)]
    )


def both(run: Callable[[], tuple[Cell, Cell]]) -> tuple[Cell, Cell]:
    """Return what is measured of both; a line that breaks does not take the others with it."""
    try:
        return run()
    except Exception as error:
        return f"not measured: {type(error).__name__}", None
