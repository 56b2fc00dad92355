"""Invent lung nodules whose outline is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from training.lung_nodule.scans import SPACING_MM

if TYPE_CHECKING:
    from numpy.typing import NDArray

RADIUS_MM = (4.0, 25.0)
TISSUE_HU = (-20.0, 70.0)


@dataclass(frozen=True)
class Nodule:
    """A nodule on a patch: `share` of each voxel that is nodule (0..1), and the `hu` it has there."""

    share: NDArray[np.float32]
    hu: NDArray[np.float32]


def insert(
    patch: NDArray[np.float32], nodule: Nodule, slices: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Blend a nodule into a patch in HU and return it with the nodule's mask.

    `slices` (k, k) reslices the nodule first (see `slice_profile`), for scans that already have thick slices.
    Denser tissue that was there (vessel, wall) stays where the nodule would be thinner.
    """
    share, hu = nodule.share, nodule.hu
    if slices is not None:
        share = share @ slices.T
    blended = patch * (1 - share) + hu * share
    return blended.astype(np.float32), share > 0.5


def invent(
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    radius_mm: float,
    room: NDArray[np.bool_],
) -> Nodule:
    """Invent a lobulated, textured soft-tissue nodule.

    Parameters
    ----------
    centre : (3,)
        Its middle, in voxels of the patch.
    radius_mm : float
        The radius of a ball of about its size.
    room : (i, j, k) bool
        Where it may grow: the lung. What lies beyond (wall, heart) is left, so a nodule there touches it.
    """
    shape = room.shape
    radius = radius_mm / SPACING_MM
    stretch = rng.uniform(0.8, 1.25, 3)
    stretch /= np.cbrt(stretch.prod())
    axes = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij", sparse=True)
    distance = np.sqrt(sum(((x - c) / s) ** 2 for x, c, s in zip(axes, centre, stretch, strict=True)))
    lobes = _smooth_noise(rng, shape, max(radius / 2.2, 1.0)) * radius * rng.uniform(0.05, 0.22)
    edge = rng.uniform(0.3, 0.8)
    inside = 1 / (1 + np.exp(np.clip((distance + lobes - radius) / edge, -30, 30)))
    grown = ndimage.gaussian_filter(room.astype(np.float32), 0.5)
    return Nodule((inside * grown).astype(np.float32), _texture(rng, shape, distance / radius))


def draw_radius(rng: np.random.Generator) -> float:
    """Return a radius in mm, small ones more often (even in its logarithm)."""
    low, high = np.log(RADIUS_MM)
    return float(np.exp(rng.uniform(low, high)))


def slice_profile(count: int, slice_mm: float, phase: float) -> NDArray[np.float32]:
    """Return the (count, count) matrix that blurs 1.5 mm voxels to slices of `slice_mm` and back.

    A slice is the mean over its thickness; between the slices' centres the value is interpolated linearly, as
    resampling to 1.5 mm does. `phase` (0..1) is where the first slice lies, in slices.
    """
    step = slice_mm / SPACING_MM
    centres = np.arange(phase * step - step, count + step, step)
    voxels = np.arange(count)
    gap = np.abs(voxels[None] - centres[:, None])
    mean = np.clip(step / 2 + 0.5 - gap, 0, 1)
    mean[mean.sum(1) == 0, np.where(centres[mean.sum(1) == 0] < 0, 0, -1)] = 1
    mean /= mean.sum(1, keepdims=True)
    between = np.clip(1 - gap.T / step, 0, None)
    profile: NDArray[np.float32] = (between / between.sum(1, keepdims=True) @ mean).astype(np.float32)
    return profile


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], depth: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Soft tissue with fine noise, coarse patches, and sometimes a darker middle (necrosis)."""
    hu = rng.uniform(*TISSUE_HU) + rng.normal(0, rng.uniform(5, 30), shape)
    hu += _smooth_noise(rng, shape, rng.uniform(1.5, 4)) * rng.uniform(0, 20)
    if rng.random() < 0.2:
        hu -= np.clip(1 - depth, 0, 1) * rng.uniform(10, 60)
    return hu.astype(np.float32)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return np.asarray(noise / noise.std())
