from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.canvas.crosshair import Crosshair
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.review.review import Review


class Desk:
    def __init__(self, viewer, volume=None):
        self.viewer, self.review = viewer, Review()
        self.layers = ReviewLayers(viewer, self.review)
        self.crosshair = Crosshair(viewer, self.review, lambda: self.layers.placement)
        self.crosshair.asked.connect(self.review.go_to)
        if volume is not None:
            self.review.open(volume)

    @property
    def overlay(self):
        return self.viewer.scene.overlays["voxcam_crosshair"]

    @property
    def crossing(self):
        """Where the two lines would meet: display coordinates down and across."""
        first, _, _, _, last, *_ = self.overlay.ends
        return first[0], last[1]

    def mouse(self, *places, button=1, modifiers=(), position=(0.0, 0.0, 0.0)):
        """Press at the first place on the canvas, move over the others, let go at the last."""
        event = SimpleNamespace(
            type="mouse_press",
            is_dragging=True,
            button=button,
            modifiers=modifiers,
            position=position,
            pos=places[0],
            handled=False,
        )
        mouse_press_callbacks(self.viewer, event)
        for place in places[1:]:
            event.type, event.pos = "mouse_move", place
            mouse_move_callbacks(self.viewer, event)
        event.type = "mouse_release"
        mouse_release_callbacks(self.viewer, event)


@pytest.fixture
def desk(scan):
    return Desk(ViewerModel(), scan)


def test_the_lines_cross_at_the_point_in_every_plane(desk):
    desk.review.go_to((10.0, -5.0, -50.0))
    shown = (50.0, 5.0, -10.0)  # towards I, P, L
    for through, (down, across) in enumerate([(1, 2), (0, 2), (0, 1)]):
        desk.layers.show_plane(through)
        assert desk.crossing == pytest.approx((shown[down], shown[across]))


def test_the_lines_run_over_the_whole_study_and_leave_the_point_free(desk):
    desk.review.go_to((10.0, -5.0, -50.0))
    ends = np.array(desk.overlay.ends)
    # The scan's box: 48 x 40 voxels of 1.5 mm from x = 40.75 to the left, from y = 25.75 to the back.
    assert (ends[:4, 1].min(), ends[:4, 1].max()) == pytest.approx((-40.75, 31.25))
    assert (ends[4:, 0].min(), ends[4:, 0].max()) == pytest.approx((-25.75, 34.25))
    for zoom in (2.0, 8.0):
        desk.viewer.scene.camera.zoom = zoom
        left, right = desk.overlay.ends[1][1], desk.overlay.ends[2][1]
        assert (left + 10) * zoom == pytest.approx(-(right + 10) * zoom)
        assert (right - left) * zoom == pytest.approx(18)  # as many pixels at any zoom


def test_a_step_through_the_slices_draws_no_line_anew(desk):
    drawn = []
    desk.overlay.events.ends.connect(drawn.append)
    for step in range(3, 9):
        desk.viewer.dims.set_current_step(0, step)
    assert not drawn
    desk.review.go_to((12.0, -5.0, -50.0))
    assert len(drawn) == 1


def test_it_is_drawn_only_where_planes_cross(desk, scan):
    assert desk.overlay.visible
    desk.viewer.dims.ndisplay = 3
    assert not desk.overlay.visible
    desk.viewer.dims.ndisplay = 2
    desk.crosshair.show(False)
    assert not desk.overlay.visible
    desk.review.go_to((1.0, 2.0, -40.0))
    assert not desk.overlay.visible
    desk.crosshair.show(True)
    assert desk.overlay.visible
    desk.review.open(
        Volume(np.zeros((30, 20, 1), np.int16), Geometry((30, 20, 1), np.diag([-1, -1, 1, 1.0])))
    )
    assert not desk.overlay.visible
    assert not Desk(ViewerModel()).overlay.visible


def test_it_is_no_layer_and_takes_no_selection(desk):
    assert [layer.name for layer in desk.viewer.layers] == ["CT"]
    assert desk.viewer.layers.selection.active is desk.layers.study


def test_a_volume_in_time_has_it_too(scan):
    voxels = np.zeros((*scan.shape, 3), np.int16)
    desk = Desk(ViewerModel(), Volume(voxels, scan.geometry, "MR"))
    desk.review.go_to((10.0, -5.0, -50.0))
    assert desk.crossing == pytest.approx((5, -10))
    desk.mouse((100, 100), position=(1.0, 50.0, -8.0, -20.0))
    assert desk.review.point_mm == pytest.approx((20, 8, -50))


def test_a_click_asks_for_the_point_and_keeps_to_the_slice(desk):
    desk.review.go_to((10.0, -5.0, -50.2))
    desk.mouse((100, 100), (102, 99), position=(50.0, -8.0, -20.0))
    assert desk.review.point_mm == pytest.approx((20, 8, -50.2))
    desk.layers.show_plane(2)
    desk.mouse((100, 100), position=(60.0, 3.0, -20.0))
    assert desk.review.point_mm == pytest.approx((20, -3, -60))


@pytest.mark.parametrize(
    "what",
    [
        {"places": ((100, 100), (130, 100))},
        {"places": ((100, 100), (130, 100), (100, 100))},
        {"button": 2},
        {"modifiers": ("Shift",)},
        {"position": (50.0, 500.0, 0.0)},
    ],
    ids=["dragged", "dragged and back", "right button", "with Shift", "beside the study"],
)
def test_what_is_no_click_on_the_study_asks_for_nothing(desk, what):
    asked = []
    desk.crosshair.asked.connect(asked.append)
    rest = {name: value for name, value in what.items() if name != "places"}
    desk.mouse(*what.get("places", ((100, 100),)), **{"position": (50.0, -8.0, -20.0), **rest})
    assert not asked


def test_with_a_brush_in_the_hand_a_click_asks_for_nothing(desk, scan):
    asked = []
    desk.crosshair.asked.connect(asked.append)
    labels = desk.viewer.add_labels(np.zeros((20, 40, 48), np.uint8))
    labels.mode = "paint"
    desk.mouse((100, 100), position=(50.0, -8.0, -20.0))
    assert not asked
    labels.mode = "pan_zoom"
    desk.mouse((100, 100), position=(50.0, -8.0, -20.0))
    assert len(asked) == 1


def test_when_the_room_is_closed_the_canvas_is_as_it_was(desk):
    asked = []
    desk.crosshair.asked.connect(asked.append)
    desk.crosshair.close()
    desk.crosshair.close()
    desk.mouse((100, 100), position=(50.0, -8.0, -20.0))
    assert not asked
    assert not desk.overlay.visible


@pytest.mark.gui
def test_a_real_click_in_a_real_window_moves_the_point_under_the_mouse(make_napari_viewer, scan, qtbot):
    desk = Desk(make_napari_viewer(show=True), scan)
    desk.viewer.window.resize(900, 700)
    QApplication.processEvents()
    native = desk.viewer.window._qt_viewer.canvas.native
    camera = desk.viewer.scene.camera
    where = QPoint(native.width() // 2 + 40, native.height() // 2 - 30)
    qtbot.mousePress(native, Qt.LeftButton, pos=where)
    qtbot.mouseRelease(native, Qt.LeftButton, pos=where)
    down, across = np.array(camera.center)[-2:] + np.array((-30, 40)) / camera.zoom
    x, y, z = desk.review.point_mm
    # Half a pixel of the screen, which may be counted from its corner or its middle.
    assert (-y, -x) == pytest.approx((down, across), abs=1 / camera.zoom)
    assert z == pytest.approx(-50)
