from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from grids import poses
from hypothesis import HealthCheck, given, settings

from tests.io.volume_files.reading import header, read, reason, series
from voxcam.errors import ReadError
from voxcam.io.volume_files import mgh

NOISE = np.random.default_rng(2).integers(-900, 900, (5, 4, 3)).astype(np.int16)
AFFINE = np.array([[-1.0, 0, 0, 10], [0, 0, 2, -20], [0, -1.5, 0, 30], [0, 0, 0, 1]])
SAMPLE = Path(nib.__file__).parent / "tests" / "data" / "test.mgz"


def saved(path, voxels=NOISE, affine=AFFINE, **fields):
    image = nib.MGHImage(voxels, affine)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def patched(path, at, piece):
    raw = bytearray(path.read_bytes())
    raw[at : at + len(piece)] = piece
    path.write_bytes(raw)
    return path


@given(poses(shear=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
def test_what_nibabel_writes_is_read_as_it_reads_it(tmp_path, name, affine):
    path = saved(tmp_path / name, NOISE, affine)
    volume = read(mgh, path)
    np.testing.assert_array_equal(volume.voxels, NOISE)
    # float32 in the file, of places up to half a metre away.
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-3)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-3)
    assert volume.voxels.dtype == np.int16


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.uint16])
def test_types_are_those_of_nibabel(dtype, tmp_path):
    voxels = np.arange(60).reshape(5, 4, 3).astype(dtype)
    np.testing.assert_array_equal(read(mgh, saved(tmp_path / "a.mgz", voxels)).voxels, voxels)


def test_freesurfers_own_file_agrees_with_nibabel():
    volume, image = read(mgh, SAMPLE), nib.load(SAMPLE)
    np.testing.assert_array_equal(volume.voxels, image.get_fdata().astype(np.float32))
    np.testing.assert_allclose(volume.affine, image.affine, atol=1e-5)


def test_frames_are_the_fourth_axis_and_tr_their_step(tmp_path):
    voxels = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    volume = read(mgh, saved(tmp_path / "a.mgz", voxels, tr=2200.0))
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert (volume.fourth.unit, volume.fourth.values) == ("s", (0.0, 2.2, 4.4, 6.6, 8.8))


def test_a_file_without_footer_is_read_and_one_with_tags_too(tmp_path):
    path = saved(tmp_path / "a.mgh")
    raw = path.read_bytes()
    path.write_bytes(raw[: 284 + 120])
    np.testing.assert_array_equal(read(mgh, path).voxels, NOISE)
    path.write_bytes(raw[: 284 + 120] + bytes(20) + b"\0\0\0\3" + (8).to_bytes(8, "big") + b"mri_info")
    np.testing.assert_array_equal(read(mgh, path).voxels, NOISE)


def test_without_orientation_left_and_right_are_not_known(tmp_path):
    found = header(mgh, patched(saved(tmp_path / "a.mgh"), 28, b"\0\0"))
    assert (found.frame, [finding.kind for finding in found.findings]) == (
        "unknown",
        ["no-orientation", "no-pixel-size"],
    )


@pytest.mark.parametrize(
    ("at", "piece", "words"),
    [
        (0, b"\0\0\0\2", "version"),
        (4, b"\0\0\0\0", "dimensions"),
        (4, b"\xff\xff\xff\xff", "dimensions"),
        (4, b"\x7f\xff\xff\xff" * 4, "cut short"),
        (20, b"\0\0\0\2", "type of voxels"),
        (28, b"\0\2", "orientation"),
        (30, np.array(0, ">f4").tobytes(), "spacing"),
        (30, np.array(np.nan, ">f4").tobytes(), "spacing"),
        (30, np.array(1001, ">f4").tobytes(), "1000 mm"),
        (42, bytes(36), "invertible"),
        (78, np.array(np.inf, ">f4").tobytes(), "invertible"),
    ],
)
def test_a_header_that_lies_is_refused(at, piece, words, tmp_path):
    assert words in reason(mgh, patched(saved(tmp_path / "a.mgh"), at, piece))


def test_voxels_where_the_footer_should_be_give_the_header_away(tmp_path):
    voxels = np.full((5, 4, 3), np.nan, np.float32)
    path = patched(saved(tmp_path / "a.mgh", voxels), 12, (2).to_bytes(4, "big"))
    with pytest.raises(ReadError, match="does not end as its header promises"):
        mgh.read(series(mgh, path))


def test_a_spoilt_mgz_is_an_error(tmp_path):
    path = saved(tmp_path / "a.mgz")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ReadError, match="end is missing"):
        read(mgh, path)
    path.write_bytes(gzip.compress(b"\0\0\0\1"))
    assert "cut short" in reason(mgh, path)
