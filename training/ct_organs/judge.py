"""Judge a trained bundle: it should name the organs of an unseen person, and its map point at them.

`python -m training.ct_organs.judge --sources DIR --bundle BUNDLE [--out figures.json]`
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing
from safetensors.torch import load_file
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from training.ct_organs import scans
from training.ct_organs.slices import body_box, presence, window
from training.ct_organs.train import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS = ("features", "class_layers.relu")
CROP_MM = (96.0, 160.0)
CROPS_A_SLICE = 16
RANDOM_SEEDS = (0, 1, 2)
Figures = dict[str, Any]


@dataclass(frozen=True)
class View:
    """One picture to judge: `image` (1, 1, H, W) in 0..1, `masks` (C, H, W), `body` (H, W), `labels` (C,)."""

    image: Tensor
    masks: scans.Bool
    body: scans.Bool
    labels: NDArray[np.float32]


def judge(network: nn.Module, views: list[View], layer: str) -> Figures:
    """Per class and on average: AUC, pointing rate, energy in the mask, each beside what chance would give.

    Pointing: the first largest pixel of the bilinearly upsampled Grad-CAM lies inside the organ, over the
    views that hold it; a map with no positive value is a miss. Energy: the map's positive part
    inside the organ.
    """
    looks = [look(network, view.image, layer) for view in views]
    rows: Figures = {}
    for c, name in enumerate(scans.CLASSES):
        labels = np.array([view.labels[c] for view in views])
        logits = np.array([logits[c] for logits, _ in looks])
        rows[name] = {"present": int((labels == 1).sum()), "absent": int((labels == 0).sum())}
        rows[name] |= {
            "auc": auc(logits, labels),
            "called_present_when_absent": rate(logits > 0, labels == 0),
        }
        rows[name] |= {"called_present_when_present": rate(logits > 0, labels == 1)}
        held = [n for n in range(len(views)) if labels[n] == 1]
        points = [point(looks[n][1][c], views[n].masks[c], views[n].body) for n in held]
        measures = ("pointing", "energy", "area_share", "body_share")
        rows[name] |= {
            m: round(float(np.mean(v)), 3) for m, v in zip(measures, zip(*points, strict=True), strict=False)
        }
    pointed = [row for row in rows.values() if "pointing" in row]
    rows["mean"] = {
        m: round(float(np.mean([row[m] for row in pointed])), 3)
        for m in ("pointing", "energy", "area_share", "body_share")
    }
    rows["mean"]["auc"] = round(
        float(np.mean([row["auc"] for row in pointed if row["auc"] is not None] or [np.nan])), 3
    )
    return rows


def look(network: nn.Module, image: Tensor, layer: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (C,) and Grad-CAM (C, H, W) of one image, raw and signed, at the image's size."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept.append(output if output.requires_grad else output.requires_grad_())
        return output.clone()  # the ReLU that follows works in place

    handle = network.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = network(image)[0]
    finally:
        handle.remove()
    maps = []
    for logit in logits:
        (gradient,) = torch.autograd.grad(logit, kept[0], retain_graph=True)
        maps.append((gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True))
    grown = functional.interpolate(
        torch.cat(maps), size=image.shape[2:], mode="bilinear", align_corners=False
    )
    return logits.detach().numpy(), grown[:, 0].detach().numpy()


def point(heat: NDArray[np.float32], mask: scans.Bool, body: scans.Bool) -> tuple[float, float, float, float]:
    """Hit (0 or 1), energy in the mask, and the mask's share of the picture and of the body in it."""
    positive = np.maximum(heat, 0)
    hit = float(heat.max() > 0 and mask.flat[int(heat.argmax())])
    energy = float(positive[mask].sum() / positive.sum()) if positive.any() else 0.0
    return hit, energy, float(mask.mean()), float((mask & body).sum() / max(body.sum(), 1))


def auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float | None:
    """Area under the ROC curve by ranks, ties counted half; None where one class value is missing."""
    scores, labels = scores[~np.isnan(labels)], labels[~np.isnan(labels)]
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    if not positive or not negative:
        return None
    ranks = rankdata(scores)[labels == 1].sum()
    return round(float((ranks - positive * (positive + 1) / 2) / (positive * negative)), 3)


