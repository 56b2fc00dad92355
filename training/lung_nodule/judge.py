"""Hold a trained `lung_nodule_3d` against scans and tumours it has not seen.

python -m training.lung_nodule.judge --sources DIR --model BUNDLE_OR_TRAINED --out FILE.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage, stats
from torch import nn

from training.lung_nodule.patches import PLACES, Ground, cut, make_patches, scale
from training.lung_nodule.scans import SPACING_MM, Scan, read_drawn, read_scans
from training.lung_nodule.sliding import explain, slide
from training.lung_nodule.train import build

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSEEN = "lung2"
LAYER = "class_layers.relu"
SHIFTS = ((0, 0, 0), (5, 0, 9), (10, 15, 5), (3, 12, 17))
HEALTHY_MM = 15.0
SMALL_ML = 1.0
DEMO_SCAN = Path(__file__).parents[2] / "sample_scans" / "lung_tumour_ct.nii.gz"
Figures = dict[str, Any]


def judge(model: nn.Module, scans: dict[str, Scan], layer: str, whole: bool = True) -> Figures:
    """Return every held-out figure.

    `scans` holds `lung1`, `lung2` and `demo`, the crop of lung2 that is shipped.
    """
    figures: Figures = {
        "invented_nodules_unseen_person": on_invented(model, scans[UNSEEN], layer),
        "real_tumour_unseen_person": on_tumour(model, scans[UNSEEN], layer),
        "real_tumour_person_seen_in_training": on_tumour(model, scans["lung1"], layer),
        "demo_scan": on_whole(model, scans["demo"], layer, SHIFTS),
        "nothing_there": {
            name: on_whole(model, part, layer, SHIFTS[:1])
            for name, part in healthy_parts(scans[UNSEEN]).items()
        },
    }
    if whole:
        figures["whole_scan_unseen_person"] = on_whole(model, scans[UNSEEN], layer, SHIFTS[:2])
        figures["whole_scan_person_seen_in_training"] = on_whole(model, scans["lung1"], layer, SHIFTS[:2])
    return figures


def on_invented(model: nn.Module, scan: Scan, layer: str, count: int = 400) -> Figures:
    """Judge invented nodules in an unseen person, patches away from the real tumour."""
    patches = make_patches([scan], count, seed=1000)
    probability, heat = explain_all(model, scale(patches.hu), layer)
    positive = patches.labels == 1
    small = positive & (patches.masks.sum((1, 2, 3)) * SPACING_MM**3 < SMALL_ML * 1000)
    return {
        "patches": count,
        "accuracy": share((probability > 0.5) == positive),
        "sensitivity": share(probability[positive] > 0.5),
        "specificity": share(probability[~positive] <= 0.5),
        "auc": auc(probability[positive], probability[~positive]),
        "small_nodules": int(small.sum()),
        "sensitivity_small": share(probability[small] > 0.5),
        "peak_in_mask_small": pointing(heat[small], patches.masks[small])["peak_in_mask"],
    } | pointing(heat[positive], patches.masks[positive])


def on_tumour(model: nn.Module, scan: Scan, layer: str, count: int = 120) -> Figures:
    """Judge patches that hold at least half of a drawn tumour, against healthy patches of the same scan."""
    centres = _round_tumour(np.random.default_rng(7), scan, count)
    masks = np.stack([cut(scan.tumour, centre, fill=False) for centre in centres])
    probability, heat = explain_all(
        model, scale(np.stack([cut(scan.hu, centre) for centre in centres])), layer
    )
    alarms: Figures = {}
    healthy = []
    ground = Ground(scan)
    for place in PLACES:
        rng = np.random.default_rng(8)
        hu = np.stack([cut(scan.hu, ground.centre(rng, place)) for _ in range(200)])
        scores, _ = explain_all(model, scale(hu), layer)
        alarms[f"false_alarms_{place}"] = share(scores > 0.5)
        healthy.append(scores)
    return (
        {
            "patches": count,
            "found": share(probability > 0.5),
            "auc": auc(probability, np.concatenate(healthy)),
            "healthy_patches": 200 * len(PLACES),
        }
        | alarms
        | pointing(heat, masks)
    )


def on_whole(model: nn.Module, scan: Scan, layer: str, shifts: tuple[tuple[int, ...], ...]) -> Figures:
    """Slide over a scan with overlaps 0.5 and 0.25 and with the windows' grid shifted by some voxels."""
    runs = []
    for overlap in (0.5, 0.25):
        for shift in shifts:
            inner = tuple(slice(n, None) for n in shift)
            slid = slide(model, scale(scan.hu[inner]), layer, overlap)
            run: Figures = {"overlap": overlap, "shift_voxels": list(shift), "class": int(slid.found)}
            run |= {"nodule_probability": _rounded(slid.windows.max()), "windows": len(slid.windows)}
            run |= {"windows_called_nodule": int((slid.windows > 0.5).sum())}
            if scan.tumour.any():
                run["peak_to_mask_mm"] = _rounded(distance_mm(scan.tumour[inner])[slid.peak])
            runs.append(run)
    figures: Figures = {"called_nodule": share(np.array([run["class"] == 1 for run in runs]))}
    if scan.tumour.any():
        distances = [run["peak_to_mask_mm"] for run in runs]
        figures["peak_inside_mask"] = share(np.array(distances) == 0)
        figures["peak_to_mask_mm_worst"] = max(distances)
    return figures | {"runs": runs}


