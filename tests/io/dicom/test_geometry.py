from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
from builders import affine_of, noise, write_dicom_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from voxcam import io
from voxcam.errors import GridError

SAMPLES = Path(__file__).resolve().parents[3] / "sample_scans"
angles = st.tuples(*[st.floats(-180, 180)] * 3)
spacings = st.tuples(st.floats(0.2, 3), st.floats(0.2, 3), st.floats(0.5, 8))
origins = st.tuples(*[st.floats(-900, 900)] * 3)


def read(place):
    return io.read(io.scan(place).choose())


def kinds(findings):
    return {finding.kind for finding in findings}


def converted(series, folder):
    """dcm2niix's voxels and affine, with its rows turned back to lie as ours."""
    command = [Path(dcm2niix.bin), "-b", "n", "-z", "n", "-m", "y", "-f", "theirs", "-o", folder, series]
    subprocess.run(command, check=True, capture_output=True)
    image = nib.load(Path(folder) / "theirs.nii")
    turn = np.diag([1.0, -1.0, 1.0, 1.0])
    turn[1, 3] = image.shape[1] - 1
    return np.asarray(image.dataobj)[:, ::-1], image.affine @ turn


def test_the_abdominal_ct_agrees_with_dcm2niix(tmp_path):
    voxels, affine = converted(SAMPLES / "ct_abdomen_dicom", tmp_path)
    ours = read(SAMPLES / "ct_abdomen_dicom")
    np.testing.assert_array_equal(ours.voxels, voxels)
    # NIfTI holds single precision: at 400 mm that is 3e-5 mm.
    assert corner_distance(ours, affine) < 1e-4


def corner_distance(volume, affine):
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape])).reshape(3, -1).T
    return np.abs(volume.geometry.to_world(corners) - (corners @ affine[:3, :3].T + affine[:3, 3])).max()


@pytest.mark.parametrize("angles", [(20, -15, 30), (95, 10, 5), (0, 90, 0), (10, 80, 170)])
def test_an_oblique_series_agrees_with_dcm2niix(angles, tmp_path):
    voxels = noise((24, 20, 6))
    made = affine_of(angles, (0.9, 0.7, 3.3), (35, -80, 120))
    write_dicom_series(
        tmp_path / "in", voxels, made, order=[2, 5, 0, 3, 1, 4], Modality="MR", RescaleIntercept="0"
    )
    (tmp_path / "out").mkdir()
    theirs, affine = converted(tmp_path / "in", tmp_path / "out")
    ours = read(tmp_path / "in")
    # dcm2niix may count sagittal slices from the other side.
    if affine[:3, 2] @ ours.affine[:3, 2] < 0:
        theirs, affine = theirs[:, :, ::-1], affine @ from_the_other_side(voxels.shape[2])
    np.testing.assert_array_equal(ours.voxels, theirs)
    assert corner_distance(ours, affine) < 1e-4


def from_the_other_side(count):
    turn = np.diag([1.0, 1.0, -1.0, 1.0])
    turn[2, 3] = count - 1
    return turn


def test_the_uneven_brain_mr_lies_where_each_slice_says_better_than_dcm2niix(tmp_path):
    voxels, affine = converted(SAMPLES / "mr_brain_oblique_dicom", tmp_path)
    study = io.scan(SAMPLES / "mr_brain_oblique_dicom")
    ours = io.read(study.choose())
    np.testing.assert_array_equal(ours.voxels, voxels)
    np.testing.assert_allclose(ours.affine[:3, [0, 1, 3]], affine[:3, [0, 1, 3]], atol=1e-4)

    stated = np.array([dcmread(f).ImagePositionPatient for f in study.series[0].files], float) * (-1, -1, 1)
    slices = np.array([(0, 0, k) for k in range(20)])
    off = np.linalg.norm(ours.geometry.to_world(slices) - stated, axis=1)
    assert off[[0, -1]].max() < 1e-6
    assert off.max() < 0.1
    # dcm2niix takes the first step, 7.07 mm, for all of them: its last slice is more than 1 mm away.
    theirs = slices @ affine[:3, :3].T + affine[:3, 3]
    assert np.linalg.norm(theirs - stated, axis=1).max() > 1.3


