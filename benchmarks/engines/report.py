"""The parts of the run, and everything they found as JSON."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import torch

from benchmarks.engines import defects, memory, parity, perturbation, speed, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.engines.tables import Findings

PARTS: dict[str, Callable[[int], Findings]] = {
    "parity": lambda _rounds: parity.measure(),
    "defects": lambda _rounds: defects.measure(),
    "speed": speed.measure,
    "perturbation": perturbation.measure,
    "memory": memory.measure,
    "traces": lambda _rounds: traces.measure(),
}


def quiet(threads: int) -> None:
    """Silence the peers' warnings, and fix the number of threads."""
    warnings.simplefilter("ignore")
    logging.getLogger("torchcam").setLevel(logging.ERROR)
    torch.set_num_threads(threads)


def as_dict(versions: str, found: Sequence[Findings]) -> dict[str, object]:
    """Return everything that was measured."""
    return {"versions": versions, **{part.part: part.as_dict() for part in found}}
