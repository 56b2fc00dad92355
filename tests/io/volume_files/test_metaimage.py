from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from grids import poses
from hypothesis import HealthCheck, given, settings

from tests.io.volume_files.reading import header, itk_affine, itk_image, read, reason
from voxcam.core.volume import COLOUR
from voxcam.io.volume_files import metaimage

NOISE = np.random.default_rng(2).integers(-900, 900, (5, 4, 3)).astype(np.int16)
BYTES = NOISE.tobytes(order="F")
PLAIN = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "1 2 3",
    "ElementSpacing": "1 1 2",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def written(path, data=BYTES, **fields):
    lines = {key: value for key, value in (PLAIN | fields).items() if value is not None}
    last = {"ElementDataFile": lines.pop("ElementDataFile")}
    path.write_bytes("".join(f"{k} = {v}\n" for k, v in (lines | last).items()).encode() + data)
    return path


@given(poses(shear=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_itk_writes_is_read_as_it_reads_it(tmp_path, name, packed, affine):
    SimpleITK.WriteImage(itk_image(NOISE, affine), str(tmp_path / name), useCompression=packed)
    volume = read(metaimage, tmp_path / name)
    np.testing.assert_array_equal(volume.voxels, NOISE)
    np.testing.assert_allclose(
        volume.affine, itk_affine(SimpleITK.ReadImage(str(tmp_path / name))), atol=1e-4
    )
    np.testing.assert_allclose(volume.affine, affine, atol=1e-3)
    assert volume.geometry.frame == "patient"


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_types_are_those_of_itk(dtype, tmp_path):
    voxels = np.arange(60).reshape(5, 4, 3).astype(dtype)
    SimpleITK.WriteImage(itk_image(voxels, np.eye(4)), str(tmp_path / "a.mha"))
    np.testing.assert_array_equal(read(metaimage, tmp_path / "a.mha").voxels, voxels)


def test_colours_are_read(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 3)).astype(np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colours, isVector=True), str(tmp_path / "a.mha"))
    voxels = read(metaimage, tmp_path / "a.mha").voxels
    assert voxels.dtype == COLOUR
    for at, name in enumerate("RGB"):
        np.testing.assert_array_equal(voxels[name], colours[..., at].T)


def test_time_is_the_fourth_axis(tmp_path):
    voxels = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    image = SimpleITK.JoinSeries(
        [SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels[..., t].T)) for t in range(5)], 10.0, 2.5
    )
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    volume = read(metaimage, tmp_path / "a.mha")
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.fourth.values == (10.0, 12.5, 15.0, 17.5, 20.0)


def test_a_flat_image_is_one_voxel_deep(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(NOISE[:, :, 0].T.copy()), str(tmp_path / "a.mha"))
    volume = read(metaimage, tmp_path / "a.mha")
    np.testing.assert_array_equal(volume.voxels, NOISE[:, :, :1])
    assert volume.geometry.frame == "unknown"


def test_big_endian_and_a_header_to_skip_are_read(tmp_path):
    big = NOISE.astype(">i2").tobytes(order="F")
    path = written(tmp_path / "a.mha", big, BinaryDataByteOrderMSB="True")
    np.testing.assert_array_equal(read(metaimage, path).voxels, NOISE)
    (tmp_path / "b.raw").write_bytes(b"skipped" + NOISE.tobytes(order="F"))
    path = written(tmp_path / "b.mhd", b"", HeaderSize="7", ElementDataFile="b.raw")
    np.testing.assert_array_equal(read(metaimage, path).voxels, NOISE)


def test_without_directions_left_and_right_are_not_known(tmp_path):
    found = header(metaimage, written(tmp_path / "a.mha", TransformMatrix=None))
    assert found.frame == "unknown"
    assert [finding.kind for finding in found.findings] == ["no-orientation"]
    found = header(metaimage, written(tmp_path / "b.mha", ElementSpacing=None))
    assert [finding.kind for finding in found.findings] == ["no-pixel-size"]


def test_lengths_are_turned_into_mm(tmp_path):
    found = header(metaimage, written(tmp_path / "a.mha", DistanceUnits="um"))
    np.testing.assert_allclose(found.affine[:3, 3], [-0.001, -0.002, 0.003])
    assert [finding.kind for finding in found.findings] == ["not-mm"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"DimSize": "5 4"}, "dimensions"),
        ({"DimSize": "5 4 0"}, "dimensions"),
        ({"DimSize": "5 4 -3"}, "dimensions"),
        ({"DimSize": "999999999 999999999 999999999"}, "cut short"),
        ({"DimSize": "5 4 2"}, "more bytes than its header promises"),
        ({"DimSize": "5 4 " + "9" * 400}, "expected a number"),
        ({"NDims": "7"}, "dimensions"),
        ({"ElementSpacing": "1 1 0"}, "spacing"),
        ({"ElementSpacing": "1 nan 1"}, "expected a number"),
        ({"ElementSpacing": "1 1 1001"}, "1000 mm"),
        ({"ElementSpacing": "1 " * 500}, "very many numbers"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "invertible"),
        ({"TransformMatrix": "1 0 0"}, "does not fit"),
        ({"ElementType": "MET_STRING"}, "type of voxels"),
        ({"ElementNumberOfChannels": "3"}, "several values"),
        ({"BinaryData": "False"}, "text"),
        ({"ObjectType": "Tube"}, "no image"),
        ({"ElementToIntensityFunctionSlope": "2"}, "function"),
        ({"DistanceUnits": "furlong"}, "unit"),
        ({"CompressedData": "perhaps"}, "True or False"),
        ({"HeaderSize": "-1", "ElementDataFile": "b.raw"}, "unstated size"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"ElementDataFile": "slice%03d.raw 1 3 1"}, "not named plainly"),
        ({"ElementDataFile": "../b.raw"}, "not named plainly"),
        ({"ElementDataFile": "/b.raw"}, "not named plainly"),
        ({"ElementDataFile": "C:\\b.raw"}, "not named plainly"),
        ({"ElementDataFile": "gone.raw"}, "not beside it"),
        ({"Comment": "x" * (2 << 20)}, "does not end"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_header_that_lies_or_leads_elsewhere_is_refused(fields, words, tmp_path):
    (tmp_path / "b.raw").write_bytes(NOISE.tobytes())
    assert words in reason(metaimage, written(tmp_path / "a.mhd", **fields))


def test_a_field_stated_twice_is_refused(tmp_path):
    path = written(tmp_path / "a.mha")
    path.write_bytes(b"ObjectType = Image\n" + path.read_bytes())
    assert "twice" in reason(metaimage, path)
