"""Grad-CAM of 14 classes in units of one plain forward pass, and all gradient methods likewise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.engines.contenders import (
    CONTENDERS,
    MONAI,
    ONE_PASS,
    OURS,
    PLAIN,
    PYTORCH_GRAD_CAM,
    SIX,
    TORCH_CAM,
    forget,
)
from benchmarks.engines.measuring import Clock
from benchmarks.engines.networks import CLASSES, RECIPES
from benchmarks.engines.tables import Findings, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.engines.networks import Case

FORWARD_PASSES = 1.15
SIX_METHODS = 1.3
TIMES_FASTER = 20.0
IN_3D = 2
"""Classes that are run of the 14, in 3D, by those that run once a class."""
QUICK_TURNS = 5
"""Turns that those of one pass take in each round of the slow."""


def measure(rounds: int) -> Findings:
    """Time every contender on every network, `rounds` rounds of the slow ones."""
    rows, targets = [], []
    for recipe in RECIPES.values():
        case = recipe.case()
        clock = timed(case, rounds)
        rows += [
            [
                case.title,
                name,
                clock.seconds(name),
                clock.ratio(name, PLAIN),
                clock.ratio(name, PLAIN, wall=True),
                clock.ratio(name, OURS),
                len(clock.cpu[name]),
            ]
            for name in CONTENDERS
        ]
        targets += promises(case.title, clock)
    columns = ("network", "engine", "CPU s", "x forward, CPU", "x forward, wall", "x VoxCAM, CPU", "runs")
    title = f"Grad-CAM of {CLASSES} classes, batch 1: medians of runs that took turns"
    note = f"In 3D those of one pass a class run {IN_3D} classes; their seconds are times {CLASSES // IN_3D}."
    return Findings("speed", [Table(title, columns, rows, note)], targets)


def timed(case: Case, rounds: int) -> Clock:
    """Let all contenders take turns on one network."""
    once_a_class = range(CLASSES if case.x.ndim == 4 else IN_3D)
    quick = {name: partial(clean, CONTENDERS[name], case, range(CLASSES)) for name in ONE_PASS}
    slow = {
        name: partial(clean, run, case, once_a_class) for name, run in CONTENDERS.items() if name not in quick
    }
    clock = Clock()
    Clock().take(quick, rounds=2)  # not counted: first runs pay for what is loaded late
    for _ in range(rounds):
        clock.take(quick, rounds=QUICK_TURNS)
        clock.take(slow)
    for name in slow:
        clock.multiply(name, CLASSES / len(once_a_class))
    return clock


def clean(explain: Callable[[Case, range], object], case: Case, classes: range) -> None:
    """Run a contender, and take off what it leaves."""
    explain(case, classes)
    forget(case.network)


def promises(title: str, clock: Clock) -> list[Target]:
    """Hold the figures of one network against the targets."""
    ratios: Mapping[str, float] = {name: clock.ratio(name, OURS) for name in CONTENDERS}
    return [
        Target(f"{title}: VoxCAM, in forward passes", clock.ratio(OURS, PLAIN), FORWARD_PASSES),
        Target(f"{title}: six methods, in forward passes", clock.ratio(SIX, PLAIN), SIX_METHODS),
        Target(f"{title}: MONAI / VoxCAM", ratios[MONAI], TIMES_FASTER, at_most=False),
        Target(f"{title}: pytorch-grad-cam / VoxCAM", ratios[PYTORCH_GRAD_CAM], TIMES_FASTER, at_most=False),
        Target(f"{title}: torch-cam / VoxCAM", ratios[TORCH_CAM], 1.0, at_most=False),
    ]
