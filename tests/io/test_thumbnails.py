from __future__ import annotations

import numpy as np
import pydicom
from builders import affine_of, write_dicom_series
from pydicom.data import get_testdata_file

from voxcam import io


def test_it_is_the_middle_image_in_its_window_square_in_mm(tmp_path):
    voxels = np.zeros((40, 20, 5), np.int16)
    voxels[:20, :, 2] = 2000  # the left half of the middle slice alone
    affine = affine_of(spacing=(1.0, 2.0, 3.0))
    paths = write_dicom_series(
        tmp_path, voxels, affine, RescaleIntercept="0", WindowCenter="1000", WindowWidth="1000"
    )
    for k in (0, 1, 3, 4):
        data = paths[k].read_bytes()
        paths[k].write_bytes(data[:-1600] + bytes(1600))  # never looked at
    small = io.thumbnail(io.scan(tmp_path).choose(), size=32)
    assert small.shape == (32, 32)  # 40 x 1 mm wide, 20 x 2 mm high
    assert small[:, :14].min() == 255
    assert small[:, 18:].max() == 0


def test_low_values_of_monochrome1_are_bright(tmp_path):
    voxels = np.zeros((8, 8, 1), np.int16)
    voxels[:4] = 100
    elements = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": "50", "WindowWidth": "100"}
    write_dicom_series(tmp_path, voxels, RescaleIntercept="0", **elements)
    small = io.thumbnail(io.scan(tmp_path).choose(), size=8)
    assert (small[:, 0] < small[:, -1]).all()


def test_a_cine_in_colour_shows_its_middle_frame():
    path = get_testdata_file("SC_rgb_2frame.dcm")
    small = io.thumbnail(io.scan(path).choose(), size=100)
    np.testing.assert_array_equal(small, pydicom.dcmread(path).pixel_array[1])
