"""Train `lung_nodule_3d` from scratch.

    python -m training.lung_nodule.train --sources DIR --out TRAINED

DIR holds the unpacked source archives; see README.md beside this file. TRAINED gets the weights and
`training_curve.csv`.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.networks import nets
from safetensors.torch import save_file
from torch import nn

from training.curve import Curve, chosen_round
from training.lung_nodule.networks import NETWORKS, SHIPPED
from training.lung_nodule.patches import Patches, make_patches, scale
from training.lung_nodule.scans import Scan, read_scans
from training.networks import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINED_ON = ("aorta", "lung1")
HELD_OUT = "lung2"
BATCH = 16
PATCHES = 2400
MINED = 600
ROUNDS = 6
EPOCHS = 3
WATCHED = 400
PEAK_RATE = 3e-3
# A cell's evidence reaches the label's loss as a thousandth, the guide's as a fiftieth of a thousandth.
GUIDE = 50.0
HEAD_RATE = 10.0
EVIDENCE_SCALE = 50.0


@dataclass(frozen=True)
class Recipe:
    """One of NETWORKS, the seed of everything drawn, and the weight of the class map's own loss."""

    network: str = SHIPPED
    seed: int = 0
    guide: float = GUIDE


@dataclass(frozen=True)
class Watch:
    """Patches that no training step sees, and the learning curve on them.

    `validation`: fresh patches of the people trained on; they decide when training stops. `held_out`: of the
    person left out; written down, deciding nothing.
    """

    validation: Patches
    held_out: Patches
    curve: Curve = field(default_factory=Curve)

    def look(self, model: nn.Module, where: dict[str, int], objective: float) -> None:
        """Add a row to the curve."""
        losses = label_losses(model, self.validation)
        self.curve.add(where, objective, losses, label_losses(model, self.held_out))


def train(
    scans: list[Scan], watch: Watch, recipe: Recipe, rounds: int = ROUNDS, to_the_end: bool = False
) -> list[nn.Module]:
    """Train in rounds: fresh patches, and the false alarms of the rounds before; return each round's network.

    Rates and the guide's weight fall from round to round: first where, then whether. Training stops after
    the first round that does not lower the validation loss by more than its 95 % interval, or after `rounds`;
    with `to_the_end` it goes on, to see what would have come.
    """
    torch.manual_seed(recipe.seed)
    model = build(NETWORKS[recipe.network])
    alarms: list[Patches] = []
    finished: list[nn.Module] = []
    for number in range(rounds):
        if number:
            alarms.append(false_alarms(model, scans, recipe.seed * 1000 + 500 + number))
        patches = joined([make_patches(scans, PATCHES, recipe.seed * 1000 + number), *alarms])
        fit(model, patches, recipe, number, watch)
        finished.append(centred(model))
        watch.curve.rounds.append(label_losses(model, watch.validation))
        if chosen_round(watch.curve.rounds) < number and not to_the_end:
            break
    return finished


def fit(model: nn.Module, patches: Patches, recipe: Recipe, number: int, watch: Watch) -> None:
    """Minimise the loss of one round by AdamW with one cycle of the learning rate, which ends near nought."""
    rng = np.random.default_rng([recipe.seed + number, 77])
    peak_rate, guide = PEAK_RATE / (1 + number / 2), recipe.guide / (1 + number)
    steps = EPOCHS * (len(patches.labels) // BATCH)
    head = list([layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1].parameters())
    trunk = [one for one in model.parameters() if all(one is not other for other in head)]
    # A small nodule is one cell of a thousand: through the mean its evidence has to be hundreds of logits.
    optimiser = torch.optim.AdamW([{"params": trunk}, {"params": head}], weight_decay=1e-2)
    rates = [peak_rate, HEAD_RATE * peak_rate]
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.15)
    # A sixth faster on a CPU.
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    for epoch in range(EPOCHS):
        losses = []
        model.train()
        order = rng.permutation(len(patches.labels))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[first : first + BATCH]
            varied = [vary(rng, patches.hu[n], patches.masks[n]) for n in chosen]
            seen = torch.from_numpy(np.stack([scale(hu) for hu, _ in varied])[:, None])
            masks = torch.from_numpy(np.stack([mask for _, mask in varied])[:, None])
            loss = surprise(model, seen, torch.from_numpy(patches.labels[chosen]), masks, guide)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
            losses.append(loss.item())
        where = {"round": number + 1, "epoch": epoch + 1, "steps": len(losses)}
        watch.look(model, where, float(np.mean(losses)))


def surprise(
    model: nn.Module, seen: torch.Tensor, labels: torch.Tensor, masks: torch.Tensor, guide: float
) -> torch.Tensor:
    """Return the cross entropy of the labels plus `guide` times that of the class map's cells.

    The second term asks of a DenseNet's class map (evidence for class 1 over class 0, cell by cell, before
    the mean) that it be high where the invented nodule is: cf. Li et al., Tell Me Where to Look, CVPR 2018.
    """
    if not guide:
        return nn.functional.cross_entropy(model(seen), labels, label_smoothing=0.02)
    assert isinstance(model, nets.DenseNet), "only a DenseNet's class map can be guided"
    head = model.class_layers.out
    units = nn.functional.relu(model.features(seen))
    logits = head(units.mean((2, 3, 4)))
    evidence = torch.einsum("bcijk,c->bijk", units, head.weight[1] - head.weight[0])
    cells = nn.functional.adaptive_avg_pool3d(masks.float(), units.shape[2])[:, 0]
    pointing = nn.functional.binary_cross_entropy_with_logits(
        evidence / EVIDENCE_SCALE - 2, cells, pos_weight=torch.tensor(5.0)
    )
    return nn.functional.cross_entropy(logits, labels, label_smoothing=0.02) + guide * pointing


