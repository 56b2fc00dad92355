from __future__ import annotations

import errno
import io
import json
import os
import pathlib
import pickle
import tempfile
import zipfile
from types import MappingProxyType

import grids
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from voxcam.core import explanation_folder
from voxcam.core.explanation import Explanation, Windows
from voxcam.core.explanation_folder import load, save
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.errors import ExportError, ReadError

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def volumes(draw):
    geometry = draw(grids.geometries())
    in_time = draw(st.sampled_from([(), (2,)]))
    dtype = draw(st.sampled_from([np.int16, np.float32, np.uint8, np.float64, ">i2"]))
    voxels = draw(arrays.arrays(dtype, (*geometry.shape, *in_time)))
    frame = draw(st.sampled_from(["patient", "detector", "unknown"]))
    window = st.builds(Window, st.floats(-1e4, 1e4), st.floats(0.1, 1e4), names, st.just("SIGMOID"))
    return Volume(
        voxels,
        Geometry(geometry.shape, geometry.affine, frame),
        draw(st.sampled_from(["CT", ""])),
        draw(st.sampled_from(["HU", ""])),
        tuple(draw(st.lists(window, max_size=2))),
        MappingProxyType(draw(st.dictionaries(names, plain, max_size=3))),
        draw(st.booleans()),
    )


@st.composite
def heatmaps(draw, class_names):
    geometry = draw(grids.geometries())
    values = arrays.arrays(np.float32, geometry.shape, elements=st.floats(width=32, allow_infinity=False))
    evidence = Volume(draw(values), geometry, unit="logit")
    return Heatmap(evidence, draw(st.sampled_from(class_names)), draw(names), draw(names))


@st.composite
def explanations(draw):
    scores = draw(st.dictionaries(names, finite, min_size=1, max_size=4))
    count = draw(st.integers(0, 3))
    windows = Windows(
        draw(arrays.arrays(np.float64, (count, 3))), draw(arrays.arrays(np.float32, (count, len(scores))))
    )
    return Explanation(
        scores,
        {name: draw(finite) for name in scores},
        tuple(draw(st.lists(heatmaps(list(scores)), max_size=3))),
        draw(st.none() | volumes()),
        draw(st.sampled_from([None, windows])),
        MappingProxyType(draw(st.dictionaries(names, plain, max_size=4))),
    )


def assert_same_volume(one, other):
    assert one.voxels.dtype == other.voxels.dtype
    np.testing.assert_array_equal(one.voxels, other.voxels)
    np.testing.assert_array_equal(one.affine, other.affine)
    for name in ("shape", "modality", "unit", "windows", "source", "inverted"):
        assert getattr(one, name) == getattr(other, name)
    assert one.geometry.frame == other.geometry.frame


@given(explanations())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_saved_is_loaded_to_the_bit(said):
    with tempfile.TemporaryDirectory() as folder:
        back = load(save(said, pathlib.Path(folder) / "out"))
    assert dict(back.scores) == dict(said.scores)
    assert back.classes == said.classes, "the classifier's order is kept"
    assert dict(back.logits) == dict(said.logits)
    assert back.provenance == said.provenance
    assert len(back.heatmaps) == len(said.heatmaps)
    for ours, theirs in zip(back.heatmaps, said.heatmaps, strict=True):
        assert_same_volume(ours.evidence, theirs.evidence)
        assert (ours.class_name, ours.method, ours.layer) == (
            theirs.class_name,
            theirs.method,
            theirs.layer,
        )
    assert (back.volume is None) == (said.volume is None)
    if said.volume is not None:
        assert_same_volume(back.volume, said.volume)
    assert (back.windows is None) == (said.windows is None)
    if said.windows is not None:
        np.testing.assert_array_equal(back.windows.centres_mm, said.windows.centres_mm)
        np.testing.assert_array_equal(back.windows.scores, said.windows.scores)


