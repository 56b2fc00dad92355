from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from voxcam import io
from voxcam.errors import ReadError

# NIfTI-1's fields (nifti1.h): byte, type. NIfTI-2's have other places.
FIELDS = {
    "sizeof_hdr": (0, "<i4"),
    "dim": (40, "<i2"),
    "datatype": (70, "<i2"),
    "bitpix": (72, "<i2"),
    "pixdim": (76, "<f4"),
    "vox_offset": (108, "<f4"),
    "scl_slope": (112, "<f4"),
    "scl_inter": (116, "<f4"),
    "xyzt_units": (123, "u1"),
    "qform_code": (252, "<i2"),
    "sform_code": (254, "<i2"),
    "quatern_b": (256, "<f4"),
    "srow_x": (280, "<f4"),
    "magic": (344, "S4"),
}
FIELDS_2 = {"dim": (16, "<i8"), "vox_offset": (168, "<i8"), "pixdim": (104, "<f8"), "scl_slope": (176, "<f8")}


def changed(path, fields=FIELDS, **values):
    """Write a value over a field; a tuple (place, value) into the field's list."""
    raw = bytearray(path.read_bytes())
    for name, value in values.items():
        at, dtype = fields[name]
        place, value = value if isinstance(value, tuple) else (0, value)
        piece = np.array(value, dtype).tobytes()
        at += place * np.dtype(dtype).itemsize
        raw[at : at + len(piece)] = piece
    path.write_bytes(raw)
    return path


@pytest.fixture
def sound(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1.0, 2, 3, 1]))
    image.set_qform(image.affine, 1)
    nib.save(image, tmp_path / "a.nii")
    return tmp_path / "a.nii"


