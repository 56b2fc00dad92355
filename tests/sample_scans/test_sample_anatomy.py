"""Image, mask and labels lie on one another, and where the anatomy and the published figures say."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "sample_scans"
PAIRS = {
    "ct_torso": "ct_torso_labels",
    "mr_abdomen": "mr_abdomen_labels",
    "brain_tumour_t1c": "brain_tumour_t1c_mask",
    "lung_tumour_ct": "lung_tumour_ct_mask",
}


@cache
def voxels(name):
    return np.asanyarray(nibabel.load(SAMPLES / f"{name}.nii.gz").dataobj)


@cache
def affine(name):
    return nibabel.load(SAMPLES / f"{name}.nii.gz").affine


@cache
def series(name):
    return [pydicom.dcmread(path) for path in sorted((SAMPLES / name).iterdir())]


@cache
def ct_hu():
    """HU of the CT series, (row, column, slice)."""
    slices = series("ct_abdomen_dicom")
    return np.stack([s.pixel_array * s.RescaleSlope + s.RescaleIntercept for s in slices], axis=-1)


@cache
def ct_labels_on_ct():
    """Label of every CT pixel, looked up in the world: DICOM's equation C.7.6.2.1-1, then LPS to RAS."""
    to_voxel = np.linalg.inv(affine("ct_abdomen_labels")) @ np.diag([-1, -1, 1, 1])
    found = []
    for s in series("ct_abdomen_dicom"):
        row, column = np.mgrid[: s.Rows, : s.Columns][..., None]
        down, right = (float(mm) for mm in s.PixelSpacing)
        row_direction, column_direction = np.array(s.ImageOrientationPatient, float).reshape(2, 3)
        lps = s.ImagePositionPatient + column * right * row_direction + row * down * column_direction
        ijk = nibabel.affines.apply_affine(to_voxel, lps)
        nearest = ijk.round().astype(int)
        assert np.abs(ijk - nearest).max() < 1e-6
        found.append(voxels("ct_abdomen_labels")[tuple(np.moveaxis(nearest, -1, 0))])
    return np.stack(found, axis=-1)


def names(stem):
    return {name: int(number) for number, name in json.loads((SAMPLES / f"{stem}.json").read_text()).items()}


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.nii.gz")), ids=lambda path: path.name)
def test_a_nifti_says_its_space_twice_and_alike(path):
    image = nibabel.load(path)
    space = 4 if path.name == "brain_t1_template.nii.gz" else 1
    assert (image.header["sform_code"], image.header["qform_code"]) == (space, space)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"
    drawn = "mask" in path.name or "labels" in path.name
    assert image.get_data_dtype() == (np.uint8 if drawn else np.int16)
    assert image.header.get_intent()[0] == ("label" if drawn else "none")


@pytest.mark.parametrize(("image", "mask"), PAIRS.items())
def test_image_and_mask_share_the_grid(image, mask):
    assert voxels(image).shape == voxels(mask).shape
    np.testing.assert_array_equal(affine(image), affine(mask))


@pytest.mark.parametrize("stem", ["ct_abdomen_labels", "ct_torso_labels", "mr_abdomen_labels"])
def test_the_names_are_those_of_the_labels_that_occur(stem):
    assert set(names(stem).values()) == set(np.unique(voxels(stem)).tolist()) - {0}


def test_ct_organs_have_the_hu_of_their_tissue():
    """Portal venous phase: liver and spleen near 90 HU, cortical bone far above, colon with gas."""
    label = names("ct_abdomen_labels")
    organs = ("liver", "spleen", "humerus_left", "colon")
    hu = {organ: ct_hu()[ct_labels_on_ct() == label[organ]] for organ in organs}
    assert 60 < hu["liver"].mean() < 120
    assert 60 < hu["spleen"].mean() < 120
    assert hu["humerus_left"].mean() > 400
    assert hu["colon"].mean() < -200
    assert np.mean((hu["liver"] > 20) & (hu["liver"] < 200)) > 0.98


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [-1, 1])
def test_ct_labels_fit_worse_when_moved_by_one_voxel(axis, shift):
    label = names("ct_abdomen_labels")
    bones = [number for name, number in label.items() if name.startswith(("rib", "humerus", "vertebra"))]
    on_bone = np.isin(ct_labels_on_ct(), bones)
    assert ct_hu()[on_bone].mean() > ct_hu()[np.roll(on_bone, shift, axis)].mean() + 5


@pytest.mark.parametrize("image", ["ct_torso", "mr_abdomen"])
def test_the_right_kidney_is_on_the_right_and_below_the_spleen(image):
    label, organs, to_world = names(f"{image}_labels"), voxels(f"{image}_labels"), affine(image)

    def centre(organ):
        return nibabel.affines.apply_affine(to_world, np.argwhere(organs == label[organ]).mean(0))

    assert centre("kidney_right")[0] > centre("kidney_left")[0] + 100
    assert centre("liver")[0] > centre("spleen")[0] + 100
    assert centre("kidney_right")[2] < centre("spleen")[2]


