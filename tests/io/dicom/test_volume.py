from __future__ import annotations

import numpy as np
import pytest
from builders import affine_of, noise, write_dicom_series

from voxcam import io
from voxcam.core.lazy import Stacked
from voxcam.errors import ReadError


def test_a_series_over_the_memory_limit_is_read_slice_by_slice_as_asked(tmp_path, monkeypatch):
    voxels = noise((12, 10, 8))
    paths = write_dicom_series(tmp_path, voxels, order=[3, 0, 7, 1, 6, 2, 5, 4])
    series = io.scan(tmp_path).choose()
    whole = io.read(series)
    monkeypatch.setenv("VOXCAM_MOST_BYTES", str(12 * 10 * 2 * 7))
    lazy = io.read(series)
    assert isinstance(lazy.voxels, Stacked)
    paths[2].unlink()  # never looked at below
    np.testing.assert_array_equal(lazy.voxels[:, :, 5], whole.voxels[:, :, 5])
    np.testing.assert_array_equal(
        lazy.reordered("RAS").voxels[2:4, 1, -1], whole.reordered("RAS").voxels[2:4, 1, -1]
    )
    with pytest.raises(ReadError, match=r"slice 3 of 8 .* cannot be opened any more"):
        np.asarray(lazy.voxels)


def test_moments_are_read_as_asked_too(tmp_path, monkeypatch):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "Modality": "MR"}
    for echo in (5.0, 10.0):
        write_dicom_series(tmp_path / str(echo), noise(seed=int(echo)), EchoTime=echo, **uids)
    series = io.scan(tmp_path).choose()
    whole = io.read(series)
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "150")
    lazy = io.read(series)
    assert lazy.voxels.shape == whole.voxels.shape == (7, 5, 4, 2)
    np.testing.assert_array_equal(np.asarray(lazy.moment(1).voxels), whole.voxels[..., 1])


def test_a_lazy_series_is_a_lazy_layer(tmp_path, monkeypatch):
    pytest.importorskip("napari", reason="the plugin needs napari")
    from voxcam.plugin.reader import read

    voxels = noise((12, 10, 8))
    write_dicom_series(tmp_path, voxels, affine_of())
    ((whole, _, _),) = read(str(tmp_path))
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "500")
    ((data, attributes, _),) = read(str(tmp_path))
    assert not isinstance(data, np.ndarray)
    assert data.shape == whole.shape
    np.testing.assert_array_equal(np.asarray(data[3]), whole[3])
    assert attributes["contrast_limits"][0] < attributes["contrast_limits"][1]


def test_one_frame_over_the_limit_is_refused_and_the_option_named(tmp_path, monkeypatch):
    path = write_dicom_series(tmp_path, noise((64, 64, 1)))[0]
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "4K")
    volume = io.read(io.scan(path).choose())
    with pytest.raises(
        ReadError, match=r"needs 0\.0156 MiB, the limit is 0\.00391 MiB .* VOXCAM_MOST_BYTES=64G"
    ):
        np.asarray(volume.voxels)
