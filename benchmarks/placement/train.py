"""Train one of `networks.ENTRIES` to name the lesion, or keep what was trained before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.placement.lesions import JUDGED_ON, TRAINED_ON, Backgrounds, plant

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.placement.networks import Entry

BATCH = {2: 32, 3: 16}


def trained(entry: Entry, weights: Path) -> nn.Module:
    """Return the network in evaluation mode; its weights are kept as ``weights/NAME.pt``."""
    torch.manual_seed(entry.seed)
    network = entry.build()
    kept = weights / f"{entry.name}.pt"
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fit(network, entry)
        weights.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), kept)
    return network.eval()


def fit(network: nn.Module, entry: Entry) -> None:
    backgrounds = Backgrounds(entry.rank, TRAINED_ON[entry.rank], entry.seed)
    random = np.random.default_rng([entry.seed, 1])
    batch = BATCH[entry.rank]
    steps = entry.samples // batch
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, entry.rate, total_steps=steps, pct_start=0.2)
    network.train()
    began, losses = time.monotonic(), []
    for step in range(steps):
        images, kinds, _ = plant(backgrounds.crops(batch, entry.shape), random)
        loss = cross_entropy(network(images), kinds)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        rate.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            recent, passed = np.mean(losses[-100:]), time.monotonic() - began
            print(f"{entry.name} {step + 1}/{steps} loss {recent:.3f} {passed:.0f} s", flush=True)


@torch.no_grad()
def accuracy(network: nn.Module, entry: Entry, count: int = 256) -> float:
    """Return the share of new images on unseen scans whose lesion is named; chance is a quarter."""
    backgrounds = Backgrounds(entry.rank, JUDGED_ON[entry.rank], 1000 + entry.seed)
    random = np.random.default_rng([entry.seed, 2])
    right = 0
    for _ in range(count // 32):
        images, kinds, _ = plant(backgrounds.crops(32, entry.shape), random)
        right += int((network(images).argmax(1) == kinds).sum())
    return right / (count // 32 * 32)
