from __future__ import annotations

import json

import numpy as np
import pytest
from builders import affine_of, decimals, noise, write, write_dicom_series
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from voxcam import io
from voxcam.errors import ReadError

AFFINE = affine_of((30, -20, 45), (0.8, 0.9, 2.5), (10, 20, -30))
SHAPE = (40, 36, 6)
SERIES, FRAME = "1.2.3.4", "1.2.3.5"


def circle(centre_mm, radius_mm, k, points=720):
    """A circle in the plane of slice k, about a place in mm along i and j; (points, 3) index."""
    turns = np.linspace(0, 2 * np.pi, points, endpoint=False)
    i = (centre_mm[0] + radius_mm * np.cos(turns)) / 0.8
    j = (centre_mm[1] + radius_mm * np.sin(turns)) / 0.9
    return np.stack([i, j, np.full(points, float(k))], axis=1)


def disc(centre_mm, radius_mm):
    """Voxels (i, j) within a circle, in closed form; and those too near its line to tell."""
    i, j = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
    away = np.hypot(0.8 * i - centre_mm[0], 0.9 * j - centre_mm[1])
    return away < radius_mm, np.abs(away - radius_mm) < 1e-2


def write_structures(path, structures, *, numbers=None, reference=True, **elements):
    """Write contours by structure, each (points, 3) in voxel index, as a structure set."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", generate_uid()
    dataset.Modality, dataset.PatientName, dataset.PatientID = "RTSTRUCT", "Nobody^At^All", "0"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", generate_uid()
    images, study, frame = Dataset(), Dataset(), Dataset()
    images.SeriesInstanceUID = SERIES
    study.RTReferencedSeriesSequence = [images]
    frame.RTReferencedStudySequence, frame.FrameOfReferenceUID = [study], FRAME
    if reference:
        dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for place, contours in enumerate(structures):
        number = numbers[place] if numbers else place + 1
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, "for Mrs Canary"
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = Dataset()
            ras = points @ AFFINE[:3, :3].T + AFFINE[:3, 3]
            contour.ContourGeometricType = elements.get("kind", "CLOSED_PLANAR")
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = decimals((ras * (-1, -1, 1)).reshape(-1))
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    path.parent.mkdir(exist_ok=True)
    write(dataset, path)
    return path


@pytest.fixture
def place(tmp_path):
    write_dicom_series(
        tmp_path / "ct", noise(SHAPE), AFFINE, SeriesInstanceUID=SERIES, FrameOfReferenceUID=FRAME
    )
    return tmp_path


def the_structures(place):
    (series,) = [series for series in io.scan(place).series if series.kind == "structures"]
    return series


def test_circles_are_the_voxels_whose_centre_lies_within(place):
    structures = [
        [circle((12, 10), 7.3, 1), circle((13, 11), 5.1, 2)],
        [circle((22, 22), 6.7, 4)],
    ]
    write_structures(place / "s", structures)
    series = the_structures(place)
    volume = io.read(series)
    assert series.shape == volume.shape == SHAPE
    assert volume.unit == "label"
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    expected = np.zeros(SHAPE, np.uint8)
    unsure = np.zeros(SHAPE, bool)
    for number, centre, radius, k in [(1, (12, 10), 7.3, 1), (1, (13, 11), 5.1, 2), (2, (22, 22), 6.7, 4)]:
        inside, near = disc(centre, radius)
        expected[:, :, k][inside] = number
        unsure[:, :, k] |= near
    assert unsure.sum() < 20
    np.testing.assert_array_equal(np.asarray(volume.voxels)[~unsure], expected[~unsure])
    assert not any("contour" in text for text in volume.source["findings"])


def test_a_contour_in_another_is_a_hole(place):
    write_structures(place / "s", [[circle((15, 15), 10.2, 3), circle((16, 14), 4.4, 3)]])
    outer, near_outer = disc((15, 15), 10.2)
    inner, near_inner = disc((16, 14), 4.4)
    found = np.asarray(io.read(the_structures(place)).voxels)
    sure = ~(near_outer | near_inner)
    np.testing.assert_array_equal(found[:, :, 3][sure], (outer & ~inner)[sure])
    assert found[:, :, [0, 1, 2, 4, 5]].max() == 0
    area = found[:, :, 3].sum() * 0.8 * 0.9
    assert area == pytest.approx(np.pi * (10.2**2 - 4.4**2), rel=0.03)


def test_where_structures_overlap_the_later_one_shows(place):
    write_structures(place / "s", [[circle((15, 15), 9, 3)], [circle((19, 15), 9, 3)]])
    first, _ = disc((15, 15), 9)
    second, near = disc((19, 15), 9)
    found = np.asarray(io.read(the_structures(place)).voxels)[:, :, 3]
    assert (found[second & ~near] == 2).all()
    assert (found[first & ~second & ~near & ~disc((15, 15), 9)[1]] == 1).all()


@pytest.mark.parametrize("k", [-0.8, 6.2, 40])
def test_contours_that_lie_on_no_slice_are_counted(k, place):
    write_structures(place / "s", [[circle((15, 15), 9, 3), circle((15, 15), 9, k), circle((9, 9), 3, k)]])
    volume = io.read(the_structures(place))
    assert "2 contours lie on no slice of the images: left out" in volume.source["findings"]
    assert (np.asarray(volume.voxels).max(axis=(0, 1)) > 0).tolist() == [k == 3 for k in range(6)]


def test_a_contour_across_slices_is_counted_not_drawn(place):
    points = circle((15, 15), 9, 3)
    points[:, 2] += np.linspace(-2, 2, len(points))
    write_structures(place / "s", [[points]])
    volume = io.read(the_structures(place))
    assert np.asarray(volume.voxels).max() == 0
    assert any("1 contours lie on no slice" in text for text in volume.source["findings"])


def test_a_contour_that_leaves_the_images_is_cut_at_their_edge(place):
    write_structures(place / "s", [[circle((0, 0), 8, 2)]])
    inside, near = disc((0, 0), 8)
    found = np.asarray(io.read(the_structures(place)).voxels)[:, :, 2]
    np.testing.assert_array_equal(found[~near], inside[~near])


@pytest.mark.parametrize("numbers", [[0, 5], [70_000, 3], [-1, 300], [7, 250]])
def test_whatever_structures_are_numbered_none_becomes_background(numbers, place):
    write_structures(place / "s", [[circle((12, 10), 7, 1)], [circle((12, 10), 7, 3)]], numbers=numbers)
    volume = io.read(the_structures(place))
    found = np.asarray(volume.voxels)
    inside, near = disc((12, 10), 7)
    labels = [found[:, :, k][inside & ~near] for k in (1, 3)]
    assert all(len(set(part)) == 1 for part in labels)
    assert labels[0][0] > 0
    assert labels[1][0] > 0
    assert labels[0][0] != labels[1][0]
    assert (found[:, :, 1][~inside & ~near] == 0).all()


def test_points_and_open_lines_enclose_nothing(place):
    write_structures(place / "s", [[circle((15, 15), 9, 3)]], kind="OPEN_PLANAR")
    assert np.asarray(io.read(the_structures(place)).voxels).max() == 0


def test_images_are_found_by_their_frame_of_reference_where_the_series_is_another(place):
    path = write_structures(place / "s", [[circle((15, 15), 9, 3)]])
    dataset = dcmread(path)
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].SeriesInstanceUID = "1.9.9"
    dataset.save_as(path)
    assert np.asarray(io.read(the_structures(place)).voxels).max() == 1


def test_without_their_images_structures_are_refused_in_one_line(tmp_path):
    write_structures(tmp_path / "s", [[circle((15, 15), 9, 3)]])
    series = the_structures(tmp_path)
    assert not series.readable
    with pytest.raises(ReadError, match="put both in one folder"):
        io.read(series)


@pytest.mark.parametrize("harm", ["nan", "two numbers", "words", "huge", "empty"])
def test_a_damaged_contour_is_refused_in_one_line_or_left_out(harm, place):
    path = write_structures(place / "s", [[circle((15, 15), 9, 3, points=12)]])
    dataset = dcmread(path)
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    values = [str(v) for v in contour.ContourData]
    harmed = {
        "nan": ["nan", *values[1:]],
        "two numbers": values[:-1],
        "words": ["for Mrs Canary", *values[1:]],
        "huge": ["1e300", *values[1:]],
        "empty": [],
    }[harm]
    contour._dict.pop(0x30060050, None)
    contour.add_new(0x30060050, "LO", "\\".join(harmed))
    write(dataset, path)
    raw = path.read_bytes().replace(b"\x06\x30\x50\x00LO", b"\x06\x30\x50\x00DS")
    path.write_bytes(raw)
    said = outcome(the_structures(place))
    assert "\n" not in said
    assert "Canary" not in said
    assert said == "" or "structure set" in said or "damaged" in said


def outcome(series):
    """What an expected error says; else nothing, and nothing was drawn."""
    try:
        volume = io.read(series)
    except ReadError as error:
        return str(error)
    assert np.asarray(volume.voxels).max() == 0
    return ""


def test_no_name_of_a_structure_shows_up(place):
    write_structures(place / "s", [[circle((15, 15), 9, 3)]])
    series = the_structures(place)
    volume = io.read(series)
    assert "Canary" not in json.dumps([dict(volume.source), repr(series)], default=str)
