"""Questions with known answers: invented nodules, drawn tumours, healthy places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

import voxcam
from training.lung_nodule.patches import PLACES, SIDE, Ground, cut, make_patches
from training.lung_nodule.scans import SPACING_MM, Scan
from training.reading import ct, marked

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.core.volume import Volume

SMALL_ML = 1.0
HEALTHY_MM = 15.0
GRID = np.diag([SPACING_MM] * 3 + [1.0])
# Inwards from the scan's first corner, in mm: so the grid of windows falls otherwise.
SHIFTS_MM = ((0.0, 0.0, 0.0), (7.5, 0.0, 15.0), (15.0, 22.5, 10.0), (4.5, 18.0, 25.0))


@dataclass(frozen=True)
class Question:
    """Patches with known answers, each one window of the classifier.

    Parameters
    ----------
    volumes, masks
        The patches, and what is marked in them: nothing in a healthy one.
    labels : (n,)
        1 with a nodule, 0 without.
    kinds : (n,)
        What each is: the size of its nodule, or the place of a healthy one.
    places : (n,)
        Number of the 60 mm cube of the scan it lies in: neighbours show the same tissue.
    lesions
        How many different nodules there are.
    """

    volumes: list[Volume]
    masks: list[Volume]
    labels: NDArray[np.int64]
    kinds: NDArray[np.str_]
    places: NDArray[np.int64]
    lesions: int


@dataclass(frozen=True)
class Reading:
    """A scan to slide over: `mask` marks its tumour, or is None where nothing is there."""

    volume: Volume
    mask: Volume | None


def with_invented(scans: list[Scan], count: int, seed: int) -> Question:
    """Ask about invented nodules and healthy patches, half and half, away from the drawn tumour."""
    patches = make_patches(scans, count, seed)
    volumes = [ct(hu, GRID) for hu in patches.hu]
    small = patches.masks.sum((1, 2, 3)) * SPACING_MM**3 < SMALL_ML * 1000
    kinds = np.where(patches.labels == 0, "healthy", np.where(small, "below 1 ml", "1 ml and more"))
    masks = [marked(mask, like) for mask, like in zip(patches.masks, volumes, strict=True)]
    whose = np.arange(count) % len(scans)
    places = numbered(np.column_stack([whose, patches.centres // SIDE]))
    return Question(volumes, masks, patches.labels, kinds, places, int(patches.labels.sum()))


def with_tumour(scan: Scan, count: int = 120, healthy: int = 200) -> Question:
    """Ask about patches that hold at least half of the drawn tumour, and healthy ones of the same scan."""
    centres = round_tumour(np.random.default_rng(7), scan, count)
    kinds = ["tumour"] * count
    ground = Ground(scan)
    for place in PLACES:
        rng = np.random.default_rng(8)
        centres += [ground.centre(rng, place) for _ in range(healthy)]
        kinds += [place] * healthy
    volumes = [ct(cut(scan.hu, centre), GRID) for centre in centres]
    masks = [
        marked(cut(scan.tumour, centre, fill=False), like)
        for centre, like in zip(centres, volumes, strict=True)
    ]
    labels = np.array([int(kind == "tumour") for kind in kinds])
    places = numbered(np.stack(centres) // SIDE)
    return Question(volumes, masks, labels, np.array(kinds), places, lesions=1)


def round_tumour(rng: np.random.Generator, scan: Scan, count: int) -> list[NDArray[np.int64]]:
    """Draw voxels near the tumour's middle whose patch holds at least half of it."""
    middle = np.array(ndimage.center_of_mass(scan.tumour))
    centres: list[NDArray[np.int64]] = []
    while len(centres) < count:
        centre = np.rint(middle + rng.uniform(-15, 15, 3)).astype(int)
        if cut(scan.tumour, centre, fill=False).sum() >= scan.tumour.sum() / 2:
            centres.append(centre)
    return centres


def numbered(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row which of the different rows it is."""
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1]).ravel()


def read_file(image: Path) -> Reading:
    """Read a scan and the `_mask` beside it from their files, as a user does."""
    mask = image.with_name(image.name.replace(".nii", "_mask.nii"))
    volume = voxcam.read(voxcam.scan(image).series[0], modality="CT")
    return Reading(volume, voxcam.read(voxcam.scan(mask).series[0]))


def whole(scan: Scan) -> Reading:
    """Return a scan and its tumour on the 1.5 mm grid."""
    volume = ct(scan.hu, scan.affine)
    return Reading(volume, marked(scan.tumour, volume))


def healthy_parts(scan: Scan) -> dict[str, Reading]:
    """Return the parts of a scan beside and above its tumour: the other lung, and all that lies higher up."""
    voxels, shape = np.argwhere(scan.tumour), scan.hu.shape
    gap = int(HEALTHY_MM / SPACING_MM)
    low, high = voxels.min(0) - gap, voxels.max(0) + gap
    left = low[0] > shape[0] - high[0]
    beside = (0, int(low[0])) if left else (int(high[0]), shape[0])
    volume = ct(scan.hu, scan.affine)
    return {
        "other_side": Reading(volume.cropped((beside[0], 0, 0), (beside[1], *shape[1:])), None),
        "above": Reading(volume.cropped((0, 0, int(high[2])), shape), None),
    }


def shifted(reading: Reading, shift_mm: tuple[float, ...]) -> Reading:
    """Return the scan cut off by some mm at the first end of each axis; the mask stays whole."""
    volume = reading.volume
    start = np.rint(np.array(shift_mm) / volume.geometry.spacing_mm).astype(int)
    return Reading(volume.cropped(start.tolist(), volume.shape), reading.mask)
