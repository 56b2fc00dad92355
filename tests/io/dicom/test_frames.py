from __future__ import annotations

import gzip
import shutil
import subprocess
import warnings
from pathlib import Path

import dcm2niix
import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from builders import affine_of, noise, slice_dataset, write, write_dicom_series, write_enhanced
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from voxcam import io

NIBABEL = Path(nib.__file__).parent / "nicom/tests/data"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE = affine_of((25, -10, 40), (0.9, 0.7, 3.0), (10, -20, 30))


def unpacked(name, folder):
    path = folder / f"{name}.dcm"
    path.write_bytes(gzip.decompress((NIBABEL / f"{name}.dcm.gz").read_bytes()))
    return path


def read(place):
    return io.read(io.scan(place).choose())


def nibabel_of(path):
    """nibabel's voxels (row, column, slice) and affine, turned to ours: (i, j, k), RAS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_file

        wrapper = wrapper_from_file(path)
        # Its first axis counts rows, its second columns.
        swap = np.eye(4)[[1, 0, 2, 3]]
        return np.swapaxes(wrapper.get_data(), 0, 1), LPS @ wrapper.affine @ swap


def dcm2niix_of(path, folder):
    alone = folder / "in"  # it converts all that lies beside a file
    alone.mkdir(parents=True)
    shutil.copy(path, alone)
    command = [Path(dcm2niix.bin), "-b", "n", "-z", "n", "-m", "y", "-x", "i", "-f", "theirs"]
    command += ["-o", folder, alone]
    subprocess.run(command, check=True, capture_output=True)
    image = nib.load(folder / "theirs.nii")
    turn = np.diag([1.0, -1.0, 1.0, 1.0])
    turn[1, 3] = image.shape[1] - 1
    return np.asarray(image.dataobj)[:, ::-1], image.affine @ turn


def apart_mm(volume, affine):
    """Largest distance in mm of the two places of a corner."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape])).reshape(3, -1).T
    return np.abs(volume.geometry.to_world(corners) - (corners @ affine[:3, :3].T + affine[:3, 3])).max()


def same_direction(volume, voxels, affine):
    """Their voxels and affine, slices counted from the side that ours are."""
    if affine[:3, 2] @ volume.affine[:3, 2] > 0:
        return voxels, affine
    turn = np.diag([1.0, 1.0, -1.0, 1.0])
    turn[2, 3] = voxels.shape[2] - 1
    return voxels[:, :, ::-1], affine @ turn


def test_an_enhanced_mr_of_philips_lies_where_its_frames_nibabel_and_dcm2niix_say(tmp_path):
    path = unpacked("philips_mprage", tmp_path)
    ours = read(path)
    groups = dcmread(path, stop_before_pixels=True).PerFrameFunctionalGroupsSequence
    stated = [np.array(g.PlanePositionSequence[0].ImagePositionPatient, float) * (-1, -1, 1) for g in groups]
    firsts = ours.geometry.to_world(np.array([(0, 0, k) for k in range(ours.shape[2])]))
    apart = np.linalg.norm(np.array(stated)[:, None] - firsts[None], axis=2)
    assert apart.min(axis=1).max() < 1e-4
    assert sorted(apart.argmin(axis=1)) == list(range(ours.shape[2]))
    # nibabel takes the stated spacing for the step, which the positions contradict in the sixth figure.
    voxels, affine = same_direction(ours, *nibabel_of(path))
    assert apart_mm(ours, affine) < 2e-3
    np.testing.assert_allclose(ours.voxels, voxels, rtol=1e-6)
    _, affine = same_direction(ours, *dcm2niix_of(path, tmp_path / "theirs"))
    assert apart_mm(ours, affine) < 1e-3


def test_an_enhanced_ct_lies_where_dcm2niix_says(tmp_path):
    path = get_testdata_file("eCT_Supplemental.dcm")
    ours = read(path)
    voxels, affine = same_direction(ours, *dcm2niix_of(path, tmp_path / "theirs"))
    assert apart_mm(ours, affine) < 1e-4
    np.testing.assert_array_equal(ours.voxels, voxels)
    assert ours.unit == ""  # a map of blood flow, of RescaleType US