def vary(
    rng: np.random.Generator, hu: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Flip, transpose in the slice, weaken contrast agent and bone, shift, and add noise."""
    flips = tuple(axis for axis in range(3) if rng.random() < 0.5)
    hu, mask = np.flip(hu, flips), np.flip(mask, flips)
    if rng.random() < 0.5:
        hu, mask = hu.transpose(1, 0, 2), mask.transpose(1, 0, 2)
    hu = without_contrast(rng, hu)
    noise = rng.standard_normal(hu.shape, dtype=np.float32) * rng.uniform(0, 35)
    hu = hu * rng.uniform(0.97, 1.03) + rng.uniform(-25, 25) + noise
    return np.asarray(hu, np.float32), mask


def without_contrast(rng: np.random.Generator, hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weaken what is brighter than soft tissue, in half of the patches almost wholly.

    Both training scans have contrast agent. Without it the aortic arch is a round piece of soft tissue
    against the lung, and the first networks took it for a nodule.
    """
    knee = rng.uniform(30, 80)
    factor = rng.uniform(0, 0.15) if rng.random() < 0.5 else rng.uniform(0, 1)
    return np.where(hu > knee, knee + (hu - knee) * factor, hu).astype(np.float32)


def false_alarms(model: nn.Module, scans: list[Scan], seed: int, looked_at: int = 5000) -> Patches:
    """Return the patches without nodule that the model takes most for one."""
    rng = np.random.default_rng([seed, 78])
    healthy = make_patches(scans, looked_at, seed, positive_share=0.0)
    hu = np.stack([without_contrast(rng, one) for one in healthy.hu])
    worst = np.argsort(-nodule_probability(model, scale(hu)))[:MINED]
    return Patches(hu[worst], healthy.masks[worst], healthy.labels[worst], healthy.centres[worst])


def label_losses(model: nn.Module, patches: Patches) -> NDArray[np.float64]:
    """Return the cross entropy of each patch's label, in nats, without smoothing or guide."""
    model.eval()
    with torch.inference_mode():
        logits = [
            model(torch.from_numpy(scale(patches.hu[n : n + 32])[:, None]))
            for n in range(0, len(patches.labels), 32)
        ]
    losses = nn.functional.cross_entropy(
        torch.cat(logits), torch.from_numpy(patches.labels), reduction="none"
    )
    return np.asarray(losses, np.float64)


def nodule_probability(model: nn.Module, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of class 1 for patches (n, 40, 40, 40) already scaled to 0..1."""
    model.eval()
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(part[:, None])) for part in np.array_split(scaled, len(scaled) // 32 + 1)
        ]
    return np.asarray(torch.cat(parts).softmax(1)[:, 1])


def joined(sets: list[Patches]) -> Patches:
    """Return several sets of patches as one."""
    return Patches(
        np.concatenate([one.hu for one in sets]),
        np.concatenate([one.masks for one in sets]),
        np.concatenate([one.labels for one in sets]),
        np.concatenate([one.centres for one in sets]),
    )


def centred(model: nn.Module) -> nn.Module:
    """Return a copy that is ready to ship: eval mode, head centred."""
    ready = copy.deepcopy(model).eval()
    centre_head(ready)
    return ready


def centre_head(model: nn.Module) -> None:
    """Make the last layer's two rows opposite, so that each logit is half the margin between the classes.

    Softmax only sees their difference, so no probability changes; but now the map of one logit is the map
    of the decision.
    """
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1:]
    with torch.no_grad():
        for layer in head:
            layer.weight.sub_(layer.weight.mean(0, keepdim=True))
            layer.bias.sub_(layer.bias.mean())


def write(model: nn.Module, place: Path) -> None:
    """Write a network's weights."""
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, place)


def main() -> None:
    """Read the scans, train, write `model.safetensors`, `network.json`, `training_curve.csv`, each round."""
    parser = argparse.ArgumentParser(description="Train lung_nodule_3d from scratch.")
    parser.add_argument("--sources", type=Path, required=True, help="folder of unpacked source archives")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=list(NETWORKS), default=SHIPPED)
    parser.add_argument("--on", nargs="+", default=list(TRAINED_ON), help="scans to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guide", type=float, default=GUIDE, help="weight of the class map's own loss")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at most so many")
    parser.add_argument("--to-the-end", action="store_true", help="go on when a round brings nothing more")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    began = time.monotonic()
    scans = read_scans(asked.sources)
    chosen = [scans[name] for name in asked.on]
    recipe = Recipe(asked.network, asked.seed, asked.guide)
    fresh = asked.seed * 1000 + 900
    watch = Watch(make_patches(chosen, WATCHED, fresh), make_patches([scans[HELD_OUT]], WATCHED, fresh + 1))
    finished = train(chosen, watch, recipe, asked.rounds, asked.to_the_end)
    asked.out.mkdir(parents=True, exist_ok=True)
    for number, model in enumerate(finished):
        write(model, asked.out / f"round_{number + 1}.safetensors")
    kept = chosen_round(watch.curve.rounds)
    write(finished[kept], asked.out / "model.safetensors")
    (asked.out / "network.json").write_text(json.dumps(NETWORKS[asked.network], indent=2))
    watch.curve.write(asked.out / "training_curve.csv")
    print(f"round {kept + 1} of {len(finished)} is kept; {time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
