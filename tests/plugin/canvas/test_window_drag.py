"""The right mouse button on the real canvas: the window follows, the camera does not."""

from __future__ import annotations

import math

import pytest
from mouse import Mouse
from qtpy.QtCore import Qt

from voxcam.core.windows import Window
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.window_drag import WindowDrag
from voxcam.plugin.review.review import Review
from voxcam.plugin.review.windows import FINE, PIXELS_A_WIDTH

pytestmark = pytest.mark.gui
OWN = Window(40, 400, "abdomen")


@pytest.fixture
def reading(make_napari_viewer, scan):
    """A scan on the screen, the mouse over it, and the windows that were asked for."""
    viewer, review, asked = make_napari_viewer(show=True), Review(), []
    layers = ReviewLayers(viewer, review)

    def ask(window):
        asked.append(window)
        review.set_window(window)

    review.open(scan)
    review.set_window(OWN)
    drag = WindowDrag(viewer, ask, lambda: review.window, lambda: OWN)
    return viewer, review, layers, Mouse(viewer), asked, drag


def camera(viewer):
    return viewer.scene.camera.zoom, viewer.scene.camera.center


def test_a_right_drag_changes_the_window_and_neither_zoom_nor_place(reading, qtbot):
    viewer, review, layers, mouse, asked, drag = reading
    before = camera(viewer)
    mouse.drag((100, 100), (180, 140), button=Qt.RightButton)
    width, level = 400 * math.exp(80 / PIXELS_A_WIDTH), 40 + 40 * 400 / PIXELS_A_WIDTH
    assert (review.window.width, review.window.centre) == (round(width), round(level))
    assert layers.study.contrast_limits == pytest.approx(review.window.ends)
    assert camera(viewer) == before
    assert not drag.dragging
    assert 1 <= len(asked) <= 5  # at most one for each move, and one at the end


def test_shift_makes_it_fine(reading):
    _, review, _, mouse, _, _ = reading
    mouse.drag((100, 100), (100, 200), button=Qt.RightButton, keys=Qt.ShiftModifier)
    assert review.window.centre == 40 + FINE * 100 * 400 / PIXELS_A_WIDTH


def test_moves_within_a_frame_are_one_redraw(reading, monkeypatch):
    _, review, _, mouse, asked, drag = reading
    drag._timer.setInterval(10_000)
    mouse.drag((100, 100), (150, 100), (180, 140), button=Qt.RightButton)
    assert asked == [review.window]
    assert review.window.width == round(400 * math.exp(80 / PIXELS_A_WIDTH))


def test_a_double_right_click_gives_the_studys_own_back_and_does_not_zoom(reading):
    viewer, review, _, mouse, _, _ = reading
    review.set_window(Window(-600, 1500))
    before = camera(viewer)
    mouse.double_click((120, 120), Qt.RightButton)
    assert review.window == OWN
    assert camera(viewer) == before
    mouse.double_click((120, 120), Qt.LeftButton)
    assert camera(viewer)[0] == pytest.approx(2 * before[0])  # napari's own


def test_the_left_button_still_moves_the_picture(reading):
    viewer, review, _, mouse, asked, _ = reading
    before = camera(viewer)
    mouse.drag((100, 100), (150, 120))
    assert camera(viewer)[1] != before[1]
    assert (asked, review.window) == ([], OWN)


def test_without_a_study_the_right_button_is_naparis(make_napari_viewer):
    viewer, asked = make_napari_viewer(show=True), []
    viewer.add_image(__import__("numpy").zeros((4, 20, 20)))
    WindowDrag(viewer, asked.append, lambda: None)
    before = camera(viewer)
    Mouse(viewer).drag((100, 100), (100, 160), button=Qt.RightButton)
    assert asked == []
    assert camera(viewer)[0] != before[0]
