"""What is left on a network, and in memory, after many calls of which some fail."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

import torch
from torch import nn

from benchmarks.engines.contenders import CONTENDERS, OURS, PLAIN, SIX, hooks_on
from benchmarks.engines.measuring import resident_megabytes
from benchmarks.engines.memory import in_a_fresh_process
from benchmarks.engines.networks import Case, Recipe, densenet121
from benchmarks.engines.tables import Findings, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS, SETTLED, EVERY = 100, 40, 5
"""Calls in all; calls after which memory has settled; every how many one fails."""
RECIPE = Recipe("DenseNet121 2D 96^2", densenet121, (96, 96), "class_layers.relu")
FLAT_MB = 8.0


@dataclass(frozen=True)
class Left:
    """What was found on a network that was not there before."""

    failed: int
    hooks: int
    gradients: int
    flags: int
    growth: float


def measure() -> Findings:
    """Call every engine many times, each in a fresh process."""
    rows, targets = [], []
    for name in CONTENDERS:
        if name in (PLAIN, SIX):
            continue
        left = in_a_fresh_process(left_by, name)
        rows.append([name, left.failed, left.hooks, left.gradients, left.flags, left.growth])
        if name == OURS:
            counted = left.hooks + left.gradients + left.flags
            targets.append(Target("VoxCAM: hooks, .grad and flags left behind", counted, 0))
            targets.append(Target("VoxCAM: growth of resident memory, MB", left.growth, FLAT_MB))
    columns = (
        "engine",
        "failed",
        "hooks left",
        ".grad left",
        "flags changed",
        f"MB grown, call {SETTLED} to {CALLS}",
    )
    title = f"Traces of {CALLS} calls, every {EVERY}th on a class that does not exist or a wrong input"
    note = "Flags: training and inplace of submodules, requires_grad; the network comes in training mode."
    return Findings("traces", [Table(title, columns, rows, note)], targets)


def left_by(name: str) -> Left:
    """Call one engine many times and count what it leaves."""
    torch.set_num_threads(1)
    case = RECIPE.case()
    case.network.train()
    before, failed, settled = flags(case.network), 0, 0.0
    for call in range(CALLS):
        failed += not succeeds(partial(explain_once, CONTENDERS[name], case, call))
        if call + 1 == SETTLED:
            settled = resident_megabytes()
    growth = resident_megabytes() - settled
    gradients = sum(parameter.grad is not None for parameter in case.network.parameters())
    changed = sum(now != then for now, then in zip(flags(case.network), before, strict=True))
    return Left(failed, hooks_on(case.network), gradients, changed, growth)


def explain_once(explain: Callable[[Case, list[int]], object], case: Case, call: int) -> None:
    """Explain one class; some calls ask for a class that is not there, or give one channel too many."""
    fails = call % EVERY == EVERY - 1
    wrong_class, wrong_input = fails and call % 2 == 0, fails and call % 2 == 1
    x = case.x.repeat(1, 2, 1, 1) if wrong_input else case.x
    explain(Case(case.title, case.network, x, case.layer), [99 if wrong_class else call % 3])


def succeeds(run: Callable[[], object]) -> bool:
    """Run in silence, and say whether it did so without an exception."""
    try:
        with redirect_stdout(StringIO()):
            run()
    except Exception:
        return False
    return True


def flags(network: nn.Module) -> list[bool]:
    """List what an engine may switch and forget."""
    modules = list(network.modules())
    switched = [module.training for module in modules] + [
        bool(getattr(module, "inplace", False)) for module in modules
    ]
    return switched + [parameter.requires_grad for parameter in network.parameters()]
