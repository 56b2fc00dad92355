from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from grids import poses
from hypothesis import HealthCheck, given, settings

from voxcam import io
from voxcam.core.volume import COLOUR
from voxcam.errors import ReadError

SAMPLES = Path(__file__).resolve().parents[3] / "sample_scans"
NIBABEL_FILES = Path(nib.__file__).parent / "tests" / "data"


def read(place):
    return io.read(io.scan(place).choose())


def kinds(findings):
    return {finding.kind for finding in findings}


def saved(path, voxels, affine=None, **header):
    image = nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    "path",
    [
        NIBABEL_FILES / "anatomical.nii",
        NIBABEL_FILES / "functional.nii",
        NIBABEL_FILES / "example4d.nii.gz",
        NIBABEL_FILES / "example_nifti2.nii.gz",
        SAMPLES / "mr_abdomen.nii.gz",
        SAMPLES / "lung_tumour_ct.nii.gz",
        SAMPLES / "ct_abdomen_labels.nii.gz",
    ],
    ids=lambda path: path.name,
)
def test_affine_and_values_agree_with_nibabel(path):
    image = nib.load(path)
    series = io.scan(path).choose()
    volume = io.read(series)
    np.testing.assert_array_equal(volume.affine, image.affine)
    np.testing.assert_allclose(volume.voxels, image.get_fdata(), rtol=1e-6)
    assert volume.voxels.shape == image.shape == series.shape


@given(poses())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_affine_comes_back(tmp_path, affine):
    path = saved(tmp_path / "a.nii", np.zeros((2, 3, 4), np.int16), affine)
    np.testing.assert_allclose(read(path).affine, affine, rtol=1e-6, atol=1e-4)