def example(**changes):
    rng = np.random.default_rng(0)
    geometry = Geometry((6, 5, 4), np.diag([1.0, 2, 3, 1]))
    values = rng.normal(size=(3, 3, 2)).astype(np.float32)
    fields = {
        "scores": {"nodule": 0.75, "normal": 0.25},
        "logits": {"nodule": 1.5, "normal": -1.5},
        "heatmaps": (
            Heatmap(Volume(values, geometry.coarsened((3, 3, 2)), unit="logit"), "nodule", "grad-cam", "l4"),
        ),
        "volume": Volume(rng.integers(-1000, 1000, (6, 5, 4)).astype(np.int16), geometry, "CT", "HU"),
        "windows": Windows(rng.normal(size=(2, 3)), rng.random((2, 2)).astype(np.float32)),
        "provenance": MappingProxyType({"seed": 1, "layers": ("a", "b"), "deep": MappingProxyType({"x": 1})}),
    }
    return Explanation(**(fields | changes))


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_folder_holds_three_files_or_two_without_the_volume(tmp_path):
    save(example(), tmp_path / "all")
    save(example(), tmp_path / "lean", with_volume=False)
    assert left_in(tmp_path / "all") == ["explanation.json", "heatmaps.npz", "volume.npz"]
    assert left_in(tmp_path / "lean") == ["explanation.json", "heatmaps.npz"]
    assert load(tmp_path / "lean").volume is None
    assert load(str(tmp_path / "lean")).heatmaps[0].largest == example().heatmaps[0].largest


def test_a_map_computed_as_asked_and_a_resampled_volume_are_saved_whole(tmp_path):
    said = example()
    fine = said.volume.geometry.coarsened((7, 7, 7))
    heatmap = Heatmap(said.heatmaps[0].on(fine), "nodule", "grad-cam", "l4")
    back = load(save(example(heatmaps=(heatmap,), volume=said.volume.on(fine)), tmp_path / "out"))
    np.testing.assert_array_equal(back.heatmaps[0].values, heatmap.values)
    np.testing.assert_array_equal(back.volume.voxels, np.asarray(said.volume.on(fine).voxels))


def test_the_document_can_be_read_without_voxcam(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    empty = Heatmap(Volume(np.full((1, 1, 1), np.nan), Geometry((1, 1, 1), np.eye(4))), "normal", "m", "l")
    save(example(heatmaps=(*example().heatmaps, empty)), tmp_path / "out")
    text = (tmp_path / "out" / "explanation.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=refuse)
    assert document["format"] == 1
    assert document["scores"] == {"nodule": 0.75, "normal": 0.25}
    assert document["provenance"] == {"seed": 1, "layers": ["a", "b"], "deep": {"x": 1}}
    first, second = document["heatmaps"]
    assert first["largest"] == pytest.approx(example().heatmaps[0].largest)
    assert first["positive_evidence"] is True
    assert second["largest"] is None
    assert second["positive_evidence"] is False


def test_numpy_values_are_written_as_the_numbers_they_are(tmp_path):
    provenance = {"sd": np.float32(0.5), "n": np.int64(3), "on": np.bool_(True), "cell": np.array([2, 2.5])}
    scores = {"nodule": np.float32(0.75), "normal": np.float64(0.25)}
    back = load(save(example(scores=scores, provenance=provenance), tmp_path / "out"))
    assert back.provenance == {"sd": 0.5, "n": 3, "on": True, "cell": [2, 2.5]}
    assert back.scores == {"nodule": 0.75, "normal": 0.25}


def test_what_json_does_not_know_is_written_as_its_text(tmp_path):
    back = load(save(example(provenance={"at": complex(1, 2)}), tmp_path / "out"))
    assert back.provenance == {"at": "(1+2j)"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, np.float32("nan")])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (lambda bad: {"scores": {"nodule": bad, "normal": 0.1}}, "the score of 'nodule' is"),
        (lambda bad: {"logits": {"nodule": 0.1, "normal": bad}}, "the logit of 'normal' is"),
        (lambda bad: {"provenance": {"deep": [{"x": bad}]}}, "cannot be written as JSON"),
        (lambda bad: {"provenance": {"deep": np.array([bad])}}, "cannot be written as JSON"),
    ],
)
def test_numbers_that_are_not_finite_are_an_export_error_and_leave_nothing(tmp_path, changes, says, bad):
    with pytest.raises(ExportError, match=says) as raised:
        save(example(**changes(bad)), tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert left_in(tmp_path) == []


def test_infinite_evidence_is_an_export_error_and_leaves_nothing(tmp_path):
    infinite = Volume(np.full((1, 1, 1), np.inf, np.float32), Geometry((1, 1, 1), np.eye(4)))
    mixed = Volume(np.array([np.inf, 1], np.float32).reshape(2, 1, 1), Geometry((2, 1, 1), np.eye(4)))
    assert np.isnan(Heatmap(infinite, "nodule", "m", "l").largest)
    with pytest.raises(ExportError):
        save(example(heatmaps=(Heatmap(mixed, "nodule", "m", "l"),)), tmp_path / "out")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("provenance", [{("a", "b"): 1}, {b"a": 1}])
def test_provenance_that_is_no_json_is_an_export_error(tmp_path, provenance):
    with pytest.raises(ExportError, match="cannot be written as JSON"):
        save(example(provenance=provenance), tmp_path / "out")
    assert left_in(tmp_path) == []


def test_provenance_that_holds_itself_is_an_export_error(tmp_path):
    provenance = {}
    provenance["itself"] = provenance
    with pytest.raises(ExportError, match="cannot be written as JSON"):
        save(example(provenance=provenance), tmp_path / "out")


def test_an_occupied_folder_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="the output exists already"):
        save(example(), tmp_path / "out")
    save(example(), tmp_path / "other")
    with pytest.raises(ExportError, match="the output exists already"):
        save(example(), tmp_path / "other")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "out"]


