"""The samples that are NIfTI, one function each."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import nibabel
import nrrd  # type: ignore[import-untyped]
import numpy as np
from making.nifti_files import MNI_152, write_image, write_labels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LUNG_CROP = (260, 230, 26)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ct_abdomen_labels(packages: dict[str, Path], out: Path) -> None:
    """Write the organs of the abdominal CT series, on its grid but stored in another voxel order (LAS)."""
    _copy_labels(packages, "example_seg_dicom.nii.gz", "total", out / "ct_abdomen_labels")


def ct_torso(packages: dict[str, Path], out: Path) -> None:
    """Write a low-resolution CT of the torso, and its organs on the same grid."""
    _copy_image(packages, "example_ct_sm.nii.gz", out / "ct_torso.nii.gz")
    _copy_labels(packages, "example_seg.nii.gz", "total", out / "ct_torso_labels")


def mr_abdomen(packages: dict[str, Path], out: Path) -> None:
    """Write a low-resolution MR of the abdomen, and its organs on the same grid."""
    _copy_image(packages, "example_mr_sm.nii.gz", out / "mr_abdomen.nii.gz")
    _copy_labels(packages, "example_seg_mr.nii.gz", "total_mr", out / "mr_abdomen_labels")


def brain_t1_template(packages: dict[str, Path], out: Path) -> None:
    """Write the ICBM 152 average brain."""
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    source = nibabel.load(packages["nilearn"] / "nilearn/datasets/data" / name)
    write_image(out / "brain_t1_template.nii.gz", np.asanyarray(source.dataobj), source.affine, MNI_152)


def brain_tumour(packages: dict[str, Path], out: Path) -> None:
    """Write a contrast-enhanced brain MR with a drawn tumour."""
    image, mask, affine = _read_drawn_case(packages, "brain1")
    write_image(out / "brain_tumour_t1c.nii.gz", image, affine)
    write_labels(out / "brain_tumour_t1c_mask.nii.gz", mask, affine)


def lung_tumour(packages: dict[str, Path], out: Path) -> None:
    """Write a chest CT with a drawn tumour, cropped round it."""
    image, mask, affine = _read_drawn_case(packages, "lung2")
    start = _crop_start(mask, _LUNG_CROP)
    box = tuple(slice(first, first + size) for first, size in zip(start, _LUNG_CROP, strict=True))
    affine[:3, 3] += affine[:3, :3] @ np.array(start)
    write_image(out / "lung_tumour_ct.nii.gz", image[box], affine)
    write_labels(out / "lung_tumour_ct_mask.nii.gz", mask[box], affine)


def _copy_image(packages: dict[str, Path], name: str, path: Path) -> None:
    source = nibabel.load(packages["totalsegmentator"] / "tests/reference_files" / name)
    write_image(path, np.asanyarray(source.dataobj), source.affine)


def _copy_labels(packages: dict[str, Path], name: str, class_map: str, stem: Path) -> None:
    """Write the label map, and beside it a JSON file with the names of the labels that are present."""
    source = nibabel.load(packages["totalsegmentator"] / "tests/reference_files" / name)
    labels = np.asanyarray(source.dataobj)
    write_labels(stem.with_suffix(".nii.gz"), labels, source.affine)
    names = _class_names(packages["totalsegmentator"] / "totalsegmentator/map_to_binary.py", class_map)
    present = {str(number): names[number] for number in np.unique(labels).tolist() if number}
    stem.with_suffix(".json").write_text(json.dumps(present, indent=1) + "\n", encoding="utf-8")


def _class_names(module: Path, class_map: str) -> dict[int, str]:
    """Read one table of the dict ``class_map`` in TotalSegmentator's source, without importing it."""
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            for key, table in zip(statement.value.keys, statement.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == class_map:
                    names: dict[int, str] = ast.literal_eval(table)
                    return names
    raise ValueError(f"a class map named {class_map} was expected in {module.name}; none is there.")


def _read_drawn_case(
    packages: dict[str, Path], case: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Read image and mask of a PyRadiomics test case, and their shared affine (RAS+ mm)."""
    folder = packages["pyradiomics"] / "data"
    image, header = nrrd.read(str(folder / f"{case}_image.nrrd"))
    mask, mask_header = nrrd.read(str(folder / f"{case}_label.nrrd"))
    affine = _nrrd_affine(header)
    if image.shape != mask.shape or not np.array_equal(affine, _nrrd_affine(mask_header)):
        raise ValueError(f"image and mask of {case} should share one grid and do not.")
    return image, mask, affine


def _nrrd_affine(header: dict[str, Any]) -> NDArray[np.float64]:
    """Return the affine to RAS+ mm of an NRRD header whose space is LPS; its directions are rows."""
    if header["space"] != "left-posterior-superior":
        raise ValueError(f"an NRRD in left-posterior-superior was expected, found {header['space']}.")
    affine = np.eye(4)
    affine[:3, :3] = header["space directions"].T
    affine[:3, 3] = header["space origin"]
    return _LPS_TO_RAS @ affine


def _crop_start(mask: NDArray[Any], size: tuple[int, int, int]) -> list[int]:
    """Return the first voxel of a box with the mask in its middle, moved inside the image where needed."""
    drawn = np.argwhere(mask)
    middle = (drawn.min(axis=0) + drawn.max(axis=0) + 1) / 2
    start = np.floor(middle - np.array(size) / 2).astype(int)
    return [int(first) for first in np.clip(start, 0, np.array(mask.shape) - size)]