def test_scaling_is_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    path = tmp_path / "a.nii.gz"
    nib.save(image, path)
    # nibabel scales down when it saves: what the file holds is what counts.
    np.testing.assert_allclose(read(path).voxels, nib.load(path).get_fdata(), rtol=1e-6)
    raw = bytearray(saved(tmp_path / "b.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4)).read_bytes())
    raw[112:120] = np.array([2.0, 10.0], "<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    np.testing.assert_array_equal(read(tmp_path / "b.nii").voxels.ravel(), np.arange(24) * 2 + 10)


def test_the_sform_goes_before_the_qform_and_a_difference_is_said(tmp_path):
    image = nib.Nifti1Image(np.zeros((10, 10, 10), np.int16), np.eye(4))
    image.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    image.set_qform(np.diag([2.0, 2, 2.5, 1]), 1)
    nib.save(image, tmp_path / "a.nii")
    series = io.scan(tmp_path).choose()
    np.testing.assert_array_equal(io.read(series).affine, np.diag([2.0, 2, 2, 1]))
    assert [f.text for f in series.findings] == ["sform and qform differ by up to 4.5 mm: the sform is taken"]


def test_the_qform_is_taken_where_the_sform_has_no_code(tmp_path):
    affine = np.array([[0, -2.0, 0, 5], [2, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 0)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "a.nii")
    volume = read(tmp_path)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
    assert volume.source["spacing_from"] == "qform"
    assert volume.geometry.frame == "patient"


def test_a_file_without_orientation_is_of_unknown_frame(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    image.header.set_zooms((1, 2, 3))
    nib.save(image, tmp_path / "a.nii")
    volume = read(tmp_path)
    assert volume.geometry.frame == "unknown"
    np.testing.assert_array_equal(volume.affine, nib.load(tmp_path / "a.nii").affine)
    assert "left and right are not known" in volume.source["findings"][0]


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_lengths_are_turned_into_mm(unit, factor, tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([2 / factor, 3 / factor, 4 / factor, 1]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    series = io.scan(tmp_path).choose()
    assert series.spacing_mm == pytest.approx([2, 3, 4])
    assert ("not-mm" in kinds(series.findings)) == (factor != 1)


def test_time_is_the_last_axis_and_a_single_moment_is_dropped(tmp_path):
    voxels = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    assert read(saved(tmp_path / "a.nii", voxels)).voxels.shape == (2, 3, 4, 5)
    single = read(saved(tmp_path / "b.nii", voxels[..., :1]))
    np.testing.assert_array_equal(single.voxels, voxels[..., 0])


def test_a_flat_image_is_one_voxel_deep(tmp_path):
    assert read(saved(tmp_path / "a.nii", np.zeros((5, 6), np.uint8))).shape == (5, 6, 1)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((2, 2, 2), np.complex64), "complex"),
        (np.zeros((2, 2, 2, 1, 3), np.float32), "vectors"),
        (np.zeros((2, 2, 2, 2, 3, 2), np.float32), "more than five dimensions"),
    ],
)
def test_what_is_not_one_real_value_a_voxel_is_refused(voxels, reason, tmp_path):
    study = io.scan(saved(tmp_path / "a.nii.gz", voxels))
    assert (study.found, study.refused) == (1, 1)
    assert reason in study.findings[0].text


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_an_affine_that_cannot_be_is_refused(bad, tmp_path):
    path = saved(tmp_path / "a.nii", np.zeros((2, 2, 2), np.int16), np.diag([1.0, 1, 1, 1]))
    raw = bytearray(path.read_bytes())
    raw[280:296] = np.array([bad, 0, 0, 0], "<f4").tobytes()  # srow_x
    path.write_bytes(raw)
    assert "not finite and invertible" in io.scan(path).findings[0].text


def test_ct_is_told_by_its_values_and_said():
    volume = read(SAMPLES / "lung_tumour_ct.nii.gz")
    assert (volume.modality, volume.unit) == ("CT", "HU")
    assert volume.source["findings"][0] == "taken for CT in HU by its values"


def test_that_values_were_taken_for_hu_is_said_before_all_else(tmp_path):
    image = nib.Nifti1Image(np.array([-1000, 40], np.int16).reshape(2, 1, 1), None)
    nib.save(image, tmp_path / "a.nii")
    first, second = read(tmp_path).source["findings"]
    assert first == "taken for CT in HU by its values"
    assert "left and right are not known" in second


def test_a_stated_modality_goes_before_the_guess(tmp_path):
    series = io.scan(saved(tmp_path / "a.nii", np.array([-1000, 40], np.int16).reshape(2, 1, 1))).choose()
    assert io.read(series).unit == "HU"
    volume = io.read(series, modality="MR")
    assert (volume.modality, volume.unit, volume.source["findings"]) == ("MR", "", [])
    volume = io.read(series, modality="ct")
    assert (volume.modality, volume.unit, volume.source["findings"]) == ("CT", "HU", [])
    with pytest.raises(ReadError, match="two letters such as CT"):
        io.read(series, modality="MRI")


def test_values_without_air_are_hu_where_stated_and_it_is_said(tmp_path):
    series = io.scan(saved(tmp_path / "a.nii", np.array([0, 3000], np.int16).reshape(2, 1, 1))).choose()
    assert (io.read(series).modality, io.read(series).unit) == ("", "")
    volume = io.read(series, modality="CT")
    assert (volume.modality, volume.unit) == ("CT", "HU")
    assert volume.source["findings"] == [
        "stated to be CT, but no value is below -500 as air is: check that they are HU"
    ]


def test_a_file_of_labels_is_told_from_an_image_and_has_no_modality(tmp_path):
    series = io.scan(saved(tmp_path / "a.nii", np.ones((2, 2, 2), np.uint8), intent_code=1002)).choose()
    assert str(series) == "NIFTI labels 2 x 2 x 2 at 1 x 1 x 1 mm"
    with pytest.raises(ReadError, match="the file says it holds labels"):
        io.read(series, modality="CT")


@pytest.mark.parametrize(
    "values",
    [(-400, 300), (-4096, 4095), (-1000.5, 300), (-1000, -600)],
    ids=["no air", "phase", "fractions", "nothing but air"],
)
def test_other_values_are_not_taken_for_hu(values, tmp_path):
    dtype = np.float32 if any(v % 1 for v in values) else np.int16
    volume = read(saved(tmp_path / "a.nii", np.array(values, dtype).reshape(2, 1, 1)))
    assert (volume.modality, volume.unit) == ("", "")


def test_voxels_without_a_number_are_counted(tmp_path):
    voxels = np.ones((10, 10, 1), np.float32)
    voxels[0, 0] = np.nan
    assert read(saved(tmp_path / "a.nii", voxels)).source["findings"] == [
        "1 % of voxels hold no finite number"
    ]


@pytest.mark.parametrize(
    ("dtype", "high", "kept"),
    [(np.uint16, 900, np.int16), (np.int32, 70000, np.float32), (np.float64, 0.5, np.float32)],
)
def test_voxels_are_kept_as_int16_or_float32(dtype, high, kept, tmp_path):
    image = nib.Nifti1Image(np.full((2, 2, 2), high, dtype), np.eye(4), dtype=dtype)
    nib.save(image, tmp_path / "a.nii")
    volume = read(tmp_path)
    assert volume.voxels.dtype == kept
    assert volume.voxels.max() == high


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_cut_short_is_an_error_of_one_line(name, tmp_path):
    voxels = np.random.default_rng(0).integers(0, 9999, (20, 20, 20)).astype(np.int16)
    path = saved(tmp_path / name, voxels)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ReadError, match="damaged or cut short") as caught:
        read(path)
    assert str(tmp_path) not in str(caught.value)


def test_colours_are_read_and_their_alpha_left_out(tmp_path):
    rng = np.random.default_rng(3)
    three = rng.integers(0, 255, (4, 3, 2, 3)).astype(np.uint8).view(COLOUR)[..., 0]
    volume = read(saved(tmp_path / "a.nii.gz", three))
    assert volume.is_colour
    np.testing.assert_array_equal(volume.voxels, three)
    four_dtype = np.dtype([(name, "u1") for name in "RGBA"])
    four = rng.integers(0, 255, (4, 3, 2, 4)).astype(np.uint8).view(four_dtype)[..., 0]
    series = io.scan(saved(tmp_path / "b.nii", four)).choose()
    assert kinds(series.findings) == {"no-alpha"}
    voxels = io.read(series).voxels
    assert voxels.dtype == COLOUR
    for name in "RGB":
        np.testing.assert_array_equal(voxels[name], four[name])


@pytest.mark.parametrize(
    ("unit", "name", "spelt", "values"),
    [
        ("sec", "time", "s", (1.0, 3.5, 6.0)),
        ("msec", "time", "s", (0.001, 0.0035, 0.006)),
        ("usec", "time", "s", (1e-6, 3.5e-6, 6e-6)),
        ("hz", "frequency", "Hz", (1.0, 3.5, 6.0)),
        ("ppm", "chemical shift", "ppm", (1.0, 3.5, 6.0)),
        ("unknown", "time", "", (1.0, 3.5, 6.0)),
    ],
)
def test_the_fourth_axis_counts_from_toffset_in_steps_of_pixdim(unit, name, spelt, values, tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))
    image.header["pixdim"][4], image.header["toffset"] = 2.5, 1
    image.header.set_xyzt_units("mm", unit)
    nib.save(image, tmp_path / "a.nii")
    fourth = read(tmp_path).fourth
    assert (fourth.name, fourth.unit, fourth.stated_by) == (name, spelt, "pixdim[4]")
    assert fourth.values == pytest.approx(values, rel=1e-6)


def test_a_fourth_axis_without_a_step_has_no_values(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))
    image.header["pixdim"][4] = 0
    nib.save(image, tmp_path / "a.nii")
    assert read(tmp_path).fourth.values == ()


def test_a_fifth_dimension_is_folded_into_the_fourth_and_said(tmp_path):
    voxels = np.arange(2 * 3 * 4 * 2 * 3, dtype=np.int16).reshape(2, 3, 4, 2, 3)
    series = io.scan(saved(tmp_path / "a.nii.gz", voxels)).choose()
    assert kinds(series.findings) == {"folded"}
    volume = io.read(series)
    assert volume.voxels.shape == series.shape == (2, 3, 4, 6)
    for fifth in range(3):
        np.testing.assert_array_equal(volume.voxels[..., 2 * fifth : 2 * fifth + 2], voxels[..., fifth])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_either_order_of_bytes_is_read_by_either_version(kind, order, tmp_path):
    voxels = np.arange(-12, 12, dtype=np.int16).reshape(2, 3, 4)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    nib.save(kind(voxels, np.diag([1.0, 2, 3, 1]), header), tmp_path / "a.nii")
    assert nib.load(tmp_path / "a.nii").header.endianness == order
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.voxels.dtype == np.int16
    assert volume.voxels.dtype.isnative


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.nifti2.Nifti2Pair])
def test_a_pair_of_files_is_one_series(kind, ending, tmp_path):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(kind(voxels, np.diag([1.0, 2, 3, 1])), tmp_path / f"a.hdr{ending}")
    assert {path.name for path in tmp_path.iterdir()} == {f"a.hdr{ending}", f"a.img{ending}"}
    study = io.scan(tmp_path)
    assert (study.found, study.loaded, study.skipped, study.refused) == (2, 1, 1, 0)
    assert study.findings[0].text == "1 file skipped: voxels of a NIfTI pair"
    volume = io.read(study.choose())
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_array_equal(volume.affine, np.diag([1.0, 2, 3, 1]))


