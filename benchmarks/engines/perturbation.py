"""Score-CAM and Ablation-CAM: seconds beside the peers', for the same maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytorch_grad_cam
import torch
import torchcam.methods

from benchmarks.engines.contenders import OURS, PYTORCH_GRAD_CAM, TORCH_CAM, forget
from benchmarks.engines.measuring import Clock
from benchmarks.engines.networks import CLASSES, Recipe, resnet_of_18
from benchmarks.engines.outcomes import ours, share_of_range
from benchmarks.engines.peers import raw_map
from benchmarks.engines.tables import Cell, Findings, Table, Target
from voxcam import cam

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from benchmarks.engines.networks import Case

FASTER = 1.0
ABLATION_FASTER = 10.0
NOTE = (
    f"CPU seconds; the peers' {CLASSES} classes are {CLASSES} times their one. The difference is a share of "
    "the map's range: pytorch-grad-cam's Score-CAM cuts its masks otherwise; its Ablation-CAM subtracts "
    "logits in float32."
)
ALL = f"{OURS}, {CLASSES} classes"


@dataclass(frozen=True)
class Duel:
    """A method at a layer of a network, and a peer's way to class 0's map (B, *grid)."""

    method: str
    peer: str
    theirs: Callable[[Case], Tensor]
    shape: tuple[int, ...]
    layer: str
    at_least: float

    @property
    def title(self) -> str:
        """Say what is compared."""
        return f"{self.method}, ResNet18 {len(self.shape)}D {self.shape[0]}^{len(self.shape)}, {self.layer}"


def torch_cam_score_cam(case: Case) -> Tensor:
    with torchcam.methods.ScoreCAM(case.network, case.layer) as explainer, torch.no_grad():
        case.network(case.x)
        return explainer(0, normalized=False)[0]


def pytorch_score_cam(case: Case) -> Tensor:
    with pytorch_grad_cam.ScoreCAM(case.network, [case.module]) as explainer:
        return raw_map(explainer, case.x, 0)


def pytorch_ablation_cam(case: Case) -> Tensor:
    """In logit units: it divides by the logit."""
    with pytorch_grad_cam.AblationCAM(case.network, [case.module]) as explainer:
        maps = raw_map(explainer, case.x, 0)
    with torch.no_grad():
        return maps * case.network(case.x)[:, 0].reshape(-1, *(1,) * (maps.ndim - 1))


PLANE, VOLUME = (128, 128), (48, 48, 48)
DUELS = (
    Duel("score-cam", TORCH_CAM, torch_cam_score_cam, PLANE, "layer4", FASTER),
    Duel("score-cam", PYTORCH_GRAD_CAM, pytorch_score_cam, PLANE, "layer4", FASTER),
    Duel("score-cam", TORCH_CAM, torch_cam_score_cam, VOLUME, "layer3", FASTER),
    Duel("ablation-cam", PYTORCH_GRAD_CAM, pytorch_ablation_cam, PLANE, "layer4", ABLATION_FASTER),
    Duel("ablation-cam", PYTORCH_GRAD_CAM, pytorch_ablation_cam, PLANE, "layer3", ABLATION_FASTER),
)


def measure(rounds: int) -> Findings:
    """Time every duel whose method is there."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for duel in DUELS:
        if duel.method in cam.METHODS:
            row, held = fought(duel, rounds)
            rows.append(row)
            targets += held
    absent = sorted({duel.method for duel in DUELS} - set(cam.METHODS))
    note = f"{NOTE} Not in VoxCAM: {', '.join(absent) or 'none'}."
    columns = (
        "what",
        "beside",
        "1 class, s",
        "peer, s",
        "peer / ours",
        f"{CLASSES} classes, s",
        "peer / ours",
        "difference",
    )
    return Findings("perturbation", [Table("Perturbation methods, batch 1", columns, rows, note)], targets)


def fought(duel: Duel, rounds: int) -> tuple[list[Cell], list[Target]]:
    """Let both take turns; compare what they return."""
    case = Recipe("", resnet_of_18, duel.shape, duel.layer).case()
    clock = Clock()
    clock.take(
        {
            OURS: partial(ours, case, duel.method, [0]),
            ALL: partial(ours, case, duel.method),
            duel.peer: partial(duel.theirs, case),
        },
        rounds=rounds,
    )
    forget(case.network)
    error = share_of_range(ours(case, duel.method, [0]).relu(), duel.theirs(case)[:, None].relu())
    one, every = clock.ratio(duel.peer, OURS), CLASSES * clock.ratio(duel.peer, ALL)
    seconds = [clock.seconds(name) for name in (OURS, duel.peer, ALL)]
    row = [duel.title, duel.peer, seconds[0], seconds[1], one, seconds[2], every, error]
    return row, [
        Target(f"{duel.title}: {duel.peer} / VoxCAM, 1 class", one, duel.at_least, at_most=False),
        Target(f"{duel.title}: {duel.peer} / VoxCAM, {CLASSES} classes", every, duel.at_least, at_most=False),
    ]