def test_a_crash_between_the_files_leaves_no_folder(tmp_path, monkeypatch):
    whole = np.savez_compressed

    def crash_at_volume(place, **arrays):
        whole(place, **arrays)
        if place.name == "volume.npz":
            raise KeyboardInterrupt

    monkeypatch.setattr(explanation_folder.np, "savez_compressed", crash_at_volume)
    with pytest.raises(KeyboardInterrupt):
        save(example(), tmp_path / "out")
    assert left_in(tmp_path) == []


def test_a_full_disk_is_an_export_error_and_leaves_no_folder(tmp_path, monkeypatch):
    def full(place, **arrays):
        place.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(explanation_folder.np, "savez_compressed", full)
    with pytest.raises(ExportError, match="the output cannot be written there: no space left on device"):
        save(example(), tmp_path / "out")
    assert left_in(tmp_path) == []


def test_a_place_that_cannot_be_written_is_an_export_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="the output cannot be written there"):
        save(example(), tmp_path / "file" / "out")


@pytest.fixture
def saved(tmp_path):
    return save(example(), tmp_path / "out")


def assert_damaged(place):
    with pytest.raises(ReadError) as raised:
        load(place)
    text = str(raised.value)
    assert "damaged" in text
    assert "\n" not in text
    assert str(place.parent) not in text


def test_a_folder_without_an_explanation_is_a_read_error(tmp_path):
    with pytest.raises(ReadError, match="the folder holds no explanation"):
        load(tmp_path)
    with pytest.raises(ReadError, match="the folder holds no explanation"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '"x"',
        "{}",
        '{"format": 1}',
        '{"format": null}',
        '{"format": "1"}',
        "[" * 100_000,
    ],
)
def test_a_damaged_document_is_a_read_error(saved, text):
    (saved / "explanation.json").write_text(text)
    assert_damaged(saved)


def test_a_document_that_is_no_text_is_a_read_error(saved):
    (saved / "explanation.json").write_bytes(b"\xff\xfe\x00{")
    assert_damaged(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"scores": None},
        {"scores": [0.1]},
        {"scores": {"nodule": "high"}},
        {"scores": {"nodule": None}},
        {"logits": 7},
        {"heatmaps": None},
        {"heatmaps": [{}]},
        {"heatmaps": ["x"]},
        {"heatmaps": [{"geometry": {"shape": [1], "affine": [], "frame": "patient"}, "unit": ""}]},
        {"volume": {}},
        {"volume": 3},
        {"provenance": 3},
    ],
)
def test_a_document_with_a_wrong_part_is_a_read_error(saved, change):
    document = json.loads((saved / "explanation.json").read_text())
    (saved / "explanation.json").write_text(json.dumps(document | change))
    assert_damaged(saved)


