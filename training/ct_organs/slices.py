"""Crops of axial slices with image-level labels: this organ is in it, is not, or nobody can say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.ct_organs.scans import CLASSES, Scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

HU_RANGE = (-200.0, 300.0)
SURE_AREA_MM2 = 150.0
AIR_HU = -1024.0
WINDOWS, WINDOW_MM = 6, (64.0, 200.0)


@dataclass(frozen=True)
class Batch:
    """`images` (B, 1, n, n) in 0..1, axis 0 = i (to the right of the patient), axis 1 = j (to the front).

    `labels` (B, C): 1 present, 0 absent, NaN unknown. `windows` (B, W, 4): edges (i0, i1, j0, j1) in pixels
    of rectangles in the image, and `window_labels` (B, W, C): the same question asked of them.
    """

    images: Tensor
    labels: Tensor
    windows: Tensor
    window_labels: Tensor


class Crops:
    """Random crops of people's slices, equal in number between the people."""

    def __init__(self, scans: list[Scan], spacing_mm: float, seed: int) -> None:
        self.scans, self.spacing_mm = scans, spacing_mm
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.odds = [slice_odds(scan) for scan in scans]
        self.bodies = [body_box(scan) for scan in scans]

    def pixels(self, edge_mm: float) -> int:
        """How many pixels of the training spacing an edge has."""
        return int(edge_mm / self.spacing_mm)

    def batch(self, count: int, size_px: int) -> Batch:
        """`count` augmented crops of `size_px` squared pixels at the training spacing."""
        windows = np.stack([self._windows(size_px) for _ in range(count)])
        pairs = [self._one(size_px, each) for each in windows]
        images = self._vary(torch.stack([image for image, _ in pairs])[:, None])
        labels = torch.from_numpy(np.stack([label for _, label in pairs]))
        return Batch(images, labels[:, 0], torch.from_numpy(windows[:, 1:]), labels[:, 1:])

    def _windows(self, size_px: int) -> NDArray[np.int64]:
        """(1 + W, 4) edges: the whole crop, then windows that may reach its borders."""
        edges = [(0, size_px, 0, size_px)]
        for _ in range(WINDOWS):
            sides = np.minimum(self.rng.uniform(*WINDOW_MM, 2) / self.spacing_mm, size_px).astype(int)
            low = [int(self.rng.integers(0, size_px - side + 1)) for side in sides]
            edges.append((low[0], low[0] + int(sides[0]), low[1], low[1] + int(sides[1])))
        return np.array(edges)

    def _one(self, size_px: int, windows: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.float32]]:
        rng, which = self.rng, int(self.rng.integers(len(self.scans)))
        scan, box = self.scans[which], self.bodies[which]
        k = int(rng.choice(len(self.odds[which]), p=self.odds[which]))
        extent = size_px * self.spacing_mm / scan.spacing_mm
        # A crop wider than the body keeps its middle near the body's; a small one may lie anywhere in it.
        centre = [
            rng.uniform(*_between(low, high, extent * rng.uniform(0.3, 1.0)))
            for low, high in (box[:2], box[2:])
        ]
        turn, grow = rng.uniform(-0.2, 0.2), math.exp(rng.uniform(-0.2, 0.2))
        step = self.spacing_mm / scan.spacing_mm / grow
        return cut(scan, k, (centre[0], centre[1]), windows, step, turn)

    def _vary(self, hu: Tensor) -> Tensor:
        """Scanner and contrast differences: gain, offset, noise, blur, then the window and a gamma."""
        rng, count = self.rng, len(hu)

        def draw(low: float, high: float) -> Tensor:
            return torch.from_numpy(rng.uniform(low, high, (count, 1, 1, 1)).astype(np.float32))

        hu = hu * draw(0.8, 1.25) + draw(-25, 25)
        blurred = functional.avg_pool2d(functional.pad(hu, (1, 1, 1, 1), mode="replicate"), 3, 1)
        hu = torch.where(draw(0, 1) < 0.3, blurred, hu)
        grain = torch.randn(hu.shape, generator=self.noise)
        soft = 2 * functional.avg_pool2d(functional.pad(grain, (1, 1, 1, 1), mode="reflect"), 3, 1)
        hu = hu + draw(0, 35) * torch.where(draw(0, 1) < 0.5, soft, grain)
        return window(hu) ** torch.exp(draw(-0.3, 0.3))


