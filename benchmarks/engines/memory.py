"""Peak resident memory in fresh processes, and what autograd saves.

Every figure is the median of some processes, each forked from one that has imported everything and run
nothing. A process runs a small input first, so that code loaded late does not count, and gives memory back
as soon as it is free: what the C library would keep differs from run to run by more than what is compared.
"""

from __future__ import annotations

import multiprocessing
import statistics
from functools import partial
from typing import TYPE_CHECKING

import torch

from benchmarks.engines.contenders import CONTENDERS, ONE_PASS, OURS, PLAIN, forget
from benchmarks.engines.measuring import give_back_at_once, peak_megabytes, saved_megabytes
from benchmarks.engines.networks import CLASSES, RECIPES
from benchmarks.engines.tables import Findings, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable

PEAK = 1.1
SMALL = 48
ONE_BY_ONE = 2
"""Classes for those that run once a class: at the second, the first may still be in memory."""


def measure(rounds: int) -> Findings:
    """Measure every contender on every network in `rounds` processes each."""
    rows, targets = [], []
    for title in RECIPES:
        peaks = {name: median_peak(title, name, rounds) for name in CONTENDERS}
        saved = {name: in_a_fresh_process(saved_by, title, name) for name in CONTENDERS}
        rows += [[title, name, peaks[name], peaks[name] / peaks[PLAIN], saved[name]] for name in CONTENDERS]
        targets.append(Target(f"{title}: VoxCAM's peak / plain peak", peaks[OURS] / peaks[PLAIN], PEAK))
    columns = ("network", "engine", "peak MB", "x plain", "MB saved for backward")
    note = (
        "Peak resident memory over where it stood before; what is free is given back at once. "
        f"{', '.join(ONE_PASS[1:])}: {CLASSES} classes; the others, which run once a class: {ONE_BY_ONE} "
        "classes, and what is saved is for one."
    )
    return Findings(
        "memory", [Table(f"Memory, batch 1, median of {rounds} processes", columns, rows, note)], targets
    )


def median_peak(title: str, name: str, rounds: int) -> float:
    return statistics.median(in_a_fresh_process(peak_of, title, name) for _ in range(rounds))


def peak_of(title: str, name: str) -> float:
    """Return how many MB a contender adds at its peak."""
    give_back_at_once()
    torch.set_num_threads(1)
    recipe, classes = RECIPES[title], range(CLASSES if name in ONE_PASS else ONE_BY_ONE)
    warm = recipe.case(SMALL)
    CONTENDERS[name](warm, classes)
    forget(warm.network)
    del warm
    case = recipe.case()
    return peak_megabytes(partial(CONTENDERS[name], case, classes))


def saved_by(title: str, name: str) -> float:
    """Return how many MB autograd saves at a time for a contender."""
    torch.set_num_threads(1)
    case, classes = RECIPES[title].case(), range(CLASSES if name in ONE_PASS else 1)
    return saved_megabytes(partial(CONTENDERS[name], case, classes))


def in_a_fresh_process(run: Callable[..., float], *arguments: object) -> float:
    """Return what `run` returns in a process of its own; needs a system that can fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "benchmarks.engines.traces"])
    with context.Pool(1) as pool:
        return pool.apply(run, arguments)