@pytest.mark.parametrize("coding", ["", "_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_ls_lossless"])
def test_five_codings_of_ten_frames_give_the_same_voxels(coding):
    path = get_testdata_file(f"emri_small{coding}.dcm")
    theirs = dcmread(get_testdata_file("emri_small.dcm")).pixel_array
    np.testing.assert_array_equal(np.asarray(read(path).voxels)[:, :, 0], theirs.T)


def test_an_enhanced_file_that_highdicom_made_is_the_series_it_was_made_from(tmp_path):
    voxels = noise((8, 6, 5))
    paths = write_dicom_series(tmp_path / "in", voxels, AFFINE, order=[3, 0, 4, 1, 2], **OF_A_STUDY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.legacy.LegacyConvertedEnhancedMRImage(
            [dcmread(path) for path in paths], generate_uid(), 9, generate_uid(), 1
        )
    made.save_as(tmp_path / "enhanced.dcm")
    ours = read(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(ours.voxels, voxels)
    np.testing.assert_allclose(ours.affine, AFFINE, atol=1e-6)


OF_A_STUDY = {
    "Modality": "MR",
    "RescaleIntercept": "0",
    "StudyID": "1",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "SeriesNumber": 1,
    "AccessionNumber": "",
    "PatientBirthDate": "",
    "PatientSex": "O",
    "ReferringPhysicianName": "",
    "Manufacturer": "None",
    "AcquisitionNumber": 1,
    "ContentDate": "19000101",
    "ContentTime": "000000",
    "PositionReferenceIndicator": "",
    "ScanningSequence": "SE",
    "SequenceVariant": "NONE",
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "EchoTime": "5",
    "EchoTrainLength": 1,
}


def test_frames_in_any_order_lie_by_their_position(tmp_path):
    frames = [3, 0, 4, 1, 2]
    voxels = noise((8, 6, 5))
    path = write_enhanced(tmp_path / "a", frames, voxels[:, :, frames], AFFINE)
    ours = read(path)
    np.testing.assert_array_equal(ours.voxels, voxels)
    np.testing.assert_allclose(ours.affine, AFFINE, atol=1e-6)


def test_a_temporal_index_becomes_the_fourth_axis(tmp_path):
    frames = [(k, t) for k in range(4) for t in (2, 0, 1)]
    voxels = np.stack([noise((6, 5, 4), seed=t) for t in range(3)], axis=-1)
    pixels = np.stack([voxels[..., k, t] for k, t in frames], axis=-1)
    each = lambda n: {"FrameContentSequence": {"TemporalPositionIndex": frames[n][1] + 1}}  # noqa: E731
    ours = read(write_enhanced(tmp_path / "a", [k for k, _ in frames], pixels, AFFINE, each=each))
    assert (ours.fourth.name, ours.fourth.values) == ("time point", (1, 2, 3))
    np.testing.assert_array_equal(ours.voxels, voxels)
    np.testing.assert_allclose(ours.affine, AFFINE, atol=1e-6)


def test_echoes_and_b_values_of_functional_groups_become_the_fourth_axis(tmp_path):
    frames = [(k, t) for t in (1, 0) for k in range(3)]
    voxels = np.stack([noise((6, 5, 3), seed=t) for t in range(2)], axis=-1)
    pixels = np.stack([voxels[..., k, t] for k, t in frames], axis=-1)
    groups = {
        "echo time": lambda t: {"MREchoSequence": {"EffectiveEchoTime": (2.5, 30.0)[t]}},
        "b-value": lambda t: {"MRDiffusionSequence": {"DiffusionBValue": (0.0, 800.0)[t]}},
        "cardiac phase": lambda t: {
            "CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": (0.0, 450.0)[t]}
        },
    }
    values = {"echo time": (2.5, 30), "b-value": (0, 800), "cardiac phase": (0, 450)}
    for name, group in groups.items():
        path = write_enhanced(
            tmp_path / name, [k for k, _ in frames], pixels, AFFINE, each=lambda n, g=group: g(frames[n][1])
        )
        ours = read(path)
        assert (ours.fourth.name, ours.fourth.values) == (name, values[name])
        np.testing.assert_array_equal(ours.voxels, voxels)


def test_stacks_of_one_file_are_series_of_their_own(tmp_path):
    frames, stacks = [0, 1, 2, 0, 1, 2], "AAABBB"
    pixels = noise((6, 5, 6))

    def each(n):
        turned = AFFINE if stacks[n] == "A" else affine_of((0, 80, 10), (0.9, 0.7, 3.0), (0, 0, 0))
        dataset = slice_dataset(pixels[:, :, n], turned, frames[n])
        return {
            "FrameContentSequence": {"StackID": stacks[n], "InStackPositionNumber": frames[n] + 1},
            "PlanePositionSequence": {"ImagePositionPatient": list(dataset.ImagePositionPatient)},
            "PlaneOrientationSequence": {"ImageOrientationPatient": list(dataset.ImageOrientationPatient)},
        }

    study = io.scan(write_enhanced(tmp_path / "a", frames, pixels, AFFINE, each=each))
    assert [series.shape for series in study.series] == [(6, 5, 3)] * 2
    for series, part in zip(study.series, (pixels[:, :, :3], pixels[:, :, 3:]), strict=True):
        np.testing.assert_array_equal(io.read(series).voxels, part)
    np.testing.assert_allclose(io.read(study.series[0]).affine, AFFINE, atol=1e-6)


def test_every_frame_has_its_own_rescale_and_the_middle_one_its_window(tmp_path):
    slopes, intercepts = [0.5, 2.25, 3.125, 1.0], [0.0, -1.0, 2.0, 0.5]
    each = lambda n: {  # noqa: E731
        "PixelValueTransformationSequence": {
            "RescaleSlope": str(slopes[n]),
            "RescaleIntercept": str(intercepts[n]),
            "RescaleType": "US",
        },
        "FrameVOILUTSequence": {"WindowCenter": str(10 + n), "WindowWidth": str(100 + n)},
    }
    pixels = noise((6, 5, 4))
    ours = read(write_enhanced(tmp_path / "a", range(4), pixels, AFFINE, each=each, Modality="PT"))
    np.testing.assert_allclose(ours.voxels, pixels * np.array(slopes) + np.array(intercepts), rtol=1e-6)
    assert ours.source["rescale"] == "per slice"
    assert (ours.window.centre, ours.window.width) == (12, 102)


def test_a_rescale_that_all_frames_share_is_applied_and_ct_is_in_hu(tmp_path):
    shared = {
        "PixelValueTransformationSequence": {
            "RescaleSlope": "1",
            "RescaleIntercept": "-1000",
            "RescaleType": "HU",
        }
    }
    pixels = noise((6, 5, 4))
    ours = read(write_enhanced(tmp_path / "a", range(4), pixels, AFFINE, shared=shared, Modality="CT"))
    assert ours.unit == "HU"
    assert ours.voxels.dtype == np.int16
    np.testing.assert_array_equal(ours.voxels, pixels - 1000)


def test_fewer_groups_than_frames_are_refused(tmp_path):
    path = write_enhanced(tmp_path / "a", range(4), noise((6, 5, 4)))
    dataset = dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    dataset.save_as(path)
    study = io.scan(path)
    assert study.refused == 1
    assert "states 4 frames and describes 3" in study.findings[0].text


@pytest.mark.parametrize(
    ("name", "count"), [("examples_ybr_color.dcm", 30), ("color3d_jpeg_baseline.dcm", 120)]
)
def test_a_cine_is_moments_at_one_place_on_a_time_axis(name, count):
    path = get_testdata_file(name)
    theirs = dcmread(path)
    ours = read(path)
    assert ours.shape == (theirs.Columns, theirs.Rows, 1)
    assert ours.voxels.shape[3] == count
    assert (ours.fourth.name, ours.fourth.unit) == ("time", "ms")
    assert ours.fourth.values == pytest.approx(np.arange(count) * float(theirs.FrameTime))
    region = theirs.SequenceOfUltrasoundRegions[0]
    assert ours.geometry.spacing_mm[0] == pytest.approx(10 * float(region.PhysicalDeltaX))
    frame = theirs.pixel_array[count // 2].astype(int)  # pydicom makes it RGB
    rgb = np.stack([ours.voxels[:, :, 0, count // 2][c].T for c in "RGB"], axis=-1)
    # Two JPEG decoders may round differently.
    assert np.abs(rgb - frame).max() <= 4


def nuclear(path, frames, slices=None, between=None):
    """A nuclear medicine file: one detector, frames counted by a slice vector."""
    pixels = noise((6, 5, frames))
    dataset = slice_dataset(pixels[:, :, 0], AFFINE, 0, "NM")
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.20", "NM"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2", "1.3", "1.4"
    dataset.NumberOfFrames = frames
    dataset.PixelData = np.ascontiguousarray(pixels.T).tobytes()
    detector = type(dataset)()
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        setattr(detector, keyword, dataset[keyword].value)
        delattr(dataset, keyword)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.DetectorInformationSequence = [detector]
    if slices:
        dataset.SliceVector, dataset.SpacingBetweenSlices = slices, between
    write(dataset, path)
    return pixels


def test_nuclear_slices_lie_by_their_slice_vector(tmp_path):
    pixels = nuclear(tmp_path / "a", 4, [4, 3, 2, 1], "3.0")
    ours = read(tmp_path / "a")
    np.testing.assert_array_equal(ours.voxels, pixels[:, :, ::-1])
    np.testing.assert_allclose(ours.affine, AFFINE, atol=1e-6)


def test_nuclear_slices_counted_against_the_normal_keep_their_place(tmp_path):
    pixels = nuclear(tmp_path / "a", 4, [1, 2, 3, 4], "-3.0")
    ours = read(tmp_path / "a")
    first = AFFINE[:3, 3]
    place = np.argwhere(np.asarray(ours.voxels) == pixels[2, 3, 0])
    assert any(
        np.allclose(ours.geometry.to_world(index), first + AFFINE[:3, :3] @ (2, 3, 0), atol=1e-6)
        for index in place
    )


def test_nuclear_frames_without_a_slice_vector_do_not_become_depth(tmp_path):
    pixels = nuclear(tmp_path / "a", 4)
    ours = read(tmp_path / "a")
    assert ours.shape[2] == 1
    np.testing.assert_array_equal(np.asarray(ours.voxels)[:, :, 0], pixels)


@pytest.mark.parametrize("units", ["GY", "RELATIVE"])
@pytest.mark.parametrize("name", ["rtdose.dcm", "rtdose_expb.dcm", "rtdose_rle.dcm"])
def test_a_dose_is_in_gray_and_lies_by_its_offsets(name, units, tmp_path):
    theirs = dcmread(get_testdata_file(name))
    theirs.DoseUnits = units
    theirs.save_as(tmp_path / "a")
    series = io.scan(tmp_path).choose("0")
    ours = io.read(series)
    assert series.kind == "dose"
    assert ours.unit == ("Gy" if units == "GY" else "")
    stored = theirs.pixel_array.astype(float) * float(theirs.DoseGridScaling)
    np.testing.assert_allclose(ours.voxels, stored.transpose(2, 1, 0), rtol=1e-6)
    for k, offset in enumerate(theirs.GridFrameOffsetVector):
        x, y, z = (float(v) for v in theirs.ImagePositionPatient)
        np.testing.assert_allclose(ours.geometry.to_world((0, 0, k)), (-x, -y, z + offset), atol=1e-6)


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0]])
def test_dose_offsets_that_are_positions_along_z_are_taken_as_such(orientation, tmp_path):
    # PS3.3 C.8.8.3.2: where the first is the z of ImagePositionPatient, all of them are z; relative else.
    dataset = dcmread(get_testdata_file("rtdose.dcm"))
    z = float(dataset.ImagePositionPatient[2])
    dataset.ImageOrientationPatient = orientation
    dataset.GridFrameOffsetVector = [z + 5 * k for k in range(15)]
    dataset.save_as(tmp_path / "a")
    ours = read(tmp_path / "a")
    heights = sorted(ours.geometry.to_world((0, 0, k))[2] for k in range(15))
    np.testing.assert_allclose(heights, [z + 5 * k for k in range(15)], atol=1e-6)
    stored = dataset.pixel_array.astype(float) * float(dataset.DoseGridScaling)
    for k in range(15):
        frame = round((ours.geometry.to_world((0, 0, k))[2] - z) / 5)
        np.testing.assert_allclose(np.asarray(ours.voxels)[:, :, k], stored[frame].T, rtol=1e-6)
