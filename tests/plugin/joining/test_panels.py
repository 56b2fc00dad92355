"""Panels, review and canvas joined in a whole room: what is told anew, and what is said of a model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from builders import noise, write_dicom_series
from bundles import write_bundle
from mouse import Mouse
from qtpy.QtCore import Qt

from voxcam.plugin.room import Room
from voxcam.plugin.work.recent import recent, remember

pytestmark = pytest.mark.gui


@pytest.fixture
def room(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    yield room
    room.runner.close()
    room.scanner.close()
    assert room.runner.wait(60)
    assert room.scanner.wait(60)


def words(room):
    return [label.text() for label in room.readout._labels if label.text()]


def evidence(room):
    """The number of the first class."""
    return float(words(room)[2].split()[1])


@pytest.fixture
def resting(room, scan, explained, qtbot):
    """A room whose mouse rests on the bright voxel of the axial slice."""
    room.review.open(scan)
    room.review.adopt(explained)
    room.review.go_to(tuple(scan.geometry.to_world((10, 8, 15))))
    qtbot.wait(80)
    mouse = Mouse(room.viewer)
    mouse.move(mouse.pixel(room.layers.placement.to_display(room.review.point_mm)))
    qtbot.waitUntil(lambda: any("voxel 10, 8, 15" in line for line in words(room)), timeout=3_000)
    return room


def test_the_readout_follows_plane_method_look_and_explanation_while_the_mouse_rests(resting, qtbot, scan):
    review = resting.review
    assert evidence(resting) == pytest.approx(3, abs=0.05)
    review.set_look(hidden=True)
    qtbot.waitUntil(lambda: words(resting)[2:] == [], timeout=3_000)
    review.set_look(hidden=False, shown=frozenset({"nodule", "effusion"}))
    qtbot.waitUntil(lambda: len(words(resting)) == 4, timeout=3_000)
    twice = [
        replace(one, evidence=replace(one.evidence, voxels=2 * np.asarray(one.evidence.voxels)))
        for one in review.explanation.heatmaps
    ]
    review.adopt(replace(review.explanation, heatmaps=tuple(twice)))
    qtbot.waitUntil(lambda: evidence(resting) == pytest.approx(6, abs=0.1), timeout=3_000)
    resting.show_plane(1)  # the mouse rests: another voxel, or none, lies under it
    qtbot.waitUntil(lambda: not any("10, 8, 15" in line for line in words(resting)), timeout=3_000)
    resting.show_plane(0)
    qtbot.wait(200)  # the docks may have made the canvas another size meanwhile
    mouse = Mouse(resting.viewer)
    mouse.move(mouse.pixel(resting.layers.placement.to_display(review.point_mm)))
    qtbot.waitUntil(lambda: any(line.endswith(", 15") for line in words(resting)), timeout=10_000)
    review.go_to(tuple(scan.geometry.to_world((10, 8, 4))))  # as the key J does
    qtbot.waitUntil(lambda: any(line.endswith(", 4") for line in words(resting)), timeout=10_000)


def test_a_mouse_on_another_plane_is_not_answered_for_by_the_canvas(resting, qtbot, scan):
    resting.show_planes()
    planes = resting.beside.widget("Planes")
    other = tuple(scan.geometry.to_world((30, 20, 2)))
    planes.hovered.emit(other)
    assert "voxel 30, 20, 2" in words(resting)[1]
    resting.review.set_look(threshold=0.4)
    resting.review.set_look(hidden=True)
    qtbot.wait(100)
    assert "voxel 30, 20, 2" in words(resting)[1]


def test_a_model_other_than_that_of_the_evidence_is_told_of(room, scan, explained, qtbot, tmp_path):
    model = write_bundle(tmp_path / "tiny")
    name = json.loads((model / "configs" / "metadata.json").read_text())["name"]
    room.review.open(scan)
    room.review.adopt(replace(explained, provenance={"classifier": {"name": "Another", "version": "1"}}))
    assert not room.evidence.other_model.isVisible()
    room.review.choose(model, "cpu")
    qtbot.waitUntil(room.evidence.other_model.isVisible, timeout=20_000)
    told = room.evidence.other_model.toolTip()
    assert told == f"This evidence is of Another; the model chosen now is {name}: run it."
    room.review.choose(None)
    assert not room.evidence.other_model.isVisible()


def test_a_folder_that_is_no_model_is_not_among_those_used_last(room, qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "kept"))
    good, none = write_bundle(tmp_path / "good"), tmp_path / "none"
    none.mkdir()
    for place in (good, none):
        remember(place)
        room.choose_bundle(place)
        qtbot.waitUntil(lambda place=place: room.classifier.description is not None, timeout=20_000)
        qtbot.waitUntil(lambda place=place: room.classifier.description.place == place, timeout=20_000)
    assert "is no MONAI bundle" in room.classifier.wrong.text()
    assert recent() == (good,)


def test_what_is_open_and_of_no_place_is_gone_back_to_and_an_empty_folder_is_said(
    room, scan, qtbot, tmp_path
):
    room.review.open(scan)
    write_dicom_series(tmp_path / "exam", noise((9, 8, 6)))
    room.runner.read(tmp_path / "exam")
    qtbot.waitUntil(lambda: room.review.volume is not scan, timeout=20_000)
    room.show_browser()
    browser = room.beside.widget("Studies")
    rows = browser.placeless.rows
    assert rows.count() == 1
    qtbot.keyClick(rows, Qt.Key_Return)
    assert room.review.volume is scan
    qtbot.keyClick(rows, Qt.Key_Delete)
    assert [one.volume is scan for one in room.review.readings] == [False]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("no image")
    room.open_places([tmp_path / "letters"])
    said = "letters: no images found; 1 file skipped"
    qtbot.waitUntil(lambda: said in browser.failure.text(), timeout=20_000)