def test_maps_that_do_not_fit_their_geometry_are_a_read_error(saved):
    document = json.loads((saved / "explanation.json").read_text())
    document["heatmaps"][0]["geometry"]["shape"] = [2, 3, 3]
    (saved / "explanation.json").write_text(json.dumps(document))
    assert_damaged(saved)


@pytest.mark.parametrize("name", ["heatmaps.npz", "volume.npz"])
def test_a_missing_file_is_a_read_error(saved, name):
    (saved / name).unlink()
    assert_damaged(saved)


@pytest.mark.parametrize("name", ["heatmaps.npz", "volume.npz"])
def test_a_truncated_file_is_a_read_error_wherever_it_was_cut(saved, name):
    whole = (saved / name).read_bytes()
    for length in range(0, len(whole), 7):
        (saved / name).write_bytes(whole[:length])
        assert_damaged(saved)


@pytest.mark.parametrize("name", ["heatmaps.npz", "volume.npz"])
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wrong_bytes_are_a_read_error_or_change_nothing(name, data):
    with tempfile.TemporaryDirectory() as folder:
        place = save(example(), pathlib.Path(folder) / "out")
        whole = bytearray((place / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        (place / name).write_bytes(whole)
        try:
            back = load(place)
        except ReadError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        else:
            np.testing.assert_array_equal(back.heatmaps[0].values, example().heatmaps[0].values)
            np.testing.assert_array_equal(back.volume.voxels, example().volume.voxels)


@pytest.mark.parametrize("name", ["heatmaps.npz", "volume.npz"])
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_member_with_a_wrong_header_is_a_read_error(name, data):
    """The archive's checksum is right; what numpy finds in it is not."""
    with tempfile.TemporaryDirectory() as folder:
        place = save(example(), pathlib.Path(folder) / "out")
        with zipfile.ZipFile(place / name) as archive:
            members = {one: bytearray(archive.read(one)) for one in archive.namelist()}
        first = next(iter(members.values()))
        for _ in range(data.draw(st.integers(1, 3))):
            first[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
        with zipfile.ZipFile(place / name, "w") as archive:
            for one, content in members.items():
                archive.writestr(one, bytes(content))
        try:
            load(place)
        except ReadError as error:
            assert "\n" not in str(error)  # noqa: PT017 - a harmless byte may have changed


class Trap:
    def __reduce__(self):
        return os.mkdir, (str(pathlib.Path(tempfile.gettempdir()) / "voxcam-trap-was-sprung"),)


@pytest.mark.parametrize("name", ["heatmaps.npz", "volume.npz"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_pickle_in_the_folder_is_never_run(saved, name, whole):
    if whole:
        (saved / name).write_bytes(pickle.dumps(Trap()))
    else:
        key = "voxels" if name == "volume.npz" else "heatmap_0"
        buffer = io.BytesIO()
        np.savez(buffer, **{key: np.array([Trap()], dtype=object)})
        (saved / name).write_bytes(buffer.getvalue())
    assert_damaged(saved)
    assert not (pathlib.Path(tempfile.gettempdir()) / "voxcam-trap-was-sprung").exists()


def test_nothing_saved_needs_pickles(saved):
    for name in ("heatmaps.npz", "volume.npz"):
        with np.load(saved / name, allow_pickle=False) as stored:
            assert all(stored[key].dtype.kind in "fiu" for key in stored)


def test_a_newer_format_says_to_update(saved):
    document = json.loads((saved / "explanation.json").read_text())
    (saved / "explanation.json").write_text(json.dumps(document | {"format": 2, "heatmaps": "changed"}))
    with pytest.raises(ReadError, match="the explanation is of format 2, known are up to 1: update VoxCAM"):
        load(saved)
