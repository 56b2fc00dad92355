"""A reader's whole way through the room, by mouse and keys: open, run, tick, jump, adjust, switch, export."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton

from voxcam.io import read_mask
from voxcam.plugin.room import Room
from voxcam.samples import SAMPLES, sample_path

pytestmark = pytest.mark.gui
SAMPLE = SAMPLES["lung_tumour"]
LONG_MS = 180_000  # torch and MONAI are imported in the run


def press(qtbot, widget, key, modifier=Qt.NoModifier):
    qtbot.keyClick(widget, key, modifier)
    qtbot.wait(30)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.LeftButton)


def step_to(qtbot, box, title):
    """Step through a box by the arrow key, as a reader does, until the title is there."""
    box.setFocus()
    for _ in range(box.count()):
        if box.currentText().startswith(title):
            return
        qtbot.keyClick(box, Qt.Key_Down)
    raise AssertionError(f"{title} is not in the box")


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def coloured(viewer):
    """How many pixels of the canvas have a colour."""
    shot = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    return int((np.ptp(shot, axis=-1) > 12).sum())


@pytest.fixture
def desk(make_napari_viewer):
    """An empty reading room."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    yield room
    room.runner.close()
    assert room.runner.wait(30)


def open_sample(room, qtbot, monkeypatch):
    # The dialog itself is the system's; what it answers is ours.
    path = str(sample_path(SAMPLE.scan))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *asked, **more: (path, ""))
    click(qtbot, next(b for b in room.scan.findChildren(QPushButton) if b.text().startswith("File")))
    qtbot.waitUntil(lambda: room.review.volume is not None, timeout=60_000)


def run(room, qtbot):
    room.tabs.show_panel(room.classifier)
    step_to(qtbot, room.classifier.bundles, "Lung nodule")
    press(qtbot, canvas_of(room.viewer), Qt.Key_Return, Qt.ControlModifier)
    qtbot.waitUntil(lambda: room.review.explanation is not None, timeout=LONG_MS)
    assert room.review.explanation.top_class == "nodule"


def tick(room, qtbot):
    table = room.evidence.table
    for shown in (("nodule", "no nodule"), ("nodule",)):
        qtbot.mouseClick(table.view.viewport(), Qt.LeftButton, pos=table.check_rect("no nodule").center())
        assert room.review.visible == shown
    table.choose("nodule")


def jump(room, qtbot):
    """The planes cross inside the tumour as it was drawn."""
    press(qtbot, canvas_of(room.viewer), Qt.Key_J)
    mask = read_mask(sample_path(str(SAMPLE.labels)))
    at = np.rint(mask.geometry.to_index(room.review.point_mm)).astype(int)
    assert np.asarray(mask.voxels)[tuple(at)] > 0


def adjust(room, qtbot):
    canvas, whole = canvas_of(room.viewer), coloured(room.viewer)
    room.evidence.threshold.setValue(0.5)
    assert 0 < coloured(room.viewer) < whole
    press(qtbot, canvas, Qt.Key_E)
    assert room.review.look.hidden
    assert coloured(room.viewer) < whole / 10
    press(qtbot, canvas, Qt.Key_E)


def switch_method(room, qtbot):
    """From the same capture: nothing runs."""
    before = room.review.explanation
    step_to(qtbot, room.evidence.methods, "layer-cam")
    assert room.review.look.method == "layer-cam"
    assert room.review.explanation is before
    assert room.review.running is None


def look_around(room, qtbot):
    canvas = canvas_of(room.viewer)
    press(qtbot, canvas, Qt.Key_M)
    assert room.beside.is_shown("Planes")
    press(qtbot, canvas, Qt.Key_C)
    assert room.layers.order()[0] == 1
    press(qtbot, canvas, Qt.Key_A)
    assert room.layers.order()[0] == 0


def export(room, qtbot, monkeypatch, target):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *asked, **more: (str(target), ""))
    click(qtbot, room.evidence.export)
    qtbot.waitUntil(target.exists, timeout=60_000)
    told = json.loads(Image.open(target).text["voxcam"])
    assert (told["class"], told["method"]) == ("nodule", "layer-cam")
    qtbot.waitUntil(lambda: room.review.running is None, timeout=10_000)


def test_a_reader_s_way_through_the_room(desk, qtbot, monkeypatch, tmp_path):
    open_sample(desk, qtbot, monkeypatch)
    run(desk, qtbot)
    tick(desk, qtbot)
    jump(desk, qtbot)
    adjust(desk, qtbot)
    switch_method(desk, qtbot)
    look_around(desk, qtbot)
    export(desk, qtbot, monkeypatch, tmp_path / "nodule.png")
