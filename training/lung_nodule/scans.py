"""Read the three chest CTs, bring them to 1.5 mm in RAS order, and find the lungs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel
import nrrd  # type: ignore[import-untyped]
import numpy as np
from monai.data import MetaTensor
from monai.transforms import Orientation, Spacing
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING_MM = 1.5
AIR_HU = -1000.0
AORTA_CT = "aorta_report/example_ct.nii.gz"
DRAWN_CTS = ("lung1", "lung2")


@dataclass(frozen=True)
class Scan:
    """One chest CT on a 1.5 mm RAS grid.

    `hu` is float32 (i, j, k); `lung` and `tumour` are bool on the same grid. `slice_mm` is the thickness of
    the slices it was made with, `affine` takes its voxel indices to RAS+ mm.
    """

    name: str
    hu: NDArray[np.float32]
    lung: NDArray[np.bool_]
    tumour: NDArray[np.bool_]
    slice_mm: float
    affine: NDArray[np.float64]


def read_scans(sources: Path) -> dict[str, Scan]:
    """Return the scans `aorta`, `lung1` and `lung2` found below a folder of unpacked source archives."""
    aorta = _find(sources, AORTA_CT)
    scans = {"aorta": _to_scan("aorta", *_read_nifti(aorta), tumour=None)}
    for name in DRAWN_CTS:
        hu, affine = _read_nrrd(_find(sources, f"{name}_image.nrrd"))
        drawn, _ = _read_nrrd(_find(sources, f"{name}_label.nrrd"))
        scans[name] = _to_scan(name, hu, affine, tumour=drawn > 0)
    return scans


def read_drawn(image: Path) -> Scan:
    """Return a NIfTI scan with the tumour drawn in the `_mask` file beside it."""
    hu, affine = _read_nifti(image)
    drawn, _ = _read_nifti(image.with_name(image.name.replace(".nii", "_mask.nii")))
    return _to_scan(image.name.split(".")[0], hu, affine, tumour=drawn > 0)


def resample(voxels: NDArray[np.float32], affine: NDArray[np.float64], mode: str = "bilinear") -> MetaTensor:
    """Put voxels (i, j, k) on the 1.5 mm RAS grid, as the bundle's preprocessing does."""
    turned = Orientation(axcodes="RAS")(MetaTensor(voxels[None], affine=affine))
    return Spacing(pixdim=(SPACING_MM,) * 3, mode=mode)(turned)[0]


def find_lungs(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the lungs: air inside the body (below -400 HU, over 150 ml), vessels filled in.

    Parameters
    ----------
    hu : (i, j, k) float32
        A CT in HU on the 1.5 mm RAS grid.
    """
    pieces, count = ndimage.label(hu < -400)
    outside = np.unique(np.concatenate([pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()]))
    volume_ml = np.bincount(pieces.ravel(), minlength=count + 1) * SPACING_MM**3 / 1000
    kept = volume_ml > 150
    kept[outside] = False
    kept[0] = False
    return closed(kept[pieces], radius=4)


def closed(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Fill gaps narrower than twice the radius, in voxels: grown by it, then shrunk by it."""
    margin = int(radius) + 2
    grown = ndimage.distance_transform_edt(~np.pad(mask, margin)) <= radius
    shrunk = ndimage.distance_transform_edt(grown) > radius
    return np.asarray(shrunk[margin:-margin, margin:-margin, margin:-margin])


def _to_scan(
    name: str, hu: NDArray[np.float32], affine: NDArray[np.float64], tumour: NDArray[np.bool_] | None
) -> Scan:
    slice_mm = float(np.linalg.norm(affine[:3, 2]))
    even = resample(hu, affine)
    if tumour is None:
        drawn = np.zeros(even.shape, bool)
    else:
        drawn = np.asarray(resample(tumour.astype(np.float32), affine)) > 0.5
    voxels = np.asarray(even, np.float32)
    return Scan(name, voxels, find_lungs(voxels), drawn, slice_mm, np.asarray(even.affine, np.float64))


def _read_nifti(place: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nibabel.load(place)
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine, np.float64)


def _read_nrrd(place: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return voxels and RAS affine; NRRD's `left-posterior-superior` turns to RAS here."""
    voxels, header = nrrd.read(str(place))
    if header["space"] != "left-posterior-superior":
        raise ValueError(f"expected an LPS image, found {header['space']!r}")
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(header["space directions"]).T
    affine[:3, 3] = header["space origin"]
    return voxels.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _find(sources: Path, ending: str) -> Path:
    found = sorted(place for place in sources.rglob(Path(ending).name) if str(place).endswith(ending))
    if not found:
        raise FileNotFoundError(f"no file ending in {ending!r} below the sources: unpack the archives there")
    return found[0]