def healthy_parts(scan: Scan) -> dict[str, Scan]:
    """Return the parts of a scan beside and above its tumour: the other lung, and all that lies higher up."""
    voxels = np.argwhere(scan.tumour)
    gap = int(HEALTHY_MM / SPACING_MM)
    low, high = voxels.min(0) - gap, voxels.max(0) + gap
    left = low[0] > scan.hu.shape[0] - high[0]
    beside = slice(0, low[0]) if left else slice(high[0], None)
    return {
        "other_side": _part(scan, (beside, slice(None), slice(None))),
        "above": _part(scan, (slice(None), slice(None), slice(high[2], None))),
    }


def explain_all(
    model: nn.Module, scaled: NDArray[np.float32], layer: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return probabilities and maps of many patches, 25 at a time."""
    parts = [explain(model, scaled[n : n + 25], layer) for n in range(0, len(scaled), 25)]
    return np.concatenate([p for p, _ in parts]), np.concatenate([h for _, h in parts])


def pointing(heat: NDArray[np.float32], masks: NDArray[np.bool_]) -> Figures:
    """Say how often the map's peak lies in the mask, and how often a random voxel would."""
    flat = heat.reshape(len(heat), -1).argmax(1)
    peaks = np.stack(np.unravel_index(flat, heat.shape[1:]), 1)
    away = np.array([distance_mm(mask)[tuple(peak)] for mask, peak in zip(masks, peaks, strict=True)])
    return {
        "peak_in_mask": share(away == 0),
        "mask_share_of_patch": _rounded(masks.mean()),
        "peak_within_5_mm": share(away <= 5),
        "peak_to_mask_mm_median": _rounded(np.median(away)),
    }


def distance_mm(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each voxel's distance to the mask in mm, 0 inside."""
    return np.asarray(ndimage.distance_transform_edt(~mask) * SPACING_MM)


def auc(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative."""
    better = stats.mannwhitneyu(positive, negative).statistic
    return _rounded(better / (len(positive) * len(negative)))


def share(hits: NDArray[np.bool_]) -> float:
    """Return the share of hits, to three digits."""
    return _rounded(float(np.mean(hits)))


def load(folder: Path) -> nn.Module:
    """Load a bundle, or what `train` wrote."""
    bundled = folder / "configs" / "inference.json"
    if bundled.exists():
        definition = json.loads(bundled.read_text())["network_def"]
        weights = folder / "models" / "model.safetensors"
    else:
        definition = json.loads((folder / "network.json").read_text())
        weights = folder / "model.safetensors"
    model = build(definition)
    model.load_state_dict(load_file(weights), strict=True)
    return model.eval()


def reset(model: nn.Module, seed: int) -> nn.Module:
    """Draw new random weights for every layer that has any."""
    torch.manual_seed(seed)
    for layer in model.modules():
        draw = getattr(layer, "reset_parameters", None)
        if callable(draw):
            draw()
    return model.eval()


def _round_tumour(rng: np.random.Generator, scan: Scan, count: int) -> list[NDArray[np.int64]]:
    middle = np.array(ndimage.center_of_mass(scan.tumour))
    centres: list[NDArray[np.int64]] = []
    while len(centres) < count:
        centre = np.rint(middle + rng.uniform(-15, 15, 3)).astype(int)
        if cut(scan.tumour, centre, fill=False).sum() >= scan.tumour.sum() / 2:
            centres.append(centre)
    return centres


def _part(scan: Scan, box: tuple[slice, ...]) -> Scan:
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start or 0 for s in box]
    return Scan(scan.name, scan.hu[box], scan.lung[box], scan.tumour[box], scan.slice_mm, affine)


def _rounded(number: float) -> float:
    return round(float(number), 3)


def main() -> None:
    """Judge a model and random weights, print the figures, and write them as JSON."""
    parser = argparse.ArgumentParser(description="Judge lung_nodule_3d on what it has not seen.")
    parser.add_argument("--sources", type=Path, required=True, help="folder of unpacked source archives")
    parser.add_argument("--model", type=Path, required=True, help="a bundle, or the folder train wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layer", default=LAYER)
    parser.add_argument("--quick", action="store_true", help="leave out whole scans and random weights")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    scans = read_scans(asked.sources) | {"demo": read_drawn(DEMO_SCAN)}
    model = load(asked.model)
    figures = {"layer": asked.layer, "trained": judge(model, scans, asked.layer, whole=not asked.quick)}
    if not asked.quick:
        figures["random_weights"] = [
            judge(reset(model, seed), scans, asked.layer, whole=False) for seed in range(3)
        ]
    asked.out.write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