def cut(
    scan: Scan,
    k: int,
    centre: tuple[float, float],
    windows: NDArray[np.int64],
    step: float,
    turn: float = 0.0,
) -> tuple[Tensor, NDArray[np.float32]]:
    """One crop (n, n) in HU and the labels (W, C) of its windows.

    `centre` (i, j) and `step` in the scan's voxels, `windows` (W, 4) edges (i0, i1, j0, j1) in the crop's
    pixels, the first the crop itself, `turn` in radians. Outside the scan lies air.
    """
    size_px = int(windows[0, 1])
    line = (torch.arange(size_px) - (size_px - 1) / 2) * step
    di, dj = torch.meshgrid(line, line, indexing="ij")
    i = centre[0] + di * math.cos(turn) - dj * math.sin(turn)
    j = centre[1] + di * math.sin(turn) + dj * math.cos(turn)
    rows, columns = scan.hu.shape[:2]
    # grid_sample wants (x, y) = (last axis, first axis) in -1..1, here with the corners at the voxel centres.
    grid = torch.stack([2 * j / (columns - 1) - 1, 2 * i / (rows - 1) - 1], dim=-1)[None]
    hu = torch.from_numpy(np.ascontiguousarray(scan.hu[:, :, k]))[None, None] - AIR_HU
    image = functional.grid_sample(hu, grid, mode="bilinear", align_corners=True)[0, 0] + AIR_HU
    marks = _nearest_marks(scan, k, i.numpy(), j.numpy())
    pixel_mm2 = (step * scan.spacing_mm) ** 2
    labels = []
    for i0, i1, j0, j1 in windows:
        values, counts = np.unique(marks[i0:i1, j0:j1], return_counts=True)
        areas = (values[None] >> np.arange(2 * len(CLASSES))[:, None] & 1) @ counts * pixel_mm2
        sure, doubtful = areas[: len(CLASSES)], areas[len(CLASSES) :]
        labels.append(presence(sure, doubtful, scan.slice_areas_mm2[:, k], scan.needed))
    return image, np.stack(labels)


def _nearest_marks(scan: Scan, k: int, i: NDArray[np.float32], j: NDArray[np.float32]) -> NDArray[np.uint16]:
    rows, columns = np.rint(i).astype(int), np.rint(j).astype(int)
    inside = (rows >= 0) & (rows < scan.hu.shape[0]) & (columns >= 0) & (columns < scan.hu.shape[1])
    marks = np.zeros(i.shape, np.uint16)
    marks[inside] = scan.marks[rows[inside], columns[inside], k]
    return marks


def presence(
    area_mm2: NDArray[np.floating],
    doubtful_mm2: NDArray[np.floating],
    whole_mm2: NDArray[np.floating],
    needed: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Tell 1 (present), 0 (absent) or NaN (unknown) for each class by its area in a crop and in the slice.

    Present: at least 150 mm2 and the needed share of the organ. Absent: not one pixel, marked or doubtful.
    """
    sure = (area_mm2 >= SURE_AREA_MM2) & (area_mm2 >= needed * whole_mm2)
    absent = (area_mm2 == 0) & (doubtful_mm2 == 0)
    return np.where(sure, 1.0, np.where(absent, 0.0, np.nan)).astype(np.float32)


def window(hu: Tensor) -> Tensor:
    """HU to 0..1 over the network's range, clipped."""
    low, high = HU_RANGE
    return ((hu - low) / (high - low)).clamp(0, 1)


def slice_odds(scan: Scan) -> NDArray[np.float64]:
    """Odds of drawing each slice: those with more organs come more often."""
    odds = 1.0 + scan.organs.any((1, 2)).sum(0)
    return np.asarray(odds / odds.sum(), np.float64)


def body_box(scan: Scan) -> tuple[int, int, int, int]:
    """First and last i and j of what is denser than fat, over all slices."""
    body = (scan.hu > -150).mean(2) > 0.1
    i, j = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    return int(i[0]), int(i[-1]), int(j[0]), int(j[-1])


def _between(low: float, high: float, extent: float) -> tuple[float, float]:
    """Where a crop's centre may lie so that about `extent` of it stays inside low..high."""
    middle, reach = (low + high) / 2, max((high - low - extent) / 2, 0.08 * (high - low))
    return middle - reach, middle + reach