@pytest.mark.parametrize(
    ("gone", "reason"), [("a.hdr", "header half missing"), ("a.img", "voxel half missing")]
)
def test_half_a_pair_is_refused(gone, reason, tmp_path):
    nib.save(nib.Nifti1Pair(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.hdr")
    (tmp_path / gone).unlink()
    study = io.scan(tmp_path)
    assert (study.found, study.refused) == (1, 1)
    assert reason in study.findings[0].text


def test_halves_that_do_not_fit_are_refused(tmp_path):
    nib.save(nib.Nifti1Pair(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes(bytes(15))
    assert "cut short" in io.scan(tmp_path).findings[0].text
    (tmp_path / "a.img").write_bytes(bytes(17))
    assert "more bytes than its header promises" in io.scan(tmp_path).findings[0].text


def test_voxels_that_begin_like_gzip_are_voxels(tmp_path):
    voxels = np.full((2, 2, 2), 0x8B1F - (1 << 16), np.int16)
    nib.save(nib.Nifti1Pair(voxels, np.eye(4)), tmp_path / "a.hdr")
    assert (tmp_path / "a.img").read_bytes()[:2] == b"\x1f\x8b"
    np.testing.assert_array_equal(read(tmp_path).voxels, voxels)


def test_analyze_is_refused_in_words(tmp_path):
    nib.save(nib.AnalyzeImage(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.hdr")
    study = io.scan(tmp_path)
    assert (study.skipped, study.refused) == (1, 1)
    texts = " ".join(finding.text for finding in study.findings)
    assert "which does not say how the image lies in the patient" in texts
    assert "voxels of an Analyze 7.5 pair" in texts


def test_another_formats_img_is_left_alone(tmp_path):
    (tmp_path / "a.hdr").write_text("ENVI\nsamples = 3\n")
    (tmp_path / "a.img").write_bytes(bytes(99))
    assert io.scan(tmp_path).skipped == 2


def test_whole_numbers_scaled_by_whole_numbers_stay_whole(tmp_path):
    path = saved(tmp_path / "a.nii", np.arange(24, dtype=np.uint16).reshape(2, 3, 4))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([1.0, -1024.0], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, nib.load(path).get_fdata())


def test_whole_numbers_that_float32_rounds_are_said(tmp_path):
    image = nib.Nifti1Image(np.full((2, 2, 2), 16_777_217, np.int32), np.eye(4), dtype=np.int32)
    nib.save(image, tmp_path / "a.nii")
    assert "rounded" in read(tmp_path).source["findings"][0]


def test_progress_counts_slices_up_to_all(tmp_path):
    told = []
    path = saved(tmp_path / "a.nii.gz", np.zeros((4, 4, 9), np.int16))
    io.read(io.scan(path).choose(), lambda done, total: told.append((done, total)))
    assert told[-1] == (9, 9)
    assert told == sorted(told)


def test_a_mask_is_labels_on_the_grid_of_its_file():
    mask = io.read_mask(SAMPLES / "lung_tumour_ct_mask.nii.gz")
    assert mask.unit == "label"
    assert set(np.unique(mask.voxels)) == {0, 1}
    assert mask.geometry.same_grid(read(SAMPLES / "lung_tumour_ct.nii.gz").geometry)


def test_a_mask_of_fractions_time_or_another_format_is_an_error(tmp_path):
    with pytest.raises(ReadError, match="expected whole numbers"):
        io.read_mask(saved(tmp_path / "a.nii", np.full((2, 2, 2), 0.5, np.float32)))
    with pytest.raises(ReadError, match="expected whole numbers"):
        io.read_mask(saved(tmp_path / "b.nii", np.full((2, 2, 2), np.nan, np.float32)))
    with pytest.raises(ReadError, match="three dimensions"):
        io.read_mask(saved(tmp_path / "c.nii", np.zeros((2, 2, 2, 2), np.uint8)))
    with pytest.raises(ReadError, match="another kind of file"):
        io.read_mask(SAMPLES / "chest_xray.dcm")
    with pytest.raises(ReadError, match="no file to open"):
        io.read_mask(tmp_path / "nothing.nii")


def test_a_float_mask_of_whole_numbers_is_taken(tmp_path):
    mask = io.read_mask(saved(tmp_path / "a.nii", np.full((2, 2, 2), 300, np.float32)))
    assert (mask.voxels == 300).all()
    assert mask.voxels.dtype.kind == "i"


def test_two_files_of_one_grid_have_two_keys(tmp_path):
    voxels = np.zeros((40, 40, 40), np.int16)
    saved(tmp_path / "a.nii", voxels)
    voxels[20, 20, 20] = 7
    saved(tmp_path / "b.nii", voxels)
    first, second = io.scan(tmp_path).series
    assert first.key != second.key


def test_whole_numbers_scaled_beyond_float32_are_told(tmp_path):
    image = nib.Nifti1Image(np.array([[[1, 200]]], np.int16), np.eye(4))
    image.header.set_slope_inter(1e37, 0)
    nib.save(image, tmp_path / "far.nii")
    data = bytearray((tmp_path / "far.nii").read_bytes())
    data[112:116] = np.float32(1e37).tobytes()
    data[-4:] = np.array([1, 200], np.int16).tobytes()
    (tmp_path / "far.nii").write_bytes(data)
    volume = io.read(io.scan(tmp_path / "far.nii").choose())
    assert any("hold no finite number" in text for text in volume.source["findings"])
