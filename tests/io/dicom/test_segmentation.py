from __future__ import annotations

import warnings

import highdicom as hd
import numpy as np
import pytest
from builders import OF_A_STUDY, affine_of, decimals, noise, write_dicom_series
from highdicom.seg import SegmentationTypeValues as Types
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.sr.codedict import codes
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless, generate_uid

from voxcam import io
from voxcam.errors import ReadError

AFFINE = affine_of((30, -20, 45), (0.8, 0.9, 2.5), (10, 20, -30))
SHAPE = (13, 11, 9)
NORMAL = AFFINE[:3, 2] / 2.5 * (-1, -1, 1)  # LPS
PARTS = [codes.SCT.Liver, codes.SCT.Kidney, codes.SCT.Spleen]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The images that are segmented, in the order of k."""
    folder = tmp_path_factory.mktemp("ct")
    return [dcmread(path) for path in write_dicom_series(folder, noise(SHAPE), AFFINE, **OF_A_STUDY)]


def write_seg(path, source, pixels, kind=Types.BINARY, syntax=ExplicitVRLittleEndian, **more):
    """Write segments (k, j, i[, segment]) by highdicom, and return the series a scan finds."""
    count = pixels.shape[3] if pixels.ndim == 4 else int(pixels.max()) if kind is not Types.FRACTIONAL else 1
    described = [
        hd.seg.SegmentDescription(
            segment_number=n + 1,
            segment_label=f"for Mrs Canary {n}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=PARTS[n],
            algorithm_type="MANUAL",
        )
        for n in range(count)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.seg.Segmentation(
            source_images=source,
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=described,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="None",
            manufacturer_model_name="None",
            software_versions="0",
            device_serial_number="0",
            transfer_syntax_uid=syntax,
            **more,
        )
    made.save_as(path)
    return the_series(path)


def the_series(path):
    study = io.scan(path)
    (series,) = study.series
    assert study.found == study.loaded
    assert series.kind == "segmentation"
    return series


def blobs(*slices):
    """Two segments that do not touch, on the slices named; (k, j, i) of 0, 1, 2."""
    labels = np.zeros(SHAPE[::-1], np.uint8)
    for k in slices:
        labels[k, 2:5, 1 : 3 + k] = 1
        labels[k, 7:9, 2:12] = 2
    return labels


def check_on_grid(volume, labels):
    """Every label lies at the world place it was drawn at, and nothing else is there."""
    drawn = np.argwhere(labels.transpose(2, 1, 0))
    found = np.argwhere(np.asarray(volume.voxels))
    assert len(found) == len(drawn)
    if not len(drawn):
        return
    where = drawn @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    back = volume.geometry.to_index(where)
    np.testing.assert_allclose(back, np.round(back), atol=1e-4)
    i, j, k = np.round(back).astype(int).T
    np.testing.assert_array_equal(
        np.asarray(volume.voxels)[i, j, k], labels.transpose(2, 1, 0)[tuple(drawn.T)]
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("kept", [True, False])
def test_binary_segments_lie_on_their_images(source, syntax, kept, tmp_path):
    labels = blobs(*range(SHAPE[2]))
    path = tmp_path / "a"
    write_seg(path, source, labels, omit_empty_frames=kept)
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, enforce_file_format=True)
    series = the_series(path)
    volume = io.read(series)
    assert series.shape == SHAPE
    assert volume.unit == "label"
    np.testing.assert_array_equal(volume.voxels, labels.transpose(2, 1, 0))
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    assert volume.source["labels"] == {"1": "Liver", "2": "Kidney"}
    assert "Canary" not in str(volume.source)


@pytest.mark.parametrize("slices", [(2, 3, 4), (0, 1, 2, 5, 6, 8), (1, 4, 7), (2, 5), (4,), (0, 1, 4)])
def test_frames_that_were_left_out_are_empty_and_all_others_keep_their_place(source, slices, tmp_path):
    labels = blobs(*slices)
    series = write_seg(tmp_path / "a", source, labels)
    volume = io.read(series)
    check_on_grid(volume, labels)
    assert series.shape == volume.shape
    assert volume.geometry.spacing_mm == pytest.approx((0.8, 0.9, 2.5), abs=1e-4)
    assert not any(finding.stops for finding in series.findings)


def test_segments_on_slices_of_their_own_are_one_series(source, tmp_path):
    labels = blobs(*range(SHAPE[2]))
    labels[(labels == 1) & (np.arange(SHAPE[2])[:, None, None] > 4)] = 0
    labels[(labels == 2) & (np.arange(SHAPE[2])[:, None, None] < 3)] = 0
    volume = io.read(write_seg(tmp_path / "a", source, labels))
    check_on_grid(volume, labels)
    assert set(np.unique(volume.voxels)) == {0, 1, 2}


def test_where_segments_overlap_the_later_one_shows_and_it_is_said(source, tmp_path):
    parts = np.zeros((*SHAPE[::-1], 2), np.uint8)
    parts[2:6, 2:8, 2:8, 0] = 1
    parts[4:8, 4:10, 4:10, 1] = 1
    volume = io.read(write_seg(tmp_path / "a", source, parts))
    expected = np.where(parts[..., 1] == 1, 2, parts[..., 0])
    check_on_grid(volume, expected)
    overlap = int((parts.sum(axis=-1) == 2).sum())
    assert f"segments overlap in {overlap} voxels: the later one is shown there" in volume.source["findings"]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_fractional_segment_is_what_is_at_least_half(source, syntax, tmp_path):
    fraction = np.zeros(SHAPE[::-1], np.float32)
    fraction[1:8, 2:9, 1:12] = np.linspace(0, 1, 11)
    volume = io.read(
        write_seg(tmp_path / "a", source, fraction, Types.FRACTIONAL, syntax, max_fractional_value=200)
    )
    expected = (np.rint(fraction * 200) >= 100).astype(np.uint8)
    check_on_grid(volume, expected)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_label_map_is_its_own_labels(source, syntax, tmp_path):
    labels = blobs(1, 2, 3, 6)
    volume = io.read(write_seg(tmp_path / "a", source, labels, Types.LABELMAP, syntax))
    check_on_grid(volume, labels)


def test_a_label_map_in_colour_is_its_own_labels(source, tmp_path):
    labels = blobs(*range(SHAPE[2]))
    palette = hd.PaletteColorLUTTransformation.from_colors(["black", "red", "blue"])
    volume = io.read(
        write_seg(tmp_path / "a", source, labels, Types.LABELMAP, palette_color_lut_transformation=palette)
    )
    np.testing.assert_array_equal(volume.voxels, labels.transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["liver.dcm", "liver_expb.dcm"])
def test_a_real_segmentation_is_what_highdicom_reads(name):
    path = get_testdata_file(name)
    volume = io.read(the_series(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dcmread(path).pixel_array  # (frames, rows, columns), of one segment
        try:
            affine = hd.seg.segread(get_testdata_file("liver.dcm")).get_volume().affine
        except Exception:
            affine = None
    found = np.asarray(volume.voxels).transpose(2, 1, 0) > 0
    assert found.sum() == theirs.sum()
    assert sorted(s.sum() for s in found) == sorted(s.sum() for s in theirs)
    if affine is not None:  # theirs counts slices, rows, columns, in LPS
        ours = volume.geometry.to_world(np.argwhere(np.asarray(volume.voxels)).mean(axis=0))
        theirs_volume = hd.seg.segread(get_testdata_file("liver.dcm")).get_volume(combine_segments=True)
        centre = np.argwhere(theirs_volume.array).mean(axis=0)
        place = (affine[:3, :3] @ centre + affine[:3, 3]) * (-1, -1, 1)
        np.testing.assert_allclose(ours, place, atol=1e-3)


@pytest.mark.parametrize("harm", ["uneven", "nowhere"])
def test_segments_on_no_even_slices_are_refused_in_one_line(harm, source, tmp_path):
    path = tmp_path / "a"
    write_seg(path, source, blobs(*range(SHAPE[2])))
    dataset = dcmread(path)
    for n, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        if harm == "nowhere":
            del group.PlanePositionSequence
        else:
            plane = group.PlanePositionSequence[0]
            plane.ImagePositionPatient = decimals(
                np.array(plane.ImagePositionPatient) + 0.2 * n**1.5 * NORMAL
            )
    dataset.save_as(path)
    (series,) = io.scan(path).series
    assert not series.readable
    with pytest.raises(ReadError, match="expected segments on slices at even steps") as caught:
        io.read(series, gaps="mark")
    assert "\n" not in str(caught.value)


def test_frames_cut_off_are_refused(source, tmp_path):
    path = tmp_path / "a"
    write_seg(path, source, blobs(*range(SHAPE[2])))
    path.write_bytes(path.read_bytes()[:-100])
    study = io.scan(path)
    assert (study.refused, study.series) == (1, ())


def test_frames_are_counted_as_they_are_read(source, tmp_path):
    seen = []
    io.read(write_seg(tmp_path / "a", source, blobs(1, 2)), lambda done, total: seen.append((done, total)))
    assert seen == [(n, 4) for n in range(1, 5)]