def rate(called: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    """Share of `among` that is `called`; None where there are none."""
    return round(float(called[among].mean()), 3) if among.any() else None


def at_spacing(scan: scans.Scan, spacing_mm: float) -> scans.Scan:
    """Resample a scan in-plane as the bundle's preprocessing does; slices stay as they are."""

    def turn(values: NDArray[Any], mode: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        tensor = MetaTensor(
            torch.from_numpy(np.ascontiguousarray(values, np.float32)), affine=torch.from_numpy(scan.affine)
        )
        out = Spacing(pixdim=(spacing_mm, spacing_mm, -1.0), mode=mode)(tensor)
        return np.asarray(out), np.asarray(out.affine)

    hu, affine = turn(scan.hu[None], "bilinear")
    organs, doubtful = (turn(marks, "nearest")[0] > 0.5 for marks in (scan.organs, scan.doubtful))
    return replace(scan, hu=hu[0], organs=organs, doubtful=doubtful, affine=affine, spacing_mm=spacing_mm)


def whole_slices(scan: scans.Scan) -> list[View]:
    """Every slice of a resampled scan."""
    rows, columns, count = scan.hu.shape
    return [_view(scan, k, slice(0, rows), slice(0, columns)) for k in range(count)]


def crops(scan: scans.Scan, seed: int = 0) -> list[View]:
    """Draw seeded windows of 96 to 160 mm, middles inside the body, sixteen a slice, at most 20 slices."""
    rng = np.random.default_rng(seed)
    box, views = body_box(scan), []
    slices = np.unique(np.linspace(0, scan.hu.shape[2] - 1, 20).round().astype(int))
    for k in np.repeat(slices, CROPS_A_SLICE):
        size = min(round(rng.uniform(*CROP_MM) / scan.spacing_mm), *scan.hu.shape[:2])
        i, j = (
            int(np.clip(rng.uniform(low, high) - size / 2, 0, length - size))
            for low, high, length in ((box[0], box[1], scan.hu.shape[0]), (box[2], box[3], scan.hu.shape[1]))
        )
        views.append(_view(scan, int(k), slice(i, i + size), slice(j, j + size)))
    return views


def _view(scan: scans.Scan, k: int, i: slice, j: slice) -> View:
    hu, masks, doubtful = scan.hu[i, j, k], scan.organs[:, i, j, k], scan.doubtful[:, i, j, k]
    pixel = scan.spacing_mm**2
    areas, doubts, wholes = (m.sum((1, 2)) * pixel for m in (masks, doubtful, scan.organs[:, :, :, k]))
    image = window(torch.from_numpy(np.ascontiguousarray(hu)))[None, None]
    return View(image, masks, hu > -300, presence(areas, doubts, wholes, scan.needed))


def load(bundle: Path) -> tuple[nn.Module, dict[str, Any], float]:
    """Read a bundle's network with its weights, its definition, its in-plane spacing in mm."""
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    network = build(config["network_def"])
    network.load_state_dict(load_file(bundle / "models" / "model.safetensors"), strict=True)
    steps = config["preprocessing"]["transforms"]
    spacing = next(step["pixdim"][0] for step in steps if step["_target_"] == "Spacingd")
    return network.eval(), config["network_def"], float(spacing)


def untrained(definition: dict[str, Any], seed: int) -> nn.Module:
    """Build the same network with random weights."""
    torch.manual_seed(seed)
    return build(definition).eval()


def figures(bundle: Path, sources: Path, people: list[str], layers: tuple[str, ...]) -> Figures:
    """All figures of a bundle: person x kind of view x layer, trained and with random weights."""
    network, definition, spacing = load(bundle)
    strangers = [untrained(definition, seed) for seed in RANDOM_SEEDS]
    found: Figures = {}
    for person in people:
        scan = at_spacing(getattr(scans, person)(sources), spacing)
        for kind, views in (("crops", crops(scan)), ("slices", whole_slices(scan))):
            for layer in layers:
                here = found.setdefault(person, {}).setdefault(kind, {}).setdefault(layer, {})
                here["trained"] = judge(network, views, layer)
                here["random_weights"] = [judge(other, views, layer)["mean"] for other in strangers]
                show(f"{person}, {len(views)} {kind}, {layer}", here)
    return found


def show(title: str, here: Figures) -> None:
    """Print one table."""
    columns = ("present", "absent", "auc", "pointing", "energy", "area_share", "body_share")
    print(f"\n{title}\n{'':10}" + "".join(f"{c:>11}" for c in columns))
    random = {f"random {n}": row for n, row in enumerate(here["random_weights"])}
    for name, row in (here["trained"] | random).items():
        print(f"{name:10}" + "".join(f"{'-' if row.get(c) is None else row[c]:>11}" for c in columns))


def main() -> None:
    """Print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sources", type=Path, required=True, help="tests/reference_files of TotalSegmentator 2.18.0"
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--people", nargs="+", default=["abdomen"], choices=["torso", "chest", "abdomen"])
    parser.add_argument("--layers", nargs="+", default=list(LAYERS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = figures(asked.bundle, asked.sources, asked.people, tuple(asked.layers))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
