"""Whatever is done in whatever order: no crash, no thread left, never a heatmap on another study."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ClassifierError
from voxcam.plugin.room import Room
from voxcam.plugin.work import runner

pytestmark = pytest.mark.gui

STUDIES = 4


def study(number):
    """A study that is told from every other by its size and its values."""
    shape = (12 + number, 11, 6 + number)
    voxels = np.full(shape, 100 * number, np.int16)
    return Volume(voxels, Geometry(shape, np.diag([-1.0, -1, 2, 1])), "CT", "HU")


def explanation(volume):
    """Evidence that says which study it is of."""
    own = float(volume.voxels.flat[0]) + 1
    return explanation_of(volume, {"a": (0.7, np.full(volume.shape, own)), "b": (0.3, np.ones(volume.shape))})


@pytest.fixture
def quick(monkeypatch):
    """Explanations take a few steps of a random length, and fail now and then."""
    dice = random.Random(1)

    def explain_study(volume, classifier, methods, layers, progress, announce=None, **asked):
        for step in range(dice.randrange(1, 5)):
            progress(step, 5)
            time.sleep(dice.random() * 0.004)
        if dice.random() < 0.1:
            raise ClassifierError("the scan does not fit")
        return explanation(volume)

    monkeypatch.setattr(runner, "explain_study", explain_study)
    monkeypatch.setattr(runner, "wake", lambda progress: None)
    monkeypatch.setattr(runner.Classifiers, "load", lambda self, *asked, **allowed: None)


def opened(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    room.review.choose(tmp_path)
    return room


def left():
    return [one for one in threading.enumerate() if one.name in ("voxcam run", "voxcam scan")]


def is_true(room):
    """Nothing is shown of a study but what was found in it."""
    for reading in room.review.readings:
        if reading.explanation is not None:
            assert reading.explanation.volume is reading.volume
    layer, volume = room.layers.picture.layer, room.review.volume
    shown = layer is not None and layer.visible
    assert shown == bool(room.review.visible)
    if shown:
        heatmap = room.review.heatmap("a")
        assert heatmap.largest == float(volume.voxels.flat[0]) + 1
        assert layer.data.shape[:3] == room.layers.placement.geometry.shape


def do(room, dice, qtbot):
    """One thing a reader may do at any time."""
    review = room.review
    deeds = [
        lambda: review.open(study(dice.randrange(STUDIES))),
        lambda: review.readings and review.show(dice.choice(review.readings)),
        lambda: review.readings and len(review.readings) > 2 and review.close(dice.choice(review.readings)),
        room.run,
        room.run,
        room.cancel,
        room.hide_evidence,
        lambda: room.show_plane(dice.randrange(3)),
        lambda: review.set_look(drawn=dice.choice(["smooth", "cells", "contours"])),
        lambda: room.step_peak(dice.choice([-1, 0, 1])),
        lambda: qtbot.wait(dice.randrange(1, 15)),
        lambda: qtbot.wait(dice.randrange(1, 15)),
    ]
    dice.choice(deeds)()


def test_a_hundred_random_interleavings(make_napari_viewer, tmp_path, qtbot, quick):
    room = opened(make_napari_viewer, tmp_path)
    finished = []
    room.review.explanation_changed.connect(lambda: finished.append(room.review.explanation is not None))
    for seed in range(100):
        dice = random.Random(seed)
        for _ in range(dice.randrange(4, 9)):
            do(room, dice, qtbot)
            is_true(room)
        while len(room.review.readings) > 5:
            room.review.close(room.review.readings[0])
    qtbot.waitUntil(lambda: room.review.running is None, timeout=20_000)
    is_true(room)
    assert any(finished)  # runs did end in heatmaps: the walk is not empty
    assert room.runner.wait(10)
    qtbot.waitUntil(lambda: not left(), timeout=10_000)


def test_a_window_closed_at_any_moment_leaves_no_thread(make_napari_viewer, tmp_path, qtbot, quick):
    for seed in range(4):
        dice = random.Random(1000 + seed)
        room = opened(make_napari_viewer, tmp_path)
        work = room.runner
        room.review.open(study(0))
        for _ in range(dice.randrange(1, 6)):
            do(room, dice, qtbot)
        room.run()
        qtbot.wait(dice.randrange(0, 8))
        room.viewer.close()
        qtbot.waitUntil(lambda work=work: work.closed, timeout=10_000)
        assert work.wait(10)
    qtbot.waitUntil(lambda: not left(), timeout=10_000)
