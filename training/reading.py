"""Ask a bundle as anyone's code would: `voxcam.load_classifier`, `predict`, `voxcam.explain`, `localise`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

import voxcam
from training.counts import share
from training.networks import build
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from voxcam.core.explanation import Explanation
    from voxcam.core.localisation import Localisation
    from voxcam.model.classifier import Classifier

WEIGHTS = Path("models", "model.safetensors")
NEAR_MM = 5.0


def load(bundle: Path) -> Classifier:
    """Return the classifier of a bundle's folder, on the CPU, so that figures repeat."""
    return voxcam.load_classifier(bundle, device="cpu")


def load_with(bundle: Path, weights: Path) -> Classifier:
    """Return the classifier of a bundle with other weights (a `.safetensors` file) in their place."""
    with tempfile.TemporaryDirectory() as scratch:
        other = Path(scratch) / bundle.name
        shutil.copytree(bundle, other)
        shutil.copyfile(weights, other / WEIGHTS)
        with unremembered():
            return load(other)


@contextmanager
def unremembered() -> Iterator[None]:
    """Load what goes by a bundle's name without the user's register of known weights learning of it."""
    with mock.patch.dict(os.environ, {"VOXCAM_MODELS": "off"}):
        yield


def load_untrained(bundle: Path, seed: int) -> Classifier:
    """Return the classifier of a bundle whose weights are those its network starts with."""
    configuration = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    torch.manual_seed(seed)
    network = build(configuration["network_def"])
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "drawn.safetensors"
        save_file(network.state_dict(), place)
        return load_with(bundle, place)


def with_tiling(
    classifier: Classifier, *, overlap: float | None = None, size: tuple[int, int, int] | None = None
) -> Classifier:
    """Return the classifier with windows of another overlap or size (-1: the whole axis)."""
    tiling = classifier.tiling
    if overlap is not None:
        tiling = replace(tiling, overlap=overlap)
    return replace(classifier, tiling=tiling if size is None else replace(tiling, size=size))


def ct(hu: NDArray[np.floating], affine: ArrayLike) -> Volume:
    """Return HU (i, j, k) as a CT, in place by its affine."""
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    voxels = np.ascontiguousarray(hu, np.float32)
    return Volume(voxels, Geometry(shape, np.asarray(affine, np.float64)), "CT", "HU")


def marked(mask: NDArray[np.bool_], like: Volume) -> Volume:
    """Return a mask (i, j, k) on the grid of a volume."""
    return Volume(mask.astype(np.uint8), like.geometry, unit="label")


def predicted(classifier: Classifier, volumes: Sequence[Volume]) -> NDArray[np.float64]:
    """Return logits (n, classes) of volumes that are one window each."""
    return np.array([list(classifier.predict(volume).logits.values()) for volume in volumes], np.float64)


def explained(classifier: Classifier, volume: Volume, layer: str, classes: Sequence[str]) -> Explanation:
    """Return the Grad-CAM of some classes at a layer."""
    return voxcam.explain(volume, classifier, ("grad-cam",), classes, (layer,))


@dataclass(frozen=True)
class Pointing:
    """Where the maps of pictures that hold a finding lie, beside what chance would give.

    `peak_in_mask`, `peak_within_5_mm`: shares with Wilson's interval; a map with nothing positive is a miss.
    `energy_in_mask`: mean share of the positive evidence, 0 of an empty map. `mask_share`: mean share of the
    picture, which is what a peak or evidence thrown anywhere would score.
    """

    peak_in_mask: dict[str, float]
    peak_within_5_mm: dict[str, float]
    energy_in_mask: float
    mask_share: float
    empty_maps: int


def pointed(found: Sequence[Localisation]) -> Pointing:
    """Sum up localisations."""
    near = [one.peak_distance_mm <= NEAR_MM for one in found]
    return Pointing(
        as_numbers(share(np.array([bool(one.peak_in_mask) for one in found]))),
        as_numbers(share(np.array(near))),
        float(np.mean([np.nan_to_num(one.energy_in_mask) for one in found])),
        float(np.mean([one.mask_share for one in found])),
        sum(one.peak_in_mask is None for one in found),
    )


def as_numbers(found: object) -> dict[str, float]:
    """Return a dataclass of numbers as a table."""
    return dict(vars(found))


def rounded(figures: object) -> object:
    """Return figures with three decimals, NaN as None."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [rounded(value) for value in figures]
    if isinstance(figures, float | np.floating):
        return None if np.isnan(figures) else round(float(figures), 3)
    return figures
