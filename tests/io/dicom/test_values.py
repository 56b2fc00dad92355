from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import noise, write_dicom_series
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from voxcam import io
from voxcam.core.windows import Window
from voxcam.errors import Cancelled, GridError, ReadError

SAMPLES = Path(__file__).resolve().parents[3] / "sample_scans"


def read(place):
    return io.read(io.scan(place).choose())


def test_a_ct_is_in_hu_as_whole_numbers(tmp_path):
    voxels = noise()
    write_dicom_series(tmp_path, voxels)
    volume = read(tmp_path)
    assert volume.unit == "HU"
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, voxels - 1024)


def test_every_slice_has_its_own_rescale(tmp_path):
    voxels = noise()
    slopes = [0.5, 2.25, 3.125, 1.0]
    each = lambda k: {"RescaleSlope": str(slopes[k]), "RescaleIntercept": str(-k)}  # noqa: E731
    write_dicom_series(tmp_path, voxels, each=each, Modality="PT", Units="BQML")
    volume = read(tmp_path)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, voxels * np.array(slopes) - np.arange(4), rtol=1e-6)
    assert volume.source["rescale"] == "per slice"
    assert volume.source["units"] == "BQML"


def test_values_agree_with_pydicom_on_a_real_slice():
    path = get_testdata_file("CT_small.dcm")
    dataset = dcmread(path)
    volume = read(path)
    theirs = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(volume.voxels[:, :, 0], theirs.T)


def test_values_beyond_int16_are_kept_as_float(tmp_path):
    voxels = np.full((3, 3, 2), 60000, np.uint16)
    voxels[0, 0, 0] = 5
    write_dicom_series(tmp_path, voxels, RescaleIntercept="0", Modality="MR")
    volume = read(tmp_path)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, voxels)


def test_sixteen_stored_bits_that_fit_are_kept_as_int16(tmp_path):
    write_dicom_series(tmp_path, noise().astype(np.uint16), RescaleIntercept="-1024")
    assert read(tmp_path).voxels.dtype == np.int16


def test_a_slope_of_zero_is_taken_as_one_and_said(tmp_path):
    voxels = noise()
    write_dicom_series(tmp_path, voxels, RescaleSlope="0")
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels - 1024)
    assert "rescale slope is 0: taken as 1" in volume.source["findings"]


def test_a_ct_without_rescale_is_not_called_hu(tmp_path):
    write_dicom_series(tmp_path, noise(), RescaleSlope=None, RescaleIntercept=None)
    volume = read(tmp_path)
    assert volume.unit == ""
    assert any("not known to be HU" in text for text in volume.source["findings"])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", ["INVERSE", None])
def test_monochrome1_leaves_the_values_and_is_noted(photometric, shape, tmp_path):
    voxels = noise((4, 3, 1))
    elements = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    write_dicom_series(tmp_path, voxels, RescaleIntercept="0", **elements)
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.inverted == (photometric == "MONOCHROME1")


def test_windows_come_from_the_middle_slice_with_their_names(tmp_path):
    each = lambda k: {"WindowCenter": [str(k), "40", "9"], "WindowWidth": ["100", "0", "0.5"]}  # noqa: E731
    names = ["SOFT", "NONE", "BONE"]
    write_dicom_series(tmp_path, noise((4, 4, 5)), each=each, WindowCenterWidthExplanation=names)
    # A width of 0 says nothing; a linear window narrower than 1 is not defined.
    assert read(tmp_path).windows == (
        Window(2, 100, "soft", "LINEAR"),
        Window(9, 0.5, "bone", "LINEAR_EXACT"),
    )


def test_a_windows_explanation_that_could_name_somebody_is_dropped(tmp_path):
    each = lambda k: {"WindowCenter": ["40", "50"], "WindowWidth": ["400", "300"]}  # noqa: E731
    names = ["soft tissue", "for Mrs Canary"]
    write_dicom_series(tmp_path, noise(), each=each, WindowCenterWidthExplanation=names)
    assert [window.name for window in read(tmp_path).windows] == ["soft tissue", ""]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_function_of_a_window_is_kept(function, tmp_path):
    write_dicom_series(tmp_path, noise(), WindowCenter="40", WindowWidth="400", VOILUTFunction=function)
    assert read(tmp_path).windows == (Window(40, 400, "", function),)


def test_a_window_of_zero_width_leaves_the_preset(tmp_path):
    write_dicom_series(tmp_path, noise(), WindowCenter="0", WindowWidth="0")
    volume = read(tmp_path)
    assert volume.windows == ()
    assert volume.window.name == "abdomen"


@pytest.mark.parametrize("coding", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_slices_are_decoded_exactly(coding, tmp_path):
    voxels = noise((33, 32, 3))
    write_dicom_series(tmp_path, voxels, compress=coding)
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels - 1024)
    assert volume.source["transfer_syntax"] == coding.name


