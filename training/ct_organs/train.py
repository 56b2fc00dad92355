"""Train the 2D multi-label organ classifier from image-level labels.

`python -m training.ct_organs.train --sources DIR --out TRAINED`; TRAINED gets the weights and
`training_curve.csv`.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training.ct_organs import scans
from training.ct_organs.slices import Batch, Crops
from training.curve import Curve, chosen_round
from training.networks import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING_MM = 3.0
NETWORK: dict[str, Any] = {
    "_target_": "DenseNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": len(scans.CLASSES),
    "init_features": 32,
    "growth_rate": 16,
    "block_config": [6],
}
# Crop edge in mm and crops a batch: small crops teach the organ itself, whole slices the size seen in use.
SIZES_MM = {96: 24, 192: 10, 320: 5, 448: 3}
PEAK_RATE = 2e-3
STEPS = 1200
ROUNDS = 4
EPOCH = 100


@dataclass(frozen=True)
class Watch:
    """Crops that no training step sees, and the learning curve on them.

    `validation`: fresh crops of the people trained on; they decide when training stops. `held_out`: of the
    person left out; written down, deciding nothing. `settling`: for the batch norms of a network under way.
    """

    validation: list[Batch]
    held_out: list[Batch]
    settling: list[Batch]
    curve: Curve = field(default_factory=Curve)

    def look(self, average: nn.Module, where: dict[str, int], objective: float) -> None:
        """Add a row to the curve."""
        ready = settled(average, self.settling)
        losses = label_losses(ready, self.validation)
        self.curve.add(where, objective, losses, label_losses(ready, self.held_out))


def train(
    network: nn.Module, crops: Crops, watch: Watch, rounds: int = ROUNDS, to_the_end: bool = False
) -> list[nn.Module]:
    """Train in rounds of one cycle of the learning rate; return each round's network, weights averaged.

    Training stops after the first round that does not lower the validation loss by more than its 95 %
    interval, or after `rounds`; with `to_the_end` it goes on, to see what would have come.
    """
    places = PlaceLoss(len(scans.CLASSES))
    finished: list[nn.Module] = []
    for number in range(rounds):
        average = fit(network, places, crops, number, watch)
        finished.append(settled(average, some_of_every_size(crops, 8)))
        watch.curve.rounds.append(label_losses(finished[-1], watch.validation))
        if chosen_round(watch.curve.rounds) < number and not to_the_end:
            break
    return finished


def fit(network: nn.Module, places: PlaceLoss, crops: Crops, number: int, watch: Watch) -> nn.Module:
    """Return the averaged weights of one round's optimiser steps, two crop sizes each."""
    average = copy.deepcopy(network)
    peak_rate = PEAK_RATE / (1 + number)
    learned = [*network.parameters(), *places.parameters()]
    optimiser = torch.optim.AdamW(learned, lr=peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=STEPS, pct_start=0.15)
    losses = []
    for step in range(STEPS):
        optimiser.zero_grad()
        for edge in crops.rng.choice(list(SIZES_MM), 2, replace=False):
            loss = objective(network, places, crops.batch(SIZES_MM[int(edge)], crops.pixels(int(edge))))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
        optimiser.step()
        schedule.step()
        blend(average, network, 0.995 if step > 200 else 0.0)
        if step % EPOCH == EPOCH - 1:
            where = {"round": number + 1, "epoch": (step + 1) // EPOCH, "steps": EPOCH}
            watch.look(average, where, float(np.mean(losses)))
            losses = []
    return average


def objective(network: nn.Module, places: PlaceLoss, batch: Batch) -> Tensor:
    """Return what training minimises: the loss of the crops' labels and of their windows'."""
    maps = class_maps(network, batch.images)
    logits = maps.mean((2, 3)) + network.get_parameter("class_layers.out.bias")
    wanted: Tensor = places(maps, batch)
    return masked_loss(logits, batch.labels) + wanted


@torch.no_grad()
def label_losses(network: nn.Module, batches: list[Batch]) -> NDArray[np.float64]:
    """Return each crop's cross entropy, in nats, a mean over the organs known to be in it or not."""
    losses = []
    for batch in batches:
        known = ~batch.labels.isnan()
        asked = batch.labels.nan_to_num(0.5)
        each = functional.binary_cross_entropy_with_logits(network(batch.images), asked, reduction="none")
        losses.append(((each * known).sum(1) / known.sum(1))[known.any(1)])
    return np.asarray(torch.cat(losses), np.float64)


def some_of_every_size(crops: Crops, times: int) -> list[Batch]:
    """Return batches of crops of every size in training."""
    return [crops.batch(count, crops.pixels(edge)) for _ in range(times) for edge, count in SIZES_MM.items()]


def class_maps(network: nn.Module, images: Tensor) -> Tensor:
    """Class activation maps (B, C, h, w) of a DenseNet; their mean plus the head's bias is its logit."""
    features = network.get_submodule("features")(images)
    head = network.get_submodule("class_layers.out")
    return torch.einsum("cf,bfhw->bchw", head.weight, features.relu())


class PlaceLoss(nn.Module):
    """What a window's label says about the places of a class map in it (multiple-instance learning).

    An organ absent from a window is absent at every place there; a present one is somewhere in it, so the
    mean of the three highest places must be positive. Without this the network is content to call an organ by
    its neighbours, and its map lies beside the organ. Used in training only: the two numbers a class learns
    here are not shipped.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(classes, 1, 1))
        self.shift = nn.Parameter(torch.full((classes, 1, 1), -2.0))

    def forward(self, maps: Tensor, batch: Batch) -> Tensor:
        """Loss of maps (B, C, h, w) under the labels of the batch's windows."""
        places = (self.log_scale.exp() * maps + self.shift).flatten(2)[:, None]
        inside = in_windows(batch, maps.shape[2:]).flatten(2)[:, :, None]
        known = batch.window_labels.where(inside.sum(3) >= 3, torch.nan)
        highest = places.masked_fill(~inside, -1e4).topk(3, dim=3).values.mean(3)
        absent = ((known == 0)[..., None] & inside).float()
        cold = (functional.softplus(places) * absent).sum() / absent.sum().clamp(min=1)
        return masked_loss(highest, known) + cold


def in_windows(batch: Batch, grid: torch.Size) -> Tensor:
    """(B, W, h, w): the map's places whose centres lie in each window."""
    i, j = (
        (torch.arange(places) + 0.5) * pixels / places
        for places, pixels in zip(grid, batch.images.shape[2:], strict=True)
    )
    i0, i1, j0, j1 = batch.windows.unbind(2)
    rows = (i >= i0[..., None]) & (i < i1[..., None])
    columns = (j >= j0[..., None]) & (j < j1[..., None])
    return rows[..., :, None] & columns[..., None, :]


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the labels that are known."""
    known = ~labels.isnan()
    loss = functional.binary_cross_entropy_with_logits(logits[known], labels[known], reduction="sum")
    return loss / known.sum().clamp(min=1)


@torch.no_grad()
def blend(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights a little towards the current ones."""
    for old, new in zip(average.parameters(), network.parameters(), strict=True):
        old.lerp_(new, 1 - keep)


@torch.no_grad()
def settled(average: nn.Module, batches: list[Batch]) -> nn.Module:
    """Return a copy in eval mode, its batch norms' statistics measured anew over crops of every size."""
    network = copy.deepcopy(average)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for batch in batches:
        network(batch.images)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def write(network: nn.Module, place: Path) -> None:
    """Write a network's weights."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, place)


def main() -> None:
    """Train on the torso and the chest; the abdomen stays unseen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sources", type=Path, required=True, help="tests/reference_files of TotalSegmentator 2.18.0"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spacing", type=float, default=SPACING_MM)
    parser.add_argument(
        "--network", type=json.loads, default={}, help="JSON that overrides arguments of the network"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at most so many")
    parser.add_argument("--to-the-end", action="store_true", help="go on when a round brings nothing more")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    people = [scans.torso(asked.sources), scans.chest(asked.sources)]
    fresh = Crops(people, asked.spacing, asked.seed + 900)
    stranger = Crops([scans.abdomen(asked.sources)], asked.spacing, asked.seed + 901)
    watch = Watch(
        some_of_every_size(fresh, 10), some_of_every_size(stranger, 10), some_of_every_size(fresh, 8)
    )
    torch.manual_seed(asked.seed)
    definition = NETWORK | asked.network
    crops = Crops(people, asked.spacing, asked.seed)
    finished = train(build(definition), crops, watch, asked.rounds, asked.to_the_end)
    asked.out.mkdir(parents=True, exist_ok=True)
    for number, network in enumerate(finished):
        write(network, asked.out / f"round_{number + 1}.safetensors")
    kept = chosen_round(watch.curve.rounds)
    write(finished[kept], asked.out / "model.safetensors")
    (asked.out / "network.json").write_text(
        json.dumps({"network_def": definition, "spacing_mm": asked.spacing})
    )
    watch.curve.write(asked.out / "training_curve.csv")
    print(f"round {kept + 1} of {len(finished)} is kept; {time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
