"""Train the 2D multi-label organ classifier from image-level labels.

`python -m training.ct_organs.train --sources DIR --out BUNDLE`
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path
from typing import Any

import torch
from monai.networks import nets
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training.ct_organs import scans
from training.ct_organs.slices import Batch, Crops

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


def train(
    people: list[scans.Scan], definition: dict[str, Any], steps: int, seed: int, spacing_mm: float
) -> nn.Module:
    """Return a network in eval mode: averaged weights of `steps` optimiser steps, two crop sizes each."""
    torch.manual_seed(seed)
    network = build(definition)
    average = copy.deepcopy(network)
    crops = Crops(people, spacing_mm, seed)
    places = PlaceLoss(len(scans.CLASSES))
    learned = [*network.parameters(), *places.parameters()]
    optimiser = torch.optim.AdamW(learned, lr=PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.15)
    started, running = time.monotonic(), 0.0
    for step in range(steps):
        optimiser.zero_grad()
        for edge in crops.rng.choice(list(SIZES_MM), 2, replace=False):
            batch = crops.batch(SIZES_MM[int(edge)], int(edge / spacing_mm))
            maps = class_maps(network, batch.images)
            logits = maps.mean((2, 3)) + network.get_parameter("class_layers.out.bias")
            loss = masked_loss(logits, batch.labels) + places(maps, batch)
            loss.backward()
            running += (float(loss.detach()) / 2 - running) / min(step + 1, 50)
        optimiser.step()
        schedule.step()
        blend(average, network, 0.995 if step > 200 else 0.0)
        if step % 100 == 99:
            print(f"step {step + 1}  loss {2 * running:.3f}  {time.monotonic() - started:.0f} s", flush=True)
    settle(
        average,
        [crops.batch(count, int(edge / spacing_mm)) for _ in range(8) for edge, count in SIZES_MM.items()],
    )
    return average.eval()


def build(definition: dict[str, Any]) -> nn.Module:
    """Build the MONAI network a bundle's `network_def` names."""
    network: nn.Module = getattr(nets, definition["_target_"])(
        **{k: v for k, v in definition.items() if k != "_target_"}
    )
    return network


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
def settle(network: nn.Module, batches: list[Batch]) -> None:
    """Measure the batch norms' statistics anew for the averaged weights, over crops of every size."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for batch in batches:
        network(batch.images)
    for norm in norms:
        norm.momentum = 0.1


def main() -> None:
    """Train on the torso and the chest; the abdomen stays unseen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sources", type=Path, required=True, help="tests/reference_files of TotalSegmentator 2.18.0"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="bundle folder; models/model.safetensors is written"
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spacing", type=float, default=SPACING_MM)
    parser.add_argument(
        "--network", type=json.loads, default={}, help="JSON that overrides arguments of the network"
    )
    parser.add_argument(
        "--people", nargs="+", default=["torso", "chest"], choices=["torso", "chest", "abdomen"]
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    people = [getattr(scans, person)(asked.sources) for person in asked.people]
    definition = NETWORK | asked.network
    network = train(people, definition, asked.steps, asked.seed, asked.spacing)
    weights = asked.out / "models" / "model.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    (asked.out / "network.json").write_text(
        json.dumps({"network_def": definition, "spacing_mm": asked.spacing})
    )
    print(f"{sum(p.numel() for p in network.parameters())} parameters, {weights.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
