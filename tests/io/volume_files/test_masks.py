from __future__ import annotations

import nibabel as nib
import nrrd as pynrrd
import numpy as np
import pytest
import SimpleITK

from tests.io.volume_files.reading import itk_image
from voxcam.errors import ReadError
from voxcam.io.volume_files.masks import FORMATS, read_mask

LABELS = np.random.default_rng(5).integers(0, 5, (5, 4, 3)).astype(np.uint8)
AFFINE = np.array([[0, -1.5, 0, 10], [1.5, 0, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])


def as_nrrd(path, voxels):
    about = {"space": "RAS", "space directions": AFFINE[:3, :3].T, "space origin": AFFINE[:3, 3]}
    pynrrd.write(str(path), voxels, about)


WRITERS = {
    "a.nii.gz": lambda path, voxels: nib.save(nib.Nifti1Image(voxels, AFFINE), path),
    "a.hdr": lambda path, voxels: nib.save(nib.Nifti1Pair(voxels, AFFINE), path),
    "a.mgz": lambda path, voxels: nib.save(nib.MGHImage(voxels, AFFINE), path),
    "a.nrrd": as_nrrd,
    "a.nhdr": as_nrrd,
    "a.mha": lambda path, voxels: SimpleITK.WriteImage(itk_image(voxels, AFFINE), str(path)),
    "a.mhd": lambda path, voxels: SimpleITK.WriteImage(itk_image(voxels, AFFINE), str(path)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_mask_of_any_format_is_the_same_labels_at_the_same_place(name, tmp_path):
    WRITERS[name](tmp_path / name, LABELS)
    mask = read_mask(tmp_path / name)
    assert (mask.unit, mask.voxels.dtype) == ("label", np.uint8)
    np.testing.assert_array_equal(mask.voxels, LABELS)
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_no_mask_is_an_error(name, tmp_path):
    WRITERS[name](tmp_path / name, np.full((5, 4, 3), 0.5, np.float32))
    with pytest.raises(ReadError, match="expected whole numbers"):
        read_mask(tmp_path / name)


def test_colours_are_no_mask(tmp_path):
    colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, AFFINE), tmp_path / "a.nii")
    with pytest.raises(ReadError, match="found colours"):
        read_mask(tmp_path / "a.nii")


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_recognised_by_one_format_only(name, tmp_path):
    WRITERS[name](tmp_path / name, LABELS)
    head = (tmp_path / name).read_bytes()[:352]
    assert sum(module.recognises(tmp_path / name, head) for module in FORMATS.values()) == 1
