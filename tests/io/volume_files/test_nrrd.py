from __future__ import annotations

import nrrd as pynrrd
import numpy as np
import pytest
import SimpleITK
from grids import poses
from hypothesis import HealthCheck, given, settings

from tests.io.volume_files.reading import header, itk_affine, itk_image, read, reason
from voxcam.core.volume import COLOUR
from voxcam.io.volume_files import nrrd

NOISE = np.random.default_rng(2).integers(-900, 900, (5, 4, 3)).astype(np.int16)
BYTES = NOISE.tobytes(order="F")
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORLDS = {
    "right-anterior-superior": (1, 1, 1),
    "RAS": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "LPS": (-1, -1, 1),
}
PLAIN = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(1,0,0) (0,1,0) (0,0,2)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(1,2,3)",
}


def written(path, data=BYTES, **fields):
    named = {key.replace("_", " "): value for key, value in fields.items()}
    lines = "".join(f"{k}: {v}\n" for k, v in (PLAIN | named).items() if v is not None)
    path.write_bytes(b"NRRD0005\n# a comment\nkey:=value\n" + lines.encode() + b"\n" + data)
    return path


@given(poses(shear=False))
@QUICK
@pytest.mark.parametrize("packed", [False, True])
def test_what_itk_writes_is_read_as_it_reads_it(tmp_path, packed, affine):
    path = tmp_path / "a.nrrd"
    SimpleITK.WriteImage(itk_image(NOISE, affine), str(path), useCompression=packed)
    volume = read(nrrd, path)
    np.testing.assert_array_equal(volume.voxels, NOISE)
    np.testing.assert_allclose(volume.affine, itk_affine(SimpleITK.ReadImage(str(path))), atol=1e-6)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


@given(poses())
@QUICK
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("space", WORLDS)
def test_what_pynrrd_writes_is_read_as_it_reads_it(tmp_path, name, encoding, space, affine):
    about = {"space": space, "space directions": affine[:3, :3].T, "space origin": affine[:3, 3]}
    pynrrd.write(str(tmp_path / name), NOISE, about | {"encoding": encoding})
    voxels, stated = pynrrd.read(str(tmp_path / name))
    turn = np.array(WORLDS[space])[:, None]
    volume = read(nrrd, tmp_path / name)
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.affine[:3, :3], turn * stated["space directions"].T)
    np.testing.assert_allclose(volume.affine[:3, 3], turn[:, 0] * stated["space origin"])


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">i2", ">f4"])
def test_types_and_orders_are_those_of_pynrrd(dtype, tmp_path):
    voxels = np.arange(60).reshape(5, 4, 3).astype(dtype)
    pynrrd.write(str(tmp_path / "a.nrrd"), voxels)
    np.testing.assert_array_equal(read(nrrd, tmp_path / "a.nrrd").voxels, voxels)


def test_spacings_alone_say_nothing_of_left_and_right(tmp_path):
    pynrrd.write(str(tmp_path / "a.nrrd"), NOISE, {"spacings": [0.5, 1.0, 2.0]})
    found = header(nrrd, tmp_path / "a.nrrd")
    np.testing.assert_array_equal(found.affine, np.diag([0.5, 1, 2, 1]))
    assert (found.frame, [finding.kind for finding in found.findings]) == ("unknown", ["no-orientation"])
    pynrrd.write(str(tmp_path / "b.nrrd"), NOISE)
    kinds = [finding.kind for finding in header(nrrd, tmp_path / "b.nrrd").findings]
    assert kinds == ["no-orientation", "no-pixel-size"]


@pytest.mark.parametrize(
    ("kinds", "at"), [("list domain domain domain", 0), ("domain domain domain time", 3)]
)
def test_an_axis_that_is_none_of_space_is_the_fourth(kinds, at, tmp_path):
    voxels = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    directions = ["(1,0,0)", "(0,1,0)", "(0,0,2)"]
    directions.insert(at, "none")
    stored = np.moveaxis(voxels, 3, at)
    path = written(
        tmp_path / "a.nrrd",
        stored.tobytes(order="F"),
        dimension="4",
        sizes=" ".join(map(str, stored.shape)),
        kinds=kinds,
        space_directions=" ".join(directions),
    )
    np.testing.assert_array_equal(pynrrd.read(str(path))[0], stored)
    volume = read(nrrd, path)
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_array_equal(volume.affine, [[-1, 0, 0, -1], [0, -1, 0, -2], [0, 0, 2, 3], [0, 0, 0, 1]])
    assert volume.fourth.name == ("list" if at == 0 else "time")


