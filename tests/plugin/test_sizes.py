"""At 1280 x 800, and at twice the pixels, nothing of the room is cut off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui

# In a process of its own: Qt reads the scale once.
LOOK = """
import json, sys
import numpy as np
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QLabel
from phantoms import ball, explanation_of
from voxcam.core.explanation import Windows
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.opening import open_review
from dataclasses import replace

grid = Geometry((48, 40, 20), np.diag([-1.5, -1.5, 3, 1]))
scan = Volume(np.zeros(grid.shape, np.int16), grid, "CT", "HU")
classes = {f"a class of name {n}": (0.9 - n / 10, ball(grid, grid.centre_mm, 12 + n)) for n in range(5)}
found = explanation_of(scan, classes)
centres = grid.to_world(np.stack([np.full(20, 24), np.full(20, 20), np.arange(20)], axis=-1))
windows = Windows(centres, np.random.default_rng(0).random((20, 5)).astype(np.float32))
viewer = open_review(volume=scan, explanation=replace(found, windows=windows))
room = viewer.window.dock_widgets["VoxCAM"]
window = room.window()
room.show_planes()
QTest.qWait(800)
wrong = []
for tab in range(room.tabs.count()):
    room.tabs.setCurrentIndex(tab)
    QTest.qWait(200)
    for child in [*room.findChildren(QAbstractButton), *room.findChildren(QLabel)]:
        if not child.isVisible() or not child.text():
            continue
        corner = child.mapTo(window, child.rect().bottomRight())
        words = child.text().replace("&", "")
        gives = child.sizePolicy().horizontalPolicy().name == "Ignored"  # cut with an ellipsis, or wrapped
        wraps = isinstance(child, QLabel) and (child.wordWrap() or gives)
        advance = child.fontMetrics().horizontalAdvance
        needed = 0 if wraps else max(advance(line) for line in words.splitlines())
        if child.width() < needed or corner.x() >= window.width() or corner.y() >= window.height():
            wrong.append([words, child.width(), needed, corner.x(), corner.y()])
view = room.evidence.table.view
told = {"window": [window.width(), window.height()], "ratio": window.devicePixelRatioF(), "wrong": wrong}
print(json.dumps(told | {"rows": view.viewport().height() / view.rowHeight(0)}), flush=True)
import os
os._exit(0)
"""


@pytest.mark.parametrize("scale", [1, 2])
def test_all_words_are_whole_and_inside_the_window(scale):
    here = Path(__file__).parents[1]
    environment = os.environ | {
        "QT_SCALE_FACTOR": str(scale),
        "PYTHONPATH": str(here),
        "VOXCAM_MODELS": "off",
    }
    found = subprocess.run(
        [sys.executable, "-c", LOOK],
        capture_output=True,
        text=True,
        env=environment,
        timeout=180,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    told = json.loads(found.stdout.splitlines()[-1])
    assert told["ratio"] == scale
    assert told["window"] == [1280, 800]
    assert told["wrong"] == []
    assert told["rows"] >= 4  # of the table, beside everything else