@pytest.mark.parametrize("image", ["ct_torso", "mr_abdomen"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_organ_is_even_only_where_its_label_lies(image, axis):
    liver = voxels(f"{image}_labels") == names(f"{image}_labels")["liver"]
    spread = np.subtract(*np.percentile(voxels(image)[liver], [90, 10]))
    assert np.subtract(*np.percentile(voxels(image)[np.flip(liver, axis)], [90, 10])) > 2 * spread


@pytest.mark.parametrize(
    ("image", "count", "mean", "median", "low", "high"),
    [
        ("brain_tumour_t1c", 4137, 825.2354363065023, 812, 468, 1266),
        ("lung_tumour_ct", 24644, 7.602093815938971, 41, -840, 297),
    ],
)
def test_tumours_agree_with_the_figures_pyradiomics_publishes(image, count, mean, median, low, high):
    """PyRadiomics 3.0.1, data/baseline/baseline_firstorder.csv, columns brain1 and lung2."""
    inside = voxels(image)[voxels(PAIRS[image]) == 1]
    assert inside.size == count
    assert inside.mean() == pytest.approx(mean, rel=1e-12)
    assert (np.median(inside), inside.min(), inside.max()) == (median, low, high)


@pytest.mark.parametrize(
    ("image", "millilitres"), [("brain_tumour_t1c", 16.412658691406), ("lung_tumour_ct", 48.434108762464)]
)
def test_tumour_volumes_agree_with_the_figures_pyradiomics_publishes(image, millilitres):
    """The same package, data/baseline/baseline_shape.csv, VoxelVolume."""
    voxel_ml = abs(np.linalg.det(affine(image)[:3, :3])) / 1000
    assert np.count_nonzero(voxels(PAIRS[image])) * voxel_ml == pytest.approx(millilitres, rel=1e-6)


def test_the_lung_crop_lies_about_its_tumour_and_where_the_scan_put_it():
    drawn = np.argwhere(voxels("lung_tumour_ct_mask"))
    middle = (drawn.min(0) + drawn.max(0)) / 2
    assert voxels("lung_tumour_ct").shape == (260, 230, 26)
    np.testing.assert_allclose(middle, [129.5, 114.5, 12.5], atol=1)
    # The NRRD's own numbers and PyRadiomics' bounding box of lung2
    origin_lps, step_lps = np.array([-170.5, -324.5, -360]), np.array([0.6269531, 0.6269531, 5])
    box_start_lps = origin_lps + [318, 333, 15] * step_lps
    found = nibabel.affines.apply_affine(affine("lung_tumour_ct"), drawn.min(0))
    np.testing.assert_allclose(found, box_start_lps * [-1, -1, 1], atol=1e-4)


def test_the_brain_tumour_lies_on_the_left_where_the_scan_put_it():
    drawn = np.argwhere(voxels("brain_tumour_t1c_mask"))
    # The NRRD's own numbers and PyRadiomics' bounding box of brain1
    origin_lps, step_lps = np.array([-99.609375, 99.609375, -78]), np.array([0.78125, -0.78125, 6.5])
    box_start_lps = origin_lps + [162, 84, 11] * step_lps
    found = nibabel.affines.apply_affine(affine("brain_tumour_t1c"), drawn.min(0))
    np.testing.assert_allclose(found, box_start_lps * [-1, -1, 1], atol=1e-5)
    assert found[0] < 0


def test_the_lung_mask_is_soft_tissue_in_lung():
    hu, mask = voxels("lung_tumour_ct"), voxels("lung_tumour_ct_mask") == 1
    assert -50 < hu[mask].mean() < 60
    assert np.mean((hu[mask] > -100) & (hu[mask] < 200)) > 0.85
    assert all(hu[np.flip(mask, axis)].mean() < -50 for axis in range(3))


def test_the_template_is_symmetric_about_x_zero_and_upright():
    """In MNI space genu and splenium of the corpus callosum are bright on T1, the fourth ventricle dark."""
    brain, to_voxel = voxels("brain_t1_template"), np.linalg.inv(affine("brain_t1_template"))

    def at(*mni_mm):
        i, j, k = nibabel.affines.apply_affine(to_voxel, mni_mm).round().astype(int)
        return brain[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2].mean()

    np.testing.assert_array_equal(brain, brain[::-1])
    assert nibabel.affines.apply_affine(to_voxel, (0, 0, 0))[0] == (brain.shape[0] - 1) / 2
    assert min(at(0, 28, 6), at(0, -38, 12)) > 200
    assert at(0, -46, -30) < 80