def test_time_has_its_spacing_and_unit(tmp_path):
    path = written(
        tmp_path / "a.nrrd",
        bytes(2 * 60 * 2),
        dimension="4",
        sizes="5 4 3 2",
        kinds="domain domain domain time",
        space=None,
        space_origin=None,
        space_directions=None,
        spacings="1 1 1 500",
        units='"mm" "mm" "mm" "ms"',
    )
    fourth = read(nrrd, path).fourth
    assert (fourth.name, fourth.unit, fourth.values) == ("time", "s", (0.0, 0.5))


@pytest.mark.parametrize(("kind", "channels"), [("RGB-color", 3), ("RGBA-color", 4)])
def test_colours_are_read(kind, channels, tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (channels, 5, 4, 3)).astype(np.uint8)
    about = {
        "dimension": "4",
        "type": "uchar",
        "sizes": f"{channels} 5 4 3",
        "kinds": f"{kind} domain domain domain",
        "space_directions": "none (1,0,0) (0,1,0) (0,0,2)",
    }
    voxels = read(nrrd, written(tmp_path / "a.nrrd", colours.tobytes(order="F"), **about)).voxels
    assert voxels.dtype == COLOUR
    for at, name in enumerate("RGB"):
        np.testing.assert_array_equal(voxels[name], colours[at])


def test_a_segmentation_of_slicer_is_labels(tmp_path):
    path = written(tmp_path / "a.seg.nrrd", bytes(120))
    path.write_bytes(path.read_bytes().replace(b"key:=value", b"Segment0_ID:=Segment_1"))
    assert read(nrrd, path).unit == "label"
    assert read(nrrd, written(tmp_path / "b.nrrd", bytes(120))).unit == ""


def test_bytes_to_skip_and_lengths_in_micrometres(tmp_path):
    path = written(
        tmp_path / "a.nrrd", b"abc" + NOISE.tobytes(order="F"), byte_skip="3", space_units='"um" "um" "um"'
    )
    volume = read(nrrd, path)
    np.testing.assert_array_equal(volume.voxels, NOISE)
    np.testing.assert_allclose(volume.affine[:3, 3], [-0.001, -0.002, 0.003])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sizes": "5 4"}, "dimensions"),
        ({"sizes": "5 4 0"}, "dimensions"),
        ({"sizes": "5 4 -3"}, "dimensions"),
        ({"sizes": "5 4 2"}, "more bytes than its header promises"),
        ({"sizes": "999999999 999999999 999999999"}, "cut short"),
        ({"dimension": "16"}, "dimensions"),
        ({"type": "block"}, "type of voxels"),
        ({"endian": None}, "order of bytes"),
        ({"encoding": "hex"}, "encoding"),
        ({"encoding": "txt"}, "encoding"),
        ({"encoding": "bzip2"}, "encoding"),
        ({"encoding": None}, "encoding"),
        ({"line_skip": "2"}, "skip"),
        ({"byte_skip": "-1"}, "skip"),
        ({"space": "right-anterior-superior-time"}, "space"),
        ({"space": "upside-down"}, "space"),
        ({"space_origin": None}, "origin"),
        ({"space_origin": "(1,2)"}, "three numbers"),
        ({"space_origin": "(1,nan,2)"}, "expected a number"),
        ({"space_directions": None}, "directions"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "invertible"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "do not fit"),
        ({"space_directions": "(1,0,0) (0,1,0) none"}, "three axes"),
        ({"space_directions": "(1,0,0) (0,1,0) (0,0,1001)"}, "1000 mm"),
        ({"space_units": '"furlong" "mm" "mm"'}, "unit"),
        ({"data_file": "../a.raw"}, "not named plainly"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "a%02d.raw 1 3 1"}, "not named plainly"),
        ({"data_file": "gone.raw"}, "not beside it"),
        ({"content": "x" * (2 << 20)}, "no end"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_header_that_lies_or_leads_elsewhere_is_refused(fields, words, tmp_path):
    assert words in reason(nrrd, written(tmp_path / "a.nrrd", **fields))


def test_a_field_stated_twice_and_vectors_are_refused(tmp_path):
    path = written(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"key:=value", b"type: float"))
    assert "twice" in reason(nrrd, path)
    path = written(
        tmp_path / "b.nrrd",
        bytes(360),
        dimension="4",
        sizes="3 5 4 3",
        kinds="vector domain domain domain",
        space_directions="none (1,0,0) (0,1,0) (0,0,2)",
    )
    assert "several values" in reason(nrrd, path)