@given(angles, spacings, origins, st.tuples(st.floats(-2, 2), st.floats(-2, 2)), st.randoms(), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_landmark_in_any_tilted_shuffled_series_keeps_its_place(
    tmp_path, angles, spacing, origin, shear, random, data
):
    folder = tmp_path / "series"
    shutil.rmtree(folder, ignore_errors=True)
    shape = (6, 5, data.draw(st.integers(2, 6)))
    landmark = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    voxels = np.zeros(shape, np.int16)
    voxels[landmark] = 1000
    affine = affine_of(angles, spacing, origin, shear)
    order = list(range(shape[2]))
    random.shuffle(order)
    write_dicom_series(folder, voxels, affine, order=order, RescaleIntercept="0")

    volume = read(folder)
    found = np.unravel_index(int(np.asarray(volume.voxels).argmax()), volume.shape)
    known = affine[:3, :3] @ landmark + affine[:3, 3]
    # Sixteen characters of a decimal string; a k axis against the normal comes back turned, in place.
    np.testing.assert_allclose(volume.geometry.to_world(found), known, atol=1e-6)
    if abs(np.degrees(np.arctan2(np.hypot(*shear), spacing[2]))) > 0.6:
        assert any("gantry tilt" in text for text in volume.source["findings"])


def test_an_lps_position_of_the_header_becomes_ras_by_the_signs_of_x_and_y(tmp_path):
    write_dicom_series(
        tmp_path,
        noise((3, 2, 1)),
        ImagePositionPatient=["10", "20", "30"],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        PixelSpacing=["0.5", "0.25"],
    )
    geometry = read(tmp_path).geometry
    np.testing.assert_allclose(geometry.to_world((0, 0, 0)), (-10, -20, 30))
    # Rows are 0.5 mm apart, columns 0.25: PixelSpacing names the rows first.
    np.testing.assert_allclose(geometry.to_world((2, 1, 0)), (-10.5, -20.5, 30))
    assert geometry.codes[:2] == "LP"


def test_slices_are_ordered_by_place_when_numbers_run_the_other_way(tmp_path):
    voxels = noise()
    paths = write_dicom_series(tmp_path, voxels, order=[3, 1, 0, 2], RescaleIntercept="0")
    study = io.scan(tmp_path)
    np.testing.assert_array_equal(io.read(study.series[0]).voxels, voxels)
    assert list(study.series[0].files) == paths


def test_the_step_is_of_positions_not_of_what_the_header_says_of_thickness(tmp_path):
    affine = affine_of(spacing=(1, 1, 2))
    write_dicom_series(tmp_path, noise(), affine, SliceThickness="3", SpacingBetweenSlices="7")
    series = io.scan(tmp_path).series[0]
    assert series.spacing_mm == pytest.approx((1, 1, 2))
    assert [f.text for f in series.findings] == ["slices overlap: 3 mm thick at steps of 2 mm"]


def test_a_lost_slice_is_found_and_placed_and_stops_the_reading(tmp_path):
    affine = affine_of(spacing=(1, 1, 5), origin=(0, 0, 10))
    paths = write_dicom_series(tmp_path, noise((4, 4, 6)), affine)
    paths[3].unlink()
    series = io.scan(tmp_path).series[0]
    assert not series.readable
    with pytest.raises(GridError, match=r"1 slice is missing of 6: between 20.00 and 30.00 mm \(1\)"):
        io.read(series)


def test_one_lost_of_three_is_still_seen(tmp_path):
    paths = write_dicom_series(tmp_path, noise((4, 4, 4)))
    paths[1].unlink()
    assert kinds(io.scan(tmp_path).series[0].findings) >= {"missing-slices"}


def moved(affine, by):
    """Elements that put slice k aside from its place by ``by(k)``, mm LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    return lambda k: {"ImagePositionPatient": [f"{x:.8g}" for x in lps[:3, 2] * k + lps[:3, 3] + by(k)]}


def test_uneven_steps_stop_the_reading_with_their_place(tmp_path):
    affine = affine_of(spacing=(1, 1, 4), origin=(0, 0, 0))
    write_dicom_series(
        tmp_path, noise((4, 4, 5)), affine, each=moved(affine, lambda k: (0, 0, 1.5 * (k > 2)))
    )
    with pytest.raises(GridError, match=r"found 4.00 to 5.50 mm, oddest between 8.00 and 13.50 mm"):
        read(tmp_path)


def test_steps_that_drift_too_little_to_see_one_by_one_stop_the_reading(tmp_path):
    affine = affine_of(spacing=(1, 1, 1))
    write_dicom_series(
        tmp_path, noise((4, 4, 40)), affine, each=moved(affine, lambda k: (0, 0, 0.0005 * k * k))
    )
    assert kinds(io.scan(tmp_path).series[0].findings) >= {"uneven-steps"}


def test_steps_rounded_by_the_scanner_are_taken_as_even_and_noted():
    series = io.scan(SAMPLES / "mr_brain_oblique_dicom").series[0]
    assert "nearly-even" in kinds(series.findings)
    assert series.readable
    assert series.spacing_mm[2] == pytest.approx(7.0011, abs=1e-3)


def test_a_slice_pushed_aside_stops_the_reading(tmp_path):
    affine = affine_of()
    write_dicom_series(tmp_path, noise(), affine, each=moved(affine, lambda k: (3.0 * (k == 1), 0, 0)))
    with pytest.raises(GridError, match="aside"):
        read(tmp_path)


def test_two_planes_in_one_series_are_taken_apart(tmp_path):
    uid = "1.2.3"
    write_dicom_series(tmp_path / "a", noise(), affine_of(), SeriesInstanceUID=uid, FrameOfReferenceUID="1.2")
    write_dicom_series(
        tmp_path / "b", noise(), affine_of((0, 90, 0)), SeriesInstanceUID=uid, FrameOfReferenceUID="1.2"
    )
    study = io.scan(tmp_path)
    assert [s.shape for s in study.series] == [(7, 5, 4)] * 2
    assert len({s.key for s in study.series}) == 2
    assert "taken-apart" in kinds(study.findings)


def test_orientation_that_is_rounded_differently_does_not_split_a_series(tmp_path):
    turn = [["1", "0", "0", "0", "1", "0"], ["1", "0.00001", "0", "-0.00001", "1", "0"]]
    write_dicom_series(tmp_path, noise(), each=lambda k: {"ImageOrientationPatient": turn[k % 2]})
    assert [s.shape for s in io.scan(tmp_path).series] == [(7, 5, 4)]


@pytest.mark.parametrize(
    "orientation", [["1", "0", "0", "1", "0", "0"], ["0"] * 6, ["1", "0", "0", "0.1", "1", "0"]]
)
def test_an_impossible_orientation_stops_the_reading(orientation, tmp_path):
    write_dicom_series(tmp_path, noise(), ImageOrientationPatient=orientation)
    with pytest.raises(GridError, match="orientation is not two perpendicular directions"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("elements", "depth_mm", "finding"),
    [
        ({"SliceThickness": "4"}, 4, None),
        ({"SliceThickness": None, "SpacingBetweenSlices": "6"}, 6, None),
        ({"SliceThickness": None}, 1, "no-thickness"),
        ({"SliceThickness": "0"}, 1, "no-thickness"),
    ],
)
def test_the_depth_of_a_single_slice(elements, depth_mm, finding, tmp_path):
    write_dicom_series(tmp_path, noise((4, 3, 1)), **elements)
    series = io.scan(tmp_path).series[0]
    assert series.spacing_mm[2] == pytest.approx(depth_mm)
    assert kinds(series.findings) == ({finding} if finding else set())
    assert io.read(series).shape == (4, 3, 1)


UNPLACED = {"Modality": "CR", "ImagePositionPatient": None, "ImageOrientationPatient": None}


@pytest.mark.parametrize(
    ("elements", "spacing", "frame", "finding"),
    [
        ({"PixelSpacing": ["0.3", "0.2"]}, (0.2, 0.3), "detector", None),
        (
            {"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": ["0.3", "0.2"]},
            (0.2, 0.3),
            "detector",
            "detector-spacing",
        ),
        ({"PixelSpacing": ["0", "0"]}, (1, 1), "unknown", "no-pixel-size"),
        ({"PixelSpacing": None}, (1, 1), "unknown", "no-pixel-size"),
    ],
)
def test_the_pixel_size_of_a_radiograph(elements, spacing, frame, finding, tmp_path):
    write_dicom_series(tmp_path, noise((6, 4, 1)), **UNPLACED, **elements)
    series = io.scan(tmp_path).series[0]
    volume = io.read(series)
    np.testing.assert_allclose(volume.affine, np.diag([-spacing[0], -spacing[1], 1, 1]))
    assert volume.geometry.frame == frame
    assert kinds(series.findings) == ({finding} if finding else set())


@pytest.mark.parametrize(
    ("letters", "codes"),
    [(["L", "F"], "LPS"), (["R", "F"], "RPS"), (["L", "H"], "LAS"), (["A", "F"], "LPS"), (None, "LPS")],
)
def test_a_radiograph_is_turned_as_its_patient_orientation_says(letters, codes, tmp_path):
    write_dicom_series(tmp_path, noise((6, 4, 1)), **UNPLACED, PatientOrientation=letters)
    assert read(tmp_path).geometry.codes == codes


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        (["L", "F"], ["L", "F"]),
        (["R", "H"], ["R", "H"]),
        (["P", "F"], ["P", "F"]),
        (["LF", "FR"], ["L", "F"]),  # compound: the first letter is the main one
        (["L", "R"], None),  # rows and columns on one axis
        (["L", ""], None),
        (["L"], None),
        (["LE", "CD"], None),
        (["SMITH", "F"], None),
        (None, None),
    ],
)
def test_the_stated_orientation_of_a_radiograph_is_kept_if_it_is_one(stated, kept, tmp_path):
    write_dicom_series(tmp_path, noise((6, 4, 1)), **UNPLACED, PatientOrientation=stated)
    assert read(tmp_path).source.get("patient_orientation") == kept


def test_the_orientation_of_an_animal_or_of_a_placed_slice_is_not_kept(tmp_path):
    animal = {"PatientOrientation": ["R", "P"], "AnatomicalOrientationType": "QUADRUPED"}
    write_dicom_series(tmp_path / "animal", noise((6, 4, 1)), **UNPLACED, **animal)
    write_dicom_series(tmp_path / "placed", noise((6, 4, 1)), PatientOrientation=["L", "P"])
    assert read(tmp_path / "animal").geometry.codes == "LPS"
    for name in ("animal", "placed"):
        assert "patient_orientation" not in read(tmp_path / name).source


def test_radiographs_of_one_series_are_not_stacked(tmp_path):
    write_dicom_series(tmp_path, noise((6, 4, 3)), **UNPLACED)
    assert [s.shape for s in io.scan(tmp_path).series] == [(6, 4, 1)] * 3


def test_the_chest_radiograph_without_pixel_size_is_read_in_pixels():
    volume = read(SAMPLES / "chest_xray.dcm")
    assert volume.shape == (1841, 1955, 1)
    assert volume.geometry.frame == "unknown"
    assert volume.source["patient_orientation"] == ["L", "F"]
    assert volume.source["findings"] == ["no pixel size: distances are in pixels"]


def test_the_labels_of_the_abdomen_lie_on_its_dicom_series():
    ours = read(SAMPLES / "ct_abdomen_dicom").geometry
    labels = io.read_mask(SAMPLES / "ct_abdomen_labels.nii.gz").geometry
    axes, flips = labels.towards(ours.codes)
    assert labels.reordered(axes, flips).same_grid(ours, tolerance_mm=1e-2)


def test_importing_io_loads_neither_pydicom_nor_nibabel():
    code = "import sys, voxcam.io; assert not {'pydicom', 'nibabel', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
