"""The task: name the lesion. Real scans as background, invented lesions at places that are known."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

KINDS = ("none", "bright blob", "ring", "dark blob")
SCANS = Path(__file__).parents[2] / "sample_scans"
TRAINED_ON = {
    2: ("ct_torso", "lung_tumour_ct", "brain_t1_template"),
    3: ("ct_torso", "lung_tumour_ct", "brain_t1_template", "brain_tumour_t1c"),
}
JUDGED_ON = {2: ("brain_tumour_t1c", "mr_abdomen"), 3: ("mr_abdomen",)}
RADIUS = {2: (3.0, 6.0), 3: (2.0, 4.0)}  # standard deviation, voxels
DEPTH = 64
MARGIN = 8


class Backgrounds:
    """Random crops of some scans, in 2D slices or 3D, each with mean 0 and deviation 1."""

    def __init__(self, rank: int, scans: tuple[str, ...], seed: int) -> None:
        self.rank = rank
        self.random = np.random.default_rng(seed)
        self.volumes = [_volume(name, rank) for name in scans]

    def crops(self, count: int, shape: tuple[int, ...]) -> Tensor:
        """Return (count, 1, *shape)."""
        return torch.stack([self._crop(shape) for _ in range(count)])[:, None]

    def _crop(self, shape: tuple[int, ...]) -> Tensor:
        while True:
            image = self.volumes[self.random.integers(len(self.volumes))]
            if self.rank == 2:
                image = image[..., self.random.integers(image.shape[-1])]
            crop = image[
                tuple(
                    slice(start := int(self.random.integers(have - want + 1)), start + want)
                    for have, want in zip(image.shape, shape, strict=True)
                )
            ]
            if crop.std() > 0.25:  # of the whole scan's: not only air
                break
        crop = crop.flip([axis for axis in range(self.rank) if self.random.random() < 0.5])
        return (crop - crop.mean()) / crop.std()


def plant(
    backgrounds: Tensor, random: np.random.Generator, kinds: np.ndarray | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the images (B, 1, *shape), their classes (B) and the lesions' centres in voxels (B, axes)."""
    shape = backgrounds.shape[2:]
    count, rank = len(backgrounds), len(shape)
    kinds = random.integers(len(KINDS), size=count) if kinds is None else kinds
    places = np.stack([random.uniform(MARGIN, size - 1 - MARGIN, count) for size in shape], axis=1)
    radius = random.uniform(*RADIUS[rank], count)
    contrast = random.uniform(2.5, 5.0, count)
    grid = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    drawn = np.empty((count, *shape))
    for n, (kind, place) in enumerate(zip(kinds, places, strict=True)):
        drawn[n] = contrast[n] * _lesion(kind, grid, place, radius[n] * random.uniform(0.8, 1.25, rank))
    noise = random.normal(0, 0.1, (count, *shape))
    images = backgrounds + torch.from_numpy((drawn + noise).astype(np.float32))[:, None]
    return images, torch.from_numpy(kinds), torch.from_numpy(places)


def _lesion(kind: int, grid: list[np.ndarray], place: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    if KINDS[kind] == "none":
        return np.zeros_like(grid[0], dtype=float)
    away = np.sqrt(sum(((g - p) / d) ** 2 for g, p, d in zip(grid, place, deviation, strict=True)))
    if KINDS[kind] == "ring":
        return np.exp(-(((away - 2) / 0.6) ** 2) / 2)
    blob = np.exp(-(away**2) / 2)
    return blob if KINDS[kind] == "bright blob" else -blob


def _volume(name: str, rank: int) -> Tensor:
    image = nib.load(SCANS / f"{name}.nii.gz")
    values = torch.from_numpy(np.asarray(image.dataobj, dtype=np.float32))
    low, high = np.percentile(values, [1, 99.5])
    values = values.clamp(float(low), float(high))
    spacing = np.array(image.header.get_zooms()[:3])
    if rank == 3:
        finer = spacing / (spacing[2] * values.shape[2] / DEPTH)
        size = [max(1, round(n * f)) for n, f in zip(values.shape, finer, strict=True)]
    else:
        finer = max(1.0, 200 / min(values.shape[:2]))
        size = [round(n * finer) for n in values.shape[:2]] + [values.shape[2]]
    values = interpolate(values[None, None], size, mode="trilinear", align_corners=False)[0, 0]
    return (values - values.mean()) / values.std()