@pytest.mark.parametrize("coding", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("part", [0.4, 0.97])
def test_a_compressed_slice_cut_short_is_an_error_that_names_it(coding, part, tmp_path):
    path = write_dicom_series(tmp_path, noise((33, 32, 3)), compress=coding)[1]
    dataset = dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: int(len(frame) * part) // 2 * 2]])
    dataset.save_as(path)
    with pytest.raises(ReadError, match=r"^slice 2 of 3 \(instance 2\)"):
        read(tmp_path)


def test_a_file_cut_short_makes_its_whole_series_unreadable(tmp_path):
    path = write_dicom_series(tmp_path, noise())[3]
    path.write_bytes(path.read_bytes()[:-10])
    study = io.scan(tmp_path)
    assert (study.found, study.loaded, study.refused) == (4, 3, 1)
    assert not study.series[0].readable
    with pytest.raises(ReadError, match="1 file of this series is damaged or cut short"):
        io.read(study.series[0])


@pytest.mark.parametrize("harm", ["cut", "gone", "other", "resized"])
def test_a_file_that_changed_since_the_scan_is_an_error(harm, tmp_path):
    # UIDs of one length: another image is then a file of the same size.
    uids = {f"{one}InstanceUID": f"1.2.{n}" for n, one in enumerate(("Study", "Series"))}
    uids["FrameOfReferenceUID"] = "1.2.9"

    def written(folder, voxels, root):
        each = {"each": lambda k: {"SOPInstanceUID": f"{root}.{k}"}}
        return write_dicom_series(tmp_path / folder, voxels, **uids, **each)

    path = written("a", noise(), "1.2.3")[2]
    series = io.scan(tmp_path / "a").series[0]
    other = written("b", noise((3, 3, 1)) if harm == "resized" else noise((7, 5, 1)), "1.2.4")[0]
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes(other.read_bytes())
    said = {
        "cut": "is damaged or cut short since the scan: copy it again",
        "resized": "is damaged or cut short since the scan: copy it again",
        "gone": "cannot be opened any more; scan the place again",
    }.get(harm, "has changed since the scan; scan the place again")
    with pytest.raises(ReadError, match=rf"^slice 3 of 4 \(instance 3\) {said}$") as caught:
        io.read(series)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("kept", [20_000, 0.75, 1500])
def test_a_compressed_slice_cut_short_is_said_to_be_damaged_not_changed(kept, tmp_path):
    shutil.copytree(SAMPLES / "ct_abdomen_dicom", tmp_path / "a")
    before = io.scan(tmp_path / "a").choose()
    path, number = before.files[13], before.headers[13].instance_number
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(ReadError) as caught:
        io.read(before)
    assert str(caught.value).startswith(f"slice 14 of 20 (instance {number}) is damaged or cut short")
    assert str(caught.value).endswith(": copy it again")
    with pytest.raises(ReadError, match="damaged or cut short") as caught:
        io.read(io.scan(tmp_path / "a").choose())
    assert "changed" not in str(caught.value)


def test_a_modality_may_be_stated_but_not_against_the_file(tmp_path):
    write_dicom_series(tmp_path / "a", noise())
    series = io.scan(tmp_path / "a").choose()
    assert io.read(series, modality="CT").unit == "HU"
    with pytest.raises(ReadError, match="the file says CT"):
        io.read(series, modality="MR")


def test_a_coding_without_a_decoder_is_named(tmp_path):
    path = write_dicom_series(tmp_path, noise((32, 32, 1)), compress=JPEG2000Lossless)[0]
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.94", 1))
    with pytest.raises(ReadError, match="no decoder for JPIP Referenced: export the series uncompressed"):
        read(path)


def test_a_broken_code_stream_is_said_to_be_damaged():
    with pytest.raises(ReadError, match=r"cannot be decoded: .*; copy it again$"):
        read(get_testdata_file("JPEG2000-embedded-sequence-delimiter.dcm"))


def test_a_private_coding_is_an_error_without_its_uid(tmp_path):
    path = write_dicom_series(tmp_path, noise())[0]
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0", 1))
    with pytest.raises(ReadError, match="no decoder for a private transfer syntax"):
        read(path)


def test_slices_given_twice_with_equal_pixels_are_kept_once(tmp_path):
    voxels = noise()
    paths = write_dicom_series(tmp_path, voxels)
    (tmp_path / "again").write_bytes(paths[1].read_bytes())
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.voxels, voxels - 1024)
    assert volume.source["files"] == 5
    assert any("more than once" in text for text in volume.source["findings"])


def test_a_slice_given_twice_with_other_pixels_is_an_error(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    write_dicom_series(tmp_path / "a", noise(), **uids)
    write_dicom_series(tmp_path / "b", noise(seed=1)[:, :, :1], **uids)
    study = io.scan(tmp_path)
    assert [s.shape for s in study.series] == [(7, 5, 4)]
    with pytest.raises(GridError, match="found 2 that differ at slice 1 of 4"):
        io.read(study.series[0])


def test_two_images_a_position_that_nothing_tells_apart_are_not_mixed(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    write_dicom_series(tmp_path / "a", noise(), **uids, each=lambda k: {"InstanceNumber": None})
    write_dicom_series(tmp_path / "b", noise(seed=1), **uids, each=lambda k: {"InstanceNumber": None})
    with pytest.raises(GridError, match="found 2 that differ .* nothing that tells them apart"):
        read(tmp_path)


def test_reading_reports_every_slice_and_can_be_cancelled(tmp_path):
    write_dicom_series(tmp_path, noise((3, 3, 6)))
    series = io.scan(tmp_path).choose()
    seen = []
    io.read(series, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        io.read(series, stop)
    with pytest.raises(Cancelled):
        io.scan(tmp_path, stop)


def test_read_takes_nothing_but_a_series(tmp_path):
    with pytest.raises(TypeError, match="expected a Series"):
        io.read(tmp_path)
