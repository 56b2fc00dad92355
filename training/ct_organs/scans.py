"""Three people's CT scans, each with what is known about where its organs lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray

from training.ct_organs.boxes import CHEST_BOXES, CHEST_DOUBTFUL

if TYPE_CHECKING:
    from pathlib import Path

Bool = NDArray[np.bool_]

# TotalSegmentator's label numbers. The sacrum (25) and S1 (26) look like vertebrae: doubtful, not absent.
ORGANS: dict[str, tuple[int, ...]] = {
    "liver": (5,),
    "spleen": (1,),
    "kidney": (2, 3),
    "stomach": (6,),
    "colon": (20,),
    "aorta": (52,),
    "vertebra": tuple(range(27, 51)),
}
DOUBTFUL: dict[str, tuple[int, ...]] = {"vertebra": (25, 26)}
CLASSES = tuple(ORGANS)


@dataclass(frozen=True)
class Scan:
    """One person's CT in RAS+ voxel order.

    `hu` (I, J, K) in HU; `organs` and `doubtful` (C, I, J, K): where class c lies, and where nobody can say;
    `needed` (C,): share of an organ's area in the slice a crop must hold before it counts as present
    (0 where `organs` is a label map, 0.6 where it is a box); `spacing_mm` in-plane, isotropic.
    """

    person: str
    hu: NDArray[np.float32]
    organs: Bool
    doubtful: Bool
    needed: NDArray[np.float32]
    spacing_mm: float
    affine: NDArray[np.float64]

    @cached_property
    def marks(self) -> NDArray[np.uint16]:
        """(I, J, K): bit c says class c lies here, bit C + c that it may."""
        both = np.concatenate([self.organs, self.doubtful])
        return np.asarray(sum(mask.astype(np.uint16) << bit for bit, mask in enumerate(both)), np.uint16)

    @cached_property
    def slice_areas_mm2(self) -> NDArray[np.float64]:
        """(C, K): each organ's area in each slice."""
        return np.asarray(self.organs.sum((1, 2)) * self.spacing_mm**2, np.float64)


def torso(sources: Path) -> Scan:
    """Person 1: torso CT, 3 mm, upper thighs to the diaphragm, portal venous; TotalSegmentator labels.

    The fine labels (`example_seg`) belong to the scan's top 30 slices although their affine says otherwise:
    the voxels of `example_ct_sm` equal `example_ct[:, :, 82:]`. Below them the fast model's labels stand in.
    """
    hu, affine = _canonical(sources / "example_ct.nii.gz")
    labels = _canonical(sources / "example_seg_fast_force_split.nii.gz")[0]
    fine = _canonical(sources / "example_seg.nii.gz")[0]
    labels = np.concatenate([labels[:, :, : -fine.shape[2]], fine], axis=2)
    return _scan("torso", hu, organ_masks(labels), organ_masks(labels, DOUBTFUL), affine)


def chest(sources: Path) -> Scan:
    """Person 2: chest CT angiogram, 1.5 mm, arterial; a label map for the aorta, boxes by eye for others."""
    hu, affine = _canonical(sources / "aorta_report/example_ct.nii.gz")
    boxes, doubtful = (np.zeros((len(CLASSES), *hu.shape), bool) for _ in range(2))
    for name, tracks in CHEST_BOXES.items():
        for track in tracks:
            _fill(boxes[CLASSES.index(name)], track)
    for name, (first, last) in CHEST_DOUBTFUL.items():
        doubtful[CLASSES.index(name), :, :, first : last + 1] = True
    mask, mask_affine = _canonical(sources / "aorta_report/test_result/models/aorta.nii.gz")
    corner = np.rint(np.linalg.solve(affine, mask_affine[:, 3])[:3]).astype(int)
    i, j, k = (slice(c, c + n) for c, n in zip(corner, mask.shape, strict=True))
    boxes[CLASSES.index("aorta")][i, j, k] = mask > 0
    needed = np.array([0.0 if name == "aorta" else 0.6 for name in CLASSES], np.float32)
    return _scan("chest", hu, boxes, doubtful, affine, needed)


def abdomen(sources: Path) -> Scan:
    """Person 3, held out: the 20-slice abdominal DICOM series with TotalSegmentator labels."""
    labels, label_affine = _canonical(sources / "example_seg_dicom.nii.gz")
    hu, affine = dicom_series(sources / "example_ct_dicom")
    if not np.allclose(affine, label_affine, atol=0.01):
        raise ValueError(f"expected the labels on the series' grid, found affines\n{affine}\n{label_affine}")
    return _scan("abdomen", hu, organ_masks(labels), organ_masks(labels, DOUBTFUL), affine)


def organ_masks(labels: NDArray[np.generic], numbers: dict[str, tuple[int, ...]] = ORGANS) -> Bool:
    """(C, I, J, K) masks of the classes in a TotalSegmentator map; empty for a class without number."""
    return np.stack([np.isin(labels, numbers.get(name, ())) for name in CLASSES])


def dicom_series(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """HU (I, J, K) and affine of an axial series, ordered by position and turned from DICOM's LPS to RAS."""
    files = [pydicom.dcmread(path) for path in sorted(folder.iterdir()) if path.is_file()]
    files.sort(key=lambda file: float(file.ImagePositionPatient[2]))
    first = files[0]
    if not np.allclose(first.ImageOrientationPatient, (1, 0, 0, 0, 1, 0)):
        raise ValueError("expected axial slices with rows to the left and columns to the back")
    rows = np.stack(
        [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files], axis=-1
    )
    hu: NDArray[np.float32] = rows.transpose(1, 0, 2)[::-1, ::-1].astype(np.float32)
    y, x = map(float, first.PixelSpacing)
    left, back, foot = map(float, first.ImagePositionPatient)
    step = (float(files[-1].ImagePositionPatient[2]) - foot) / (len(files) - 1)
    affine = np.diag(np.array([x, y, step, 1.0]))
    affine[:3, 3] = -left - x * (hu.shape[0] - 1), -back - y * (hu.shape[1] - 1), foot
    return hu, affine


def _canonical(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, np.float64)


def _fill(volume: Bool, track: dict[int, tuple[int, int, int, int]]) -> None:
    """Fill boxes (i0, i1, j0, j1) between the slices that name them, edges interpolated in k."""
    slices = sorted(track)
    for k in range(slices[0], slices[-1] + 1):
        edges = [round(float(np.interp(k, slices, [track[s][e] for s in slices]))) for e in range(4)]
        volume[edges[0] : edges[1], edges[2] : edges[3], k] = True


def _scan(
    person: str,
    hu: NDArray[np.float32],
    organs: Bool,
    doubtful: Bool,
    affine: NDArray[np.float64],
    needed: NDArray[np.float32] | None = None,
) -> Scan:
    none_needed = np.zeros(len(CLASSES), np.float32)
    spacing = float(abs(affine[0, 0]))
    return Scan(
        person, hu, organs, doubtful & ~organs, none_needed if needed is None else needed, spacing, affine
    )
