"""Cut 60 mm patches out of the scans, half of them with an invented nodule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage

from training.lung_nodule.nodules import draw_radius, insert, invent, slice_profile
from training.lung_nodule.scans import AIR_HU, SPACING_MM, Scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

Voxel = TypeVar("Voxel", bound=np.generic)
SIDE = 40
HU_RANGE = (-1000.0, 400.0)
CLEAR_OF_TUMOUR_MM = 15.0
# Where a patch without nodule is centred, and how often.
PLACES = {"lung": 0.4, "border": 0.35, "anywhere": 0.25}


@dataclass(frozen=True)
class Patches:
    """`hu` (n, 40, 40, 40) float32 in HU, `masks` bool of the nodules, `labels` (n,) 0 or 1.

    `centres` (n, 3): the voxel of the scan that each patch lies round.
    """

    hu: NDArray[np.float32]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    centres: NDArray[np.int64]


class Ground:
    """Where in one scan patches may be cut: never where they would see the drawn tumour."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        depth = ndimage.distance_transform_edt(scan.lung)
        around = ndimage.distance_transform_edt(~scan.lung)
        self.lung = np.argwhere(scan.lung)
        self.border = np.argwhere((depth + around < 6) & (depth + around > 0))
        self.wall = np.argwhere(scan.lung & (depth < 8))
        self.tumour_box = _box(scan.tumour, CLEAR_OF_TUMOUR_MM / SPACING_MM)

    def centre(self, rng: np.random.Generator, place: str) -> NDArray[np.int64]:
        """Draw the centre voxel of a patch that does not touch the tumour."""
        for _ in range(10_000):
            if place == "anywhere":
                drawn = rng.integers(-8, np.array(self.scan.hu.shape) + 8)
            else:
                voxels = getattr(self, place)
                drawn = voxels[rng.integers(len(voxels))] + rng.integers(-4, 5, 3)
            if self.is_clear(drawn):
                return np.asarray(drawn)
        raise RuntimeError("no patch clear of the tumour was found")

    def is_clear(self, centre: NDArray[np.int64]) -> bool:
        """Whether the patch round a voxel keeps clear of the drawn tumour."""
        low, high = self.tumour_box
        return bool(np.any(centre + SIDE // 2 <= low) or np.any(centre - SIDE // 2 >= high))


def make_patches(scans: list[Scan], count: int, seed: int, positive_share: float = 0.5) -> Patches:
    """Return `count` patches of the scans in turn; the same seed gives the same patches.

    A positive patch has an invented nodule whose middle lies in the patch's inner part; a negative one is cut
    from the lung, its border (wall, diaphragm, heart, hilum) or anywhere, the air outside included.
    """
    grounds = [Ground(scan) for scan in scans]
    hu, masks, centres = [], [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        ground = grounds[number % len(grounds)]
        if rng.random() < positive_share:
            patch, mask, centre = with_nodule(rng, ground)
        else:
            place = str(rng.choice(list(PLACES), p=list(PLACES.values())))
            centre = ground.centre(rng, place)
            patch = thin_to_thick(rng, ground.scan, cut(ground.scan.hu, centre))
            mask = np.zeros(patch.shape, bool)
        hu.append(patch)
        masks.append(mask)
        centres.append(centre)
    labels = np.array([int(mask.any()) for mask in masks])
    return Patches(np.stack(hu), np.stack(masks), labels, np.stack(centres))


def with_nodule(
    rng: np.random.Generator, ground: Ground
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """Return a patch in HU with an invented nodule, its mask (at least 0.15 ml), the patch's centre voxel."""
    scan = ground.scan
    while True:
        radius_mm = draw_radius(rng)
        seat = ground.lung if rng.random() < 0.5 else ground.wall
        reach = 15 if radius_mm < 15 else 11
        offset = rng.integers(-reach, reach + 1, 3)
        centre = seat[rng.integers(len(seat))] - offset
        if not ground.is_clear(centre):
            continue
        room = cut(scan.lung, centre, fill=False)
        nodule = invent(rng, SIDE / 2 + offset + rng.uniform(-0.5, 0.5, 3), radius_mm, room)
        thick = scan.slice_mm > 2
        slices = slice_profile(SIDE, scan.slice_mm, rng.random()) if thick else None
        before = cut(scan.hu, centre)
        patch, mask = insert(before, nodule, slices)
        expected = 4 / 3 * np.pi * (radius_mm / SPACING_MM) ** 3
        if mask.sum() > max(45, 0.3 * min(expected, 8000)) and stands_out(before, mask):
            return thin_to_thick(rng, scan, patch), mask, centre


def stands_out(before: NDArray[np.float32], mask: NDArray[np.bool_]) -> bool:
    """Whether a nodule took the place of air, and a third of its surface still borders on air."""
    rim = ndimage.binary_dilation(mask, iterations=2) & ~mask
    return bool(before[mask].mean() < -500 and (before[rim] < -500).mean() > 0.33)


def thin_to_thick(rng: np.random.Generator, scan: Scan, patch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur 70 % of the patches of a thin-slice scan to slices of 3 to 6 mm."""
    if scan.slice_mm > 2 or rng.random() > 0.7:
        return patch
    profile = slice_profile(SIDE, rng.uniform(3, 6), rng.random())
    return (patch @ profile.T).astype(np.float32)


def cut(voxels: NDArray[Voxel], centre: NDArray[np.int64], fill: float = AIR_HU) -> NDArray[Voxel]:
    """Return the (40, 40, 40) patch round a voxel, padded where it sticks out of the scan."""
    patch: NDArray[Voxel] = np.full((SIDE,) * 3, fill, voxels.dtype)
    low = np.asarray(centre) - SIDE // 2
    there = [slice(max(0, a), max(0, min(n, a + SIDE))) for a, n in zip(low, voxels.shape, strict=True)]
    here = [slice(s.start - a, max(s.start, s.stop) - a) for s, a in zip(there, low, strict=True)]
    if all(s.stop > s.start for s in there):
        patch[tuple(here)] = voxels[tuple(there)]
    return patch


def scale(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring HU to 0..1, as the bundle's preprocessing does."""
    low, high = HU_RANGE
    return np.asarray(np.clip((hu - low) / (high - low), 0, 1), np.float32)


def _box(mask: NDArray[np.bool_], margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not mask.any():
        return np.full(3, np.inf), np.full(3, np.inf)
    voxels = np.argwhere(mask)
    return voxels.min(0) - margin, voxels.max(0) + 1 + margin
