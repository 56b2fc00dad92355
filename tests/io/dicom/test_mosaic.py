from __future__ import annotations

import gzip
import shutil
import subprocess
import warnings
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from voxcam import io

DATA = Path(nib.__file__).parent / "nicom/tests/data"
NAMES = ["siemens_dwi_0", "siemens_dwi_1000"]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def unpacked(name, folder):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.dcm"
    path.write_bytes(gzip.decompress((DATA / f"{name}.dcm.gz").read_bytes()))
    return path


def read(place):
    return io.read(io.scan(place).choose())


def nibabel_of(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_file

        wrapper = wrapper_from_file(path)
        swap = np.eye(4)[[1, 0, 2, 3]]  # it counts rows first
        return np.swapaxes(wrapper.get_data(), 0, 1), LPS @ wrapper.affine @ swap


def dcm2niix_of(path, folder):
    alone = folder / "in"
    alone.mkdir(parents=True)
    shutil.copy(path, alone)
    command = [Path(dcm2niix.bin), "-b", "n", "-z", "n", "-m", "y", "-f", "theirs", "-o", folder, alone]
    subprocess.run(command, check=True, capture_output=True)
    image = nib.load(folder / "theirs.nii")
    turn = np.diag([1.0, -1.0, 1.0, 1.0])
    turn[1, 3] = image.shape[1] - 1
    return np.asarray(image.dataobj)[:, ::-1], image.affine @ turn


def apart_mm(volume, affine):
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape])).reshape(3, -1).T
    return np.abs(volume.geometry.to_world(corners) - (corners @ affine[:3, :3].T + affine[:3, 3])).max()


@pytest.mark.parametrize("name", NAMES)
def test_the_tiles_of_a_siemens_mosaic_lie_where_nibabel_and_dcm2niix_say(name, tmp_path):
    path = unpacked(name, tmp_path)
    ours = read(path)
    for voxels, affine in (nibabel_of(path), dcm2niix_of(path, tmp_path / "theirs")):
        np.testing.assert_array_equal(ours.voxels, voxels)
        assert apart_mm(ours, affine) < 1e-3


def test_tiles_numbered_in_the_pixels_land_in_their_slice(tmp_path):
    path = unpacked(NAMES[0], tmp_path)
    dataset = dcmread(path)
    rows, columns, across, count = 128, 128, dataset.Columns // 128, 48
    pixels = np.zeros((dataset.Rows, dataset.Columns), "<u2")
    for k in range(count):
        row, column = k // across * rows, k % across * columns
        pixels[row : row + rows, column : column + columns] = 100 + k
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)
    ours = np.asarray(read(path).voxels)
    np.testing.assert_array_equal(ours, np.broadcast_to(100 + np.arange(count), (columns, rows, count)))


def test_two_mosaics_of_one_series_are_moments_by_their_b_value(tmp_path):
    paths = [unpacked(name, tmp_path) for name in NAMES]
    uids = {dcmread(path).SeriesInstanceUID for path in paths}
    (series,) = io.scan(tmp_path).series
    volume = io.read(series)
    assert len(uids) == 1
    assert series.shape == (128, 128, 48, 2)
    assert volume.fourth.name == "b-value"
    assert volume.fourth.values[0] == 0
    assert str(volume.fourth.values[1]).startswith("1000 (")
    for t, path in enumerate(paths):
        np.testing.assert_array_equal(np.asarray(volume.voxels)[..., t], nibabel_of(path)[0])


@pytest.mark.parametrize("harm", ["no private header", "private header of rubbish"])
def test_a_mosaic_without_the_header_that_places_it_is_refused(harm, tmp_path):
    path = unpacked(NAMES[0], tmp_path)
    dataset = dcmread(path)
    if harm == "no private header":
        dataset.remove_private_tags()
    else:
        for element in dataset:
            if element.tag.is_private and isinstance(element.value, bytes):
                element.value = bytes(len(element.value))
    dataset.save_as(path)
    study = io.scan(path)
    assert study.refused == 1
    assert "mosaic" in study.findings[0].text
