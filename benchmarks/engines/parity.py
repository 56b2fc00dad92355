"""Raw maps beside those of the peers that are right, and beside closed forms in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.engines.networks import pooling_case, small_case, small_transformer
from benchmarks.engines.outcomes import share_of_range
from benchmarks.engines.pairs import PAIRS, REFINED, Pair
from benchmarks.engines.tables import Cell, Findings, Table, Target
from voxcam import cam

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.engines.networks import Case

AGREE = 1e-5
RANKS = (2, 3)
STEEPNESS = {"score-cam": 1.0, "ss-cam": 1.0, "is-cam": 1.0, "grad-cam++": 1e9}
"""A softmax over the scores of a steep network leaves one channel; an epsilon of 1e-6 wants a steep one."""
PRECISE = {"grad-cam++", "smooth-grad-cam++", "refine-cam", "kpca-cam"}
"""Methods that jump where a gradient changes its sign; and one that a peer computes in float32 alone."""
OF_TRANSFORMERS = {"legrad", "attention-rollout"}

NOTE = (
    "Two samples, five classes, no two axes alike. MONAI gets one sample at a time, its batches are wrong; "
    "pytorch-grad-cam's Ablation-CAM is multiplied by the logit it divides by, and the sign of its KPCA-CAM, "
    "which is arbitrary, set by the sum of the feature maps; Grad-CAM++ is compared in float64 and where "
    "gradients are so large that epsilons do not count. Methods that draw noise draw none here."
)


def measure() -> Findings:
    """Compare every method that is there, with every peer and closed form there is for it."""
    pairs = sorted((pair for pair in PAIRS if pair.method in cam.METHODS), key=lambda pair: pair.name)
    rows: list[list[Cell]] = [
        [pair.name, pair.beside, *(difference(pair, rank) if rank in pair.ranks else None for rank in RANKS)]
        for pair in pairs
    ]
    worst = max((error for row in rows for error in row[2:] if isinstance(error, float)), default=0.0)
    alone = sorted(set(cam.METHODS) - {pair.method for pair in pairs})
    absent = sorted({pair.method for pair in PAIRS} - set(cam.METHODS))
    note = f"{NOTE} Not compared: {', '.join(alone) or 'none'}. Not in VoxCAM: {', '.join(absent) or 'none'}."
    title = "Largest difference of raw maps, as a share of the map's range"
    table = Table(title, ("method", "beside", "2D", "3D"), rows, note)
    return Findings(
        "parity", [table], [Target("largest difference from a peer or closed form", worst, AGREE)]
    )


def difference(pair: Pair, rank: int) -> float:
    """Return the largest difference of two sets of maps as a share of the range of each map."""
    case = case_for(pair.method, rank)
    maps = maps_by_voxcam(pair, case)
    return share_of_range(maps.relu() if pair.relu else maps, pair.theirs(case))


def case_for(method: str, rank: int) -> Case:
    """Return the network a method is judged on."""
    if method == "cam":
        return pooling_case(rank)
    if method in OF_TRANSFORMERS:
        return small_transformer()
    case = small_case(rank, steepness=STEEPNESS.get(method, 100.0))
    return replace(case, network=case.network.double(), x=case.x.double()) if method in PRECISE else case


def maps_by_voxcam(pair: Pair, case: Case) -> Tensor:
    """Return (B, K, *grid)."""
    layers = REFINED if pair.method == "refine-cam" else case.layer
    options = {pair.method: pair.options} if pair.options else None
    return cam.class_maps(case.network, case.x, layers, pair.method, options=options)[pair.method]
