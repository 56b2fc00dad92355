"""Pictures to judge by: crops and slices of a person, with what is known about the organs in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing

from training.ct_organs.slices import body_box, presence
from training.reading import ct, marked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.ct_organs.scans import Bool, Scan
    from voxcam.core.volume import Volume

CROP_MM = (96.0, 160.0)
CROPS_A_SLICE = 16
BODY_HU = -300


@dataclass(frozen=True)
class View:
    """One picture to judge.

    Parameters
    ----------
    volume
        One slice deep, in HU.
    organs : (C, I, J)
        Where each class lies.
    labels : (C,)
        1 present, 0 absent, NaN unknown.
    place : (person's name, slice)
        Pictures of one slice show the same organs.
    """

    volume: Volume
    organs: Bool
    labels: NDArray[np.float32]
    place: tuple[str, int]

    def mask(self, number: int) -> Volume:
        """Return where one class lies, on the picture's grid."""
        return marked(self.organs[number][:, :, None], self.volume)

    def share_of_body(self, number: int) -> float:
        """Return one class's share of the body in the picture."""
        body = np.asarray(self.volume.voxels)[:, :, 0] > BODY_HU
        return float((self.organs[number] & body).sum() / max(body.sum(), 1))


def crops(scan: Scan, spacing_mm: float, seed: int = 0) -> list[View]:
    """Draw seeded windows of 96 to 160 mm, middles inside the body, sixteen a slice, at most 20 slices."""
    scan = at_spacing(scan, spacing_mm)
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


def whole_slices(scan: Scan) -> list[View]:
    """Every slice of a scan, on the grid it was made with."""
    rows, columns, count = scan.hu.shape
    return [_view(scan, k, slice(0, rows), slice(0, columns)) for k in range(count)]


def at_spacing(scan: Scan, spacing_mm: float) -> Scan:
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


def _view(scan: Scan, k: int, i: slice, j: slice) -> View:
    masks, doubtful = scan.organs[:, i, j, k], scan.doubtful[:, i, j, k]
    pixel = scan.spacing_mm**2
    areas, doubts, wholes = (m.sum((1, 2)) * pixel for m in (masks, doubtful, scan.organs[:, :, :, k]))
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [i.start, j.start, k]
    volume = ct(scan.hu[i, j, k : k + 1], affine)
    return View(volume, masks, presence(areas, doubts, wholes, scan.needed), (scan.person, k))
