"""Train `lung_nodule_3d` from scratch.

    python -m training.lung_nodule.train --sources DIR --out DIR

DIR holds the unpacked source archives; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.networks import nets
from safetensors.torch import save_file
from torch import nn

from training.lung_nodule.patches import Patches, make_patches, scale
from training.lung_nodule.scans import Scan, read_scans

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORKS: dict[str, dict[str, Any]] = {
    "densenet-6": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 32, "growth_rate": 16, "block_config": [6], "bn_size": 4,
    },
    "densenet-4": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 24, "growth_rate": 16, "block_config": [4], "bn_size": 4,
    },
    "densenet-4-4": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 24, "growth_rate": 16, "block_config": [4, 4], "bn_size": 4,
    },
    "classifier": {
        "_target_": "Classifier", "in_shape": [1, 40, 40, 40], "classes": 2,
        "channels": [16, 32, 64, 64], "strides": [2, 2, 1, 2], "num_res_units": 1,
    },
    "resnet10-quarter": {
        "_target_": "ResNet", "block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [64, 128, 256, 512],
        "spatial_dims": 3, "n_input_channels": 1, "num_classes": 2, "widen_factor": 0.25,
        "conv1_t_size": 3, "conv1_t_stride": 2, "no_max_pool": True,
    },
}  # fmt: skip
SHIPPED = "densenet-4"
TRAINED_ON = ("aorta", "lung1")
BATCH = 16
PATCHES = 2400
MINED = 600
ROUNDS = 3
EPOCHS = 3
PEAK_RATE = 3e-3
# A cell's evidence reaches the label's loss as a thousandth, the guide's as a fiftieth of a thousandth.
GUIDE = 50.0
HEAD_RATE = 10.0
EVIDENCE_SCALE = 50.0


def train(
    scans: dict[str, Scan], network: str = SHIPPED, seed: int = 0, guide: float = GUIDE, rounds: int = ROUNDS
) -> nn.Module:
    """Train one of NETWORKS in rounds: fresh patches, and the false alarms of the rounds before.

    Rates and the guide's weight fall from round to round: first where, then whether.
    """
    torch.manual_seed(seed)
    chosen = list(scans.values())
    model = build(NETWORKS[network])
    alarms: list[Patches] = []
    for number in range(rounds):
        if number:
            alarms.append(false_alarms(model, chosen, seed * 1000 + 500 + number))
        patches = joined([make_patches(chosen, PATCHES, seed * 1000 + number), *alarms])
        fit(model, patches, seed + number, PEAK_RATE / (1 + number / 2), guide / (1 + number))
    centre_head(model)
    return model.eval()


def build(definition: dict[str, Any]) -> nn.Module:
    """Build a MONAI network from its plain arguments."""
    arguments = {name: value for name, value in definition.items() if name != "_target_"}
    network: nn.Module = getattr(nets, definition["_target_"])(**arguments)
    return network


def fit(model: nn.Module, patches: Patches, seed: int, peak_rate: float, guide: float) -> None:
    """Minimise the cross entropy by AdamW with one cycle of the learning rate."""
    rng = np.random.default_rng([seed, 77])
    steps = EPOCHS * (len(patches.labels) // BATCH)
    head = list([layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1].parameters())
    trunk = [one for one in model.parameters() if all(one is not other for other in head)]
    # A small nodule is one cell of a thousand: through the mean its evidence has to be hundreds of logits.
    optimiser = torch.optim.AdamW([{"params": trunk}, {"params": head}], weight_decay=1e-2)
    rates = [peak_rate, HEAD_RATE * peak_rate]
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.15)
    # A sixth faster on a CPU.
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    model.train()
    for epoch in range(EPOCHS):
        began, losses = time.monotonic(), []
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
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.monotonic() - began:.0f} s", flush=True)


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
    return Patches(hu[worst], healthy.masks[worst], healthy.labels[worst])


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
    )


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


def main() -> None:
    """Read the scans, train, and write `model.safetensors` and `network.json`."""
    parser = argparse.ArgumentParser(description="Train lung_nodule_3d from scratch.")
    parser.add_argument("--sources", type=Path, required=True, help="folder of unpacked source archives")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=list(NETWORKS), default=SHIPPED)
    parser.add_argument("--on", nargs="+", default=list(TRAINED_ON), help="scans to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guide", type=float, default=GUIDE, help="weight of the class map's own loss")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    began = time.monotonic()
    scans = read_scans(asked.sources)
    model = train({name: scans[name] for name in asked.on}, asked.network, asked.seed, asked.guide)
    asked.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        asked.out / "model.safetensors",
    )
    (asked.out / "network.json").write_text(json.dumps(NETWORKS[asked.network], indent=2))
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
