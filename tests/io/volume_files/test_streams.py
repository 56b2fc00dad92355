from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest

from voxcam import io
from voxcam.errors import ReadError
from voxcam.io.volume_files import streams

VOXELS = np.random.default_rng(0).integers(-900, 900, (20, 21, 22)).astype(np.int16)


@pytest.fixture
def raw(tmp_path):
    nib.save(nib.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "raw.nii")
    data = (tmp_path / "raw.nii").read_bytes()
    (tmp_path / "raw.nii").unlink()
    return data


def verdict(path):
    """Return the voxels, or the line that says why not; nothing else may happen."""
    study = io.scan(path)
    if not study.series:
        return study.findings[0].text
    try:
        return io.read(study.series[0]).voxels
    except ReadError as error:
        return str(error)


def refused(path, *words):
    found = verdict(path)
    assert isinstance(found, str)
    assert "\n" not in found
    assert all(word in found for word in words), found


@pytest.mark.parametrize("members", [1, 2, 3, 16])
def test_members_of_a_gzip_file_are_read_as_one(members, raw, tmp_path):
    cuts = np.linspace(0, len(raw), members + 1).astype(int)
    parts = [gzip.compress(raw[a:b]) for a, b in itertools.pairwise(cuts)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(parts))
    np.testing.assert_array_equal(verdict(tmp_path / "a.nii.gz"), VOXELS)


def test_zeros_behind_a_gzip_file_are_padding(raw, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw) + bytes(1024))
    np.testing.assert_array_equal(verdict(tmp_path / "a.nii.gz"), VOXELS)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda packed: packed[:-8], "end is missing"),
        (lambda packed: packed[:-1], "end is missing"),
        (lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:], "checksum"),
        (lambda packed: packed[:-4] + b"\0\0\0\1", "checksum"),
        (lambda packed: packed + b"garbage", "something else follows"),
        (lambda packed: packed + gzip.compress(b"more voxels"), "more bytes than its header promises"),
        (lambda packed: packed + gzip.compress(b"") * 99, "very many pieces"),
        (lambda packed: packed + packed[:50], "damaged or cut short"),
    ],
    ids=["no trailer", "cut", "bad crc", "bad length", "garbage", "more", "empty members", "cut member"],
)
def test_a_spoilt_gzip_file_is_an_error_of_one_line(spoil, word, raw, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(spoil(gzip.compress(raw)))
    refused(tmp_path / "a.nii.gz", word)


def test_flips_and_cuts_never_give_other_voxels(raw, tmp_path):
    packed = gzip.compress(raw)
    path, rng = tmp_path / "a.nii.gz", np.random.default_rng(4)
    spoilt = [packed[: rng.integers(len(packed))] for _ in range(20)]
    for _ in range(200):
        one = bytearray(packed)
        one[rng.integers(len(packed))] ^= 1 << rng.integers(8)
        spoilt.append(bytes(one))
    read = 0
    for data in spoilt:
        path.write_bytes(data)
        found = verdict(path)
        if not isinstance(found, str):
            np.testing.assert_array_equal(found, VOXELS)
            read += 1
    # A flip in gzip's own header (time, system) changes nothing.
    assert read < 10


def test_gzip_in_gzip_is_refused(raw, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(gzip.compress(raw)))
    refused(tmp_path / "a.nii.gz", "gzip inside gzip")


@pytest.mark.parametrize(("name", "pack"), [("a.nii.gz", bytes), ("a.nii", gzip.compress)])
def test_a_file_is_read_as_its_bytes_are_whatever_its_name(name, pack, raw, tmp_path):
    (tmp_path / name).write_bytes(pack(raw))
    series = io.scan(tmp_path).choose()
    assert [finding.kind for finding in series.findings] == ["misnamed"]
    np.testing.assert_array_equal(io.read(series).voxels, VOXELS)


def test_a_bomb_is_not_inflated_beyond_what_its_header_promises(raw, tmp_path):
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = engine.compress(raw) + b"".join(engine.compress(bytes(1 << 22)) for _ in range(32))
    (tmp_path / "a.nii.gz").write_bytes(packed + engine.flush())
    series = io.scan(tmp_path).choose()
    tracemalloc.start()
    with pytest.raises(ReadError, match="more bytes than its header promises"):
        io.read(series)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_header_that_promises_more_than_deflate_can_pack_is_refused_at_once(raw, tmp_path):
    head = bytearray(raw)
    head[42:48] = np.array([30000] * 3, "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(head)))
    refused(tmp_path / "a.nii.gz", "more voxels than the file can hold")


def test_reading_takes_little_more_than_the_voxels(tmp_path):
    voxels = np.zeros((256, 256, 64), np.int16)
    for name in ("a.nii", "a.nii.gz"):
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / name)
        series = io.scan(tmp_path / name).choose()
        tracemalloc.start()
        io.read(series)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.5 * voxels.nbytes


def test_a_scan_inflates_no_voxels(raw, tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(raw))
    yielded = []
    inflated = streams.inflated

    def counted(*args):
        for piece in inflated(*args):
            yielded.append(len(piece))
            yield piece

    monkeypatch.setattr(streams, "inflated", counted)
    assert io.scan(path).loaded == 1
    assert 0 < sum(yielded) < 2048