LIES = [
    ({"vox_offset": 0}, "vox_offset"),
    ({"vox_offset": 353}, "nibabel finds"),
    ({"vox_offset": 336}, "nibabel finds"),
    ({"vox_offset": np.nan}, ""),
    ({"vox_offset": np.inf}, ""),
    ({"vox_offset": 1e9}, "cut short"),
    ({"vox_offset": 368}, "cut short"),
    ({"vox_offset": -352}, ""),
    ({"sizeof_hdr": 347}, "its own size"),
    ({"dim": 0}, "dimensions"),
    ({"dim": 8}, "dimensions"),
    ({"dim": 9}, "dimensions"),
    ({"dim": -1}, "dimensions"),
    ({"dim": (1, 0)}, "dimensions"),
    ({"dim": (2, -3)}, "dimensions"),
    ({"dim": (1, [32767, 32767, 32767])}, "cut short"),
    ({"dim": (1, 1)}, "more bytes than its header promises"),
    ({"dim": (3, 5)}, "cut short"),
    ({"datatype": 9999}, ""),
    ({"datatype": 1}, "unknown type"),
    ({"datatype": 32}, "complex"),
    ({"datatype": 1536}, "64 bit"),
    ({"bitpix": 8}, "bitpix"),
    ({"datatype": 8}, "bitpix"),
    ({"datatype": 8, "bitpix": 32}, "cut short"),
    ({"pixdim": (1, 0)}, "pixdim"),
    ({"pixdim": (2, -1)}, "pixdim"),
    ({"pixdim": (3, np.nan)}, "pixdim"),
    ({"pixdim": (3, np.inf)}, "pixdim"),
    ({"pixdim": (1, 1e9), "sform_code": 0}, "1000 mm"),
    ({"pixdim": 0.5}, "handedness"),
    ({"quatern_b": 1.5}, "quaternion"),
    ({"quatern_b": np.nan}, "quaternion"),
    ({"sform_code": 77}, "nibabel finds"),
    ({"qform_code": -5}, "nibabel finds"),
    ({"srow_x": [0, 0, 0, 0]}, "not finite and invertible"),
    ({"srow_x": (3, np.nan)}, "not finite and invertible"),
    ({"srow_x": [0, 2, 0, 0]}, "not finite and invertible"),
    ({"srow_x": 1001}, "1000 mm"),
    ({"scl_slope": np.nan}, "scl_slope"),
    ({"scl_slope": np.inf}, "scl_slope"),
    ({"scl_inter": np.nan}, "scl_slope"),
    ({"magic": b"n+3\0"}, ""),
    ({"magic": b"\0\0\0\0"}, ""),
    ({"magic": b"ni1\0"}, "voxel half missing"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES, ids=lambda value: str(value).replace("\n", " "))
def test_a_header_that_lies_is_refused_and_never_mended(lie, reason, sound):
    assert io.scan(sound).loaded == 1
    study = io.scan(changed(sound, **lie))
    assert (study.loaded, study.refused) == (0, 1)
    (finding,) = study.findings
    assert reason in finding.text
    assert "\n" not in finding.text
    assert not finding.text.endswith("damaged NIfTI file"), "only the last net caught it"


@pytest.mark.parametrize(
    "lie",
    [
        {"dim": (1, 2**63 - 1)},
        {"dim": 2**62},
        {"dim": (1, -(2**63))},
        {"vox_offset": 352},
        {"vox_offset": 540},
        {"vox_offset": 2**62},
        {"pixdim": (2, 0.0)},
        {"scl_slope": np.nan},
    ],
    ids=str,
)
def test_a_header_of_version_two_that_lies_is_refused(lie, tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti2Image(np.zeros((2, 3, 4), np.int16), np.eye(4)), path)
    assert io.scan(path).loaded == 1
    assert io.scan(changed(path, FIELDS_2, **lie)).refused == 1


def test_a_slope_of_zero_means_no_scaling(sound):
    volume = io.read(io.scan(changed(sound, scl_slope=0, scl_inter=np.nan)).choose())
    np.testing.assert_array_equal(volume.voxels, np.arange(24).reshape(2, 3, 4))


def test_a_handedness_of_zero_is_one(sound):
    affine = io.read(io.scan(changed(sound, pixdim=0, sform_code=0)).choose()).affine
    np.testing.assert_allclose(affine, np.diag([1.0, 2, 3, 1]), atol=1e-6)


def test_spacing_that_differs_from_the_sforms_is_said(sound):
    series = io.scan(changed(sound, pixdim=(3, 4.5), qform_code=0)).choose()
    assert [f.kind for f in series.findings] == ["two-spacings"]
    assert series.spacing_mm == (1, 2, 3)


def with_extension(path, *sizes, tail=0):
    """Put extensions that state these sizes between header and voxels, 32 bytes each."""
    raw = path.read_bytes()
    chain = b"".join(np.array([size, 6], "<i4").tobytes() + b"secret text".ljust(24, b"\0") for size in sizes)
    path.write_bytes(raw[:348] + b"\1\0\0\0" + chain + bytes(tail) + raw[352:])
    return changed(path, vox_offset=352 + len(chain) + tail)


def test_extensions_are_passed_over(sound):
    volume = io.read(io.scan(with_extension(sound, 32, 32)).choose())
    np.testing.assert_array_equal(volume.voxels, np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize("size", [0, -16, 8, 24, 33, 48, 2**31 - 16, -(2**31)])
def test_an_extension_whose_size_does_not_fit_is_refused(size, sound):
    study = io.scan(with_extension(sound, 32, size))
    assert study.refused == 1
    assert "extension" in study.findings[0].text
    assert "secret" not in study.findings[0].text


def test_extensions_that_fill_the_room_in_odd_sizes_are_refused(sound):
    raw = sound.read_bytes()
    chain = b"".join(np.array([size, 6], "<i4").tobytes() + bytes(size - 8) for size in (24, 40))
    sound.write_bytes(raw[:348] + b"\1\0\0\0" + chain + raw[352:])
    assert "extension" in io.scan(changed(sound, vox_offset=416)).findings[0].text


def test_room_without_extensions_is_passed_over(sound):
    raw = sound.read_bytes()
    sound.write_bytes(raw[:352] + bytes(64) + raw[352:])
    volume = io.read(io.scan(changed(sound, vox_offset=416)).choose())
    np.testing.assert_array_equal(volume.voxels, np.arange(24).reshape(2, 3, 4))


def test_memory_is_checked_before_it_is_taken(sound, monkeypatch):
    series = io.scan(sound).choose()
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "47")
    with pytest.raises(ReadError, match="VOXCAM_MOST_BYTES"):
        io.read(series)
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "48")
    assert io.read(series).voxels.shape == (2, 3, 4)


def test_a_file_that_changed_since_the_scan_is_an_error(sound):
    series = io.scan(sound).choose()
    sound.write_bytes(sound.read_bytes() + b"more")
    with pytest.raises(ReadError, match="changed since the scan"):
        io.read(series)
    sound.unlink()
    with pytest.raises(ReadError, match="not there any more"):
        io.read(series)
