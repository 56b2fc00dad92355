"""Train the networks, place maps of lesions at known places by every rule, and write results.json.

    python -m benchmarks.placement.run [--weights DIR] [--only NAME ...] [--judge]

Needs einops, for MONAI's ViT. Half an hour on one core; trained weights are kept in DIR and used again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.placement import rules
from benchmarks.placement.lesions import JUDGED_ON, KINDS, Backgrounds, plant
from benchmarks.placement.networks import ENTRIES, Entry
from benchmarks.placement.train import accuracy, trained
from voxcam import cam
from voxcam.cam.placement import measure_placement, usual_centres

RESULTS = Path(__file__).with_name("results.json")
IMAGES = 192
REPEATS = 5
OTHER_SHAPES = {2: (120, 136), 3: (52, 44, 54)}  # not multiples of the strides


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--weights", type=Path, default=Path("placement-weights"))
    options.add_argument("--only", nargs="*", default=[entry.name for entry in ENTRIES])
    chosen = options.parse_args()
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for entry in ENTRIES:
        if entry.name in chosen.only:
            network = trained(entry, chosen.weights)
            found = judged(entry, network)
            results = [one for one in results if one["network"] != entry.name] + found
            order = {each.name: place for place, each in enumerate(ENTRIES)}
            results.sort(key=lambda one: order[one["network"]])
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def judged(entry: Entry, network: nn.Module) -> list[dict[str, object]]:
    """Return one result for each layer and size of input."""
    named = accuracy(network, entry)
    shapes = [entry.shape] if entry.family == "vit" else [entry.shape, OTHER_SHAPES[entry.rank]]
    results = []
    for shape in shapes:
        backgrounds = Backgrounds(entry.rank, JUDGED_ON[entry.rank], 500 + entry.seed)
        for depth, layer in layers_of(network, entry).items():
            maps, places = maps_of_lesions(entry, network, shape, layer, backgrounds)
            found = by_every_rule(network, shape, layer, maps, places, backgrounds)
            results.append(
                {
                    "network": entry.name, "family": entry.family, "rank": entry.rank, "accuracy": named,
                    "depth": depth, "layer": layer, "shape": shape, "grid": list(maps.shape[1:]),
                    "images": len(maps), **found,
                }
            )  # fmt: skip
            means = {name: round(float(np.mean(each)), 2) for name, each in found["centroid"].items()}
            print(entry.name, f"{named:.2f}", layer, shape, len(maps), means, flush=True)
    return results


def layers_of(network: nn.Module, entry: Entry) -> dict[str, str]:
    """Return the layer that VoxCAM takes when nobody says, and the last one of a finer grid before it."""
    if entry.family == "vit":
        return {"last": "last", "earlier": "earlier"}
    layers = cam.candidate_layers(network, (1, 1, *entry.shape))
    last = cam.default_layer(layers)
    finer = [one for one in layers if np.prod(one.grid) > np.prod(last.grid)]
    finer = [one for one in finer if not any(word in one.kind for word in ("Pool", "Pad"))]
    return {"last": last.name, "earlier": finer[-1].name}


def maps_of_lesions(
    entry: Entry, network: nn.Module, shape: tuple[int, ...], layer: str, backgrounds: Backgrounds
) -> tuple[Tensor, np.ndarray]:
    """Return Grad-CAM maps (n, *grid) of lesions that the network names, and their places (n, axes)."""
    random = np.random.default_rng([entry.seed, 3])
    maps, places = [], []
    for _ in range(IMAGES // 24):
        kinds = np.repeat(np.arange(1, len(KINDS)), 8)
        images, wanted, at = plant(backgrounds.crops(24, shape), random, kinds)
        seen = cam.class_maps(network, images, layer)
        of_lesion = seen["grad-cam"][torch.arange(24), wanted]
        good = (seen.logits.argmax(1) == wanted) & (of_lesion.flatten(1).amax(1) > 0)
        maps.append(of_lesion[good])
        places.append(at[good].numpy())
    return torch.cat(maps), np.concatenate(places)


def by_every_rule(
    network: nn.Module,
    shape: tuple[int, ...],
    layer: str,
    maps: Tensor,
    places: np.ndarray,
    backgrounds: Backgrounds,
) -> dict[str, object]:
    """Return each rule's centres and errors in voxels; rules that are measured are measured several times."""
    usual = usual_centres(shape, maps.shape[1:])
    strides = [stride for stride, _ in usual]
    found: dict[str, list[rules.Centres]] = {"usual": [list(usual)]}
    reasons = []
    for repeat in range(REPEATS):
        seen = plant(backgrounds.crops(4, shape), np.random.default_rng(repeat))[0]
        answers = rules.answers(network, seen, layer, repeat)
        default = measure_placement(network, seen, layer, seed=repeat)
        one = measure_placement(network, seen[:1], layer, seed=repeat)
        empty = measure_placement(network, (1, 1, *shape), layer, seed=repeat)
        reasons.append(default.reason)
        if repeat == 0:
            found["theory"] = [rules.theoretical(network, seen, layer)]
        for name, centres in {
            "gradient energy": rules.gradient_energy(network, seen, layer, repeat),
            "line, evidence": rules.line(answers.places, answers.evidence, strides),
            "line, energy": rules.line(answers.places, answers.energy, strides),
            "shift, evidence": rules.shifted(answers.places, answers.evidence, strides),
            "shift, energy": rules.shifted(answers.places, answers.energy, strides),
            "default": list(default.centres),
            "default, one image": list(one.centres),
            "default, no image": list(empty.centres),
        }.items():
            found.setdefault(name, []).append(centres)
    # Many are the usual rule again.
    known = {tuple(one): error(maps, places, shape, one) for each in found.values() for one in each}
    errors = {name: [known[tuple(one)] for one in each] for name, each in found.items()}
    peaks = {name: [peak_error(maps, places, one) for one in each] for name, each in found.items()}
    return {
        "centroid": medians(errors),
        "peak": medians(peaks),
        "bias_of_usual": bias(maps, places, shape, list(usual)),
        "default_less_usual_95": interval(errors["usual"][0], errors["default"]),
        "taken": sum(centres != list(usual) for centres in found["default"]),
        "reasons": reasons,
    }


