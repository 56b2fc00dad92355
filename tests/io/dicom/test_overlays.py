from __future__ import annotations

import numpy as np
import pytest
from builders import affine_of, noise, write, write_dicom_series, write_enhanced
from pydicom import dcmread
from pydicom.data import get_testdata_file

from voxcam import io
from voxcam.errors import ReadError

AFFINE = affine_of((30, -20, 45))


def with_plane(dataset, plane, group=0x6000, origin=(1, 1), frames=None, first=1):
    """Add an overlay plane of booleans (rows, columns), or (frames, rows, columns), to a data set."""
    rows, columns = plane.shape[-2:]
    dataset.add_new((group, 0x0010), "US", rows)
    dataset.add_new((group, 0x0011), "US", columns)
    if frames:
        dataset.add_new((group, 0x0015), "IS", frames)
        dataset.add_new((group, 0x0051), "US", first)
    dataset.add_new((group, 0x0040), "CS", "G")
    dataset.add_new((group, 0x0050), "SS", list(origin))
    dataset.add_new((group, 0x0100), "US", 1)
    dataset.add_new((group, 0x0102), "US", 0)
    packed = np.packbits(plane.reshape(-1), bitorder="little").tobytes()
    dataset.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))


def write_overlays(folder, planes, **where):
    """Write a series whose slice k bears the overlay ``planes[k]``, if it has one."""
    voxels = noise((7, 5, 4))
    for k, path in enumerate(write_dicom_series(folder, voxels, AFFINE)):
        dataset = dcmread(path)
        for group, plane in planes.get(k, {}).items():
            with_plane(dataset, plane, group, **where)
        dataset.save_as(path)
    return io.scan(folder).choose()


def drawn(seed, shape=(5, 7)):
    return np.random.default_rng(seed).random(shape) > 0.5


@pytest.mark.parametrize("name", ["MR-SIEMENS-DICOM-WithOverlays.dcm", "examples_overlay.dcm"])
def test_overlays_of_real_files_are_what_pydicom_reads(name):
    path = get_testdata_file(name)
    dataset = dcmread(path)
    groups = [group for group in range(0x6000, 0x6020, 2) if (group, 0x3000) in dataset]
    volume = io.read_overlays(io.scan(path).choose())
    expected = np.zeros((dataset.Rows, dataset.Columns), int)
    for group in groups:
        plane = dataset.overlay_array(group)
        row, column = (n - 1 for n in dataset[group, 0x0050].value)
        assert (row, column) == (0, 0)
        part = plane[: dataset.Rows, : dataset.Columns]
        expected[: part.shape[0], : part.shape[1]][part > 0] = (group - 0x6000) // 2 + 1
    assert expected.any()
    np.testing.assert_array_equal(volume.voxels[:, :, 0], expected.T)
    assert volume.unit == "label"


def test_planes_lie_on_their_slice_and_grid(tmp_path):
    series = write_overlays(tmp_path, {1: {0x6000: drawn(1), 0x6004: drawn(2)}, 3: {0x6000: drawn(3)}})
    volume = io.read_overlays(series)
    expected = np.zeros((7, 5, 4), int)
    expected[:, :, 1] = np.where(drawn(2), 3, drawn(1)).T
    expected[:, :, 3] = drawn(3).T
    np.testing.assert_array_equal(volume.voxels, expected)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)


def test_a_plane_that_is_not_the_first_group_is_found(tmp_path):
    volume = io.read_overlays(write_overlays(tmp_path, {2: {0x6002: drawn(1)}}))
    np.testing.assert_array_equal(volume.voxels[:, :, 2], 2 * drawn(1).T)


@pytest.mark.parametrize("origin", [(1, 1), (3, 2), (-1, 0), (0, -2), (9, 9)])
@pytest.mark.parametrize("shape", [(3, 4), (9, 9), (2, 12)])
def test_a_plane_begins_at_its_origin_and_is_cut_at_the_image(origin, shape, tmp_path):
    plane = drawn(4, shape)
    volume = io.read_overlays(write_overlays(tmp_path, {0: {0x6000: plane}}, origin=origin))
    expected = np.zeros((5, 7), int)
    for r, c in np.argwhere(plane):
        row, column = r + origin[0] - 1, c + origin[1] - 1
        if 0 <= row < 5 and 0 <= column < 7:
            expected[row, column] = 1
    np.testing.assert_array_equal(volume.voxels[:, :, 0], expected.T)


def test_frames_of_a_plane_lie_on_the_frames_they_were_drawn_on(tmp_path):
    pixels = noise((7, 5, 4))
    path = write_enhanced(tmp_path / "a", range(4), pixels, AFFINE)
    dataset = dcmread(path)
    with_plane(dataset, drawn(5, (2, 5, 7)), frames=2, first=2)
    write(dataset, path)
    volume = io.read_overlays(io.scan(path).choose())
    planes = drawn(5, (2, 5, 7))
    expected = np.zeros((7, 5, 4), int)
    expected[:, :, 1], expected[:, :, 2] = planes[0].T, planes[1].T
    np.testing.assert_array_equal(volume.voxels, expected)


def test_a_series_without_overlays_has_none(tmp_path):
    assert io.read_overlays(write_overlays(tmp_path, {})) is None


@pytest.mark.parametrize("harm", ["cut", "no origin", "no size"])
def test_a_damaged_plane_is_refused_in_one_line(harm, tmp_path):
    series = write_overlays(tmp_path, {1: {0x6000: drawn(1)}})
    path = series.files[1]
    dataset = dcmread(path)
    if harm == "cut":
        dataset[0x6000, 0x3000].value = b"\0\0"
    elif harm == "no origin":
        del dataset[0x6000, 0x0050]
    else:
        del dataset[0x6000, 0x0011]
    dataset.save_as(path)
    with pytest.raises(ReadError, match="overlay") as caught:
        io.read_overlays(io.scan(tmp_path).choose())
    assert "\n" not in str(caught.value)
