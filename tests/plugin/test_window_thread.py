"""Nothing that takes long runs in the window's thread; how long it stops is for benchmarks.reading_room."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from builders import write_dicom_series
from bundles import write_bundle

from voxcam.plugin.room import Room

pytestmark = pytest.mark.gui
LONG_MS = 180_000

# Where each of the long pieces of work is called, and its name there.
LONG_WORK = {
    "scanning": ("voxcam.io.places", "scan"),
    "reading": ("voxcam.io.places", "read"),
    "describing a model": ("voxcam.plugin.work.describer", "describe"),
    "loading a model": ("voxcam.model.warm", "load_classifier"),
    "explaining": ("voxcam.explain", "explain"),
    "drawing a figure": ("voxcam.export.figure", "figure"),
    "writing a figure": ("voxcam.export.figure", "write_figure"),
    "thumbnails": ("voxcam.io.thumbnails", "thumbnail"),
}


@pytest.fixture
def threads(monkeypatch):
    """The names of the threads in which each piece of work ran."""
    found = {}

    def watched(name, work):
        def run(*given, **more):
            found.setdefault(name, set()).add(threading.current_thread().name)
            return work(*given, **more)

        return run

    for name, (module, attribute) in LONG_WORK.items():
        __import__(module)
        monkeypatch.setattr(f"{module}.{attribute}", watched(name, getattr(sys.modules[module], attribute)))
    return found


def test_long_work_has_a_thread_of_its_own(make_napari_viewer, qtbot, tmp_path, threads):
    write_dicom_series(
        tmp_path / "scan", np.random.default_rng(0).integers(0, 900, (24, 24, 12)).astype(np.int16)
    )
    viewer = make_napari_viewer(show=True)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    review = room.review
    room.show_browser()
    room.runner.read(tmp_path / "scan")
    qtbot.waitUntil(lambda: review.volume is not None, timeout=60_000)
    review.choose(write_bundle(tmp_path / "tiny"), "cpu")
    room.run()
    qtbot.waitUntil(lambda: review.explanation is not None, timeout=LONG_MS)
    room.export_figure(tmp_path / "figure.png")
    qtbot.waitUntil((tmp_path / "figure.png").exists, timeout=60_000)
    qtbot.waitUntil(lambda: set(threads) == set(LONG_WORK), timeout=20_000)
    assert threading.main_thread().name not in set().union(*threads.values()), threads
    room.runner.close()
    assert room.runner.wait(30)
