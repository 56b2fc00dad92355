"""Running through slices and moments, with a clock that is set by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Axis, Volume
from voxcam.plugin.canvas import cine as module
from voxcam.plugin.canvas.cine import Cine, Run, stated_rate
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.review.review import Review


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def cine(qapp, scan, clock):
    viewer, review = ViewerModel(), Review()
    layers = ReviewLayers(viewer, review)
    cine = Cine(viewer, review)
    cine.layers = layers
    review.open(scan)
    viewer.dims.set_current_step(0, 3)
    yield cine
    cine.stop()


def shown(cine):
    return cine.viewer.dims.current_step[-3]


def after(cine, clock, seconds):
    clock.now += seconds
    cine._step()
    return shown(cine)


def test_round_and_round():
    run = Run(start=3, count=5, rate=10, back_and_forth=False, began=0)
    assert [run.at(n / 10) for n in range(7)] == [3, 4, 0, 1, 2, 3, 4]


def test_to_the_end_and_back():
    run = Run(start=3, count=5, rate=10, back_and_forth=True, began=0)
    assert [run.at(n / 10) for n in range(10)] == [3, 4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_it_keeps_the_pace_and_leaves_out_what_comes_too_late(cine, clock):
    cine.play()
    assert cine._timer.interval() == 100
    assert after(cine, clock, 0.1) == 4
    assert after(cine, clock, 0.75) == 11  # one redraw took long: seven images later, not one
    assert after(cine, clock, 0.04) == 11


def test_the_rate_can_be_changed_on_the_way_without_a_jump(cine, clock):
    cine.play()
    after(cine, clock, 0.2)
    cine.set_rate(50)
    assert (shown(cine), cine._timer.interval()) == (5, 20)
    assert after(cine, clock, 0.1) == 10
    cine.set_rate(1000)
    assert cine.rate == 60


def test_it_goes_on_from_where_the_reader_took_the_slider(cine, clock):
    cine.play()
    after(cine, clock, 0.1)
    cine.viewer.dims.set_current_step(0, 15)
    assert after(cine, clock, 0.5) == 15
    assert after(cine, clock, 0.1) == 16


def test_it_follows_the_plane_and_stops_when_that_is_changed(cine, clock):
    told = []
    cine.playing_changed.connect(told.append)
    cine.toggle()
    cine.layers.show_plane(1)
    assert (cine.playing, told) == (False, [True, False])
    cine.viewer.dims.set_current_step(1, 7)
    cine.toggle()
    clock.now += 0.1
    cine._step()
    assert cine.viewer.dims.current_step == (3, 8, cine.viewer.dims.current_step[2])


def test_another_study_and_no_study_stop_it(cine, scan):
    cine.play()
    cine.review.open(replace(scan))
    assert not cine.playing
    cine.play()
    assert cine.playing
    for reading in cine.review.readings:
        cine.review.close(reading)
    assert not cine.playing
    cine.play()
    assert not cine.playing


def test_through_time_at_the_rate_the_file_states(cine, scan, clock):
    moments = np.repeat(np.asarray(scan.voxels)[..., None], 5, axis=-1)
    volume = replace(scan, voxels=moments, fourth=Axis("time", "ms", (0.0, 50.0, 100.0, 150.0, 200.0)))
    cine.review.open(volume)
    assert (cine.over, cine.rate) == ("time", 20)
    before = cine.viewer.dims.current_step
    cine.play()
    clock.now += 0.15
    cine._step()
    assert cine.viewer.dims.current_step == (before[0] + 3, *before[1:])
    cine.set_over("slices")
    clock.now += 0.05
    cine._step()
    assert cine.viewer.dims.current_step[0] == before[0] + 3
    assert cine.viewer.dims.current_step[1] == before[1] + 1


@pytest.mark.parametrize(
    ("axis", "rate"),
    [
        (Axis("time", "s", (0.0, 0.5, 1.0)), 2),
        (Axis("time", "s", (0.0, 5.0, 10.0)), None),  # a step of 5 s would be no cine
        (Axis("echo time", "ms", (5.0, 50.0)), None),
        (Axis("b-value", "s/mm²", (0.0, 500.0)), None),
        (Axis("time", "ms", ()), None),
        (None, None),
    ],
)
def test_what_a_file_states_of_the_rate(axis, rate):
    voxels = np.zeros((2, 2, 2, 3))
    assert stated_rate(Volume(voxels, Geometry((2, 2, 2), np.eye(4)), fourth=axis)) == rate


def test_a_single_image_does_not_run(cine):
    cine.review.open(Volume(np.zeros((9, 9, 1)), Geometry((9, 9, 1), np.eye(4), "detector")))
    cine.play()
    assert not cine.playing


@pytest.mark.gui
def test_a_window_that_is_closed_while_it_runs(make_napari_viewer, scan, qtbot):
    viewer, review = make_napari_viewer(show=True), Review()
    layers = ReviewLayers(viewer, review)
    cine = Cine(viewer, review, viewer.window._qt_window)
    review.open(scan)
    first = layers.display_point()
    cine.set_rate(60)
    cine.play()
    qtbot.waitUntil(lambda: layers.display_point() != first, timeout=5_000)
    viewer.close()
    qtbot.wait(60)