def medians(errors: dict[str, list[np.ndarray]]) -> dict[str, list[float]]:
    """Return each rule's median error over the images, once a repeat.

    A map whose few positive units are between voxels has no place: one or two in a case.
    """
    return {name: [round(float(np.nanmedian(one)), 3) for one in each] for name, each in errors.items()}


def error(maps: Tensor, places: np.ndarray, shape: tuple[int, ...], centres: rules.Centres) -> np.ndarray:
    """Return (n,) distances in voxels from the centre of the upsampled map, above half of its maximum."""
    return np.linalg.norm(rules.half_centres(cam.upsample(maps, shape, centres)) - places, axis=1)


def bias(maps: Tensor, places: np.ndarray, shape: tuple[int, ...], centres: rules.Centres) -> list[float]:
    """Return along each axis how far the map lies from the lesion, in voxels, in the median."""
    away = rules.half_centres(cam.upsample(maps, shape, centres)) - places
    return [round(float(one), 2) for one in np.nanmedian(away, 0)]


def peak_error(maps: Tensor, places: np.ndarray, centres: rules.Centres) -> np.ndarray:
    """Return (n,) distances in voxels from the highest unit, moved to the top of parabolas along the axes."""
    grid = maps.shape[1:]
    found = np.stack(np.unravel_index(maps.flatten(1).argmax(1).numpy(), grid), 1)
    peaks = found.astype(float)
    for n, unit in enumerate(found):
        for axis, at in enumerate(unit):
            if 0 < at < grid[axis] - 1:
                values = maps[n][tuple(slice(None) if a == axis else u for a, u in enumerate(unit))]
                low, top, high = values[at - 1 : at + 2].tolist()
                if low - 2 * top + high < 0:
                    peaks[n, axis] += (low - high) / 2 / (low - 2 * top + high)
    strides, offsets = np.array(centres).T
    return np.linalg.norm(peaks * strides + offsets - places, axis=1)


def interval(usual: np.ndarray, repeats: list[np.ndarray]) -> list[float]:
    """Return a 95 % bootstrap interval, over images and repeats, of the default's median less the usual's."""
    random = np.random.default_rng(0)
    draws = []
    for _ in range(2000):
        chosen = random.integers(len(usual), size=len(usual))
        mine = repeats[random.integers(len(repeats))]
        draws.append(np.nanmedian(mine[chosen]) - np.nanmedian(usual[chosen]))
    return [round(float(one), 2) for one in np.percentile(draws, [2.5, 97.5])]


if __name__ == "__main__":
    main()
