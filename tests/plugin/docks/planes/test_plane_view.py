from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari._qt.utils import QImg2array
from phantoms import ball, explanation_of
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QKeyEvent, QWheelEvent
from qtpy.QtWidgets import QApplication

from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Stacked
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.export.style import MASK_COLOUR, colours_of
from voxcam.plugin.docks.planes.plane_view import PlaneView
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui

# A scan of 60 x 50 x 40 mm, a voxel a millimetre, stored as it is displayed: i to the left, j back, k down.
AFFINE = np.array([[-1.0, 0, 0, 30], [0, -1, 0, 25], [0, 0, -1, 20], [0, 0, 0, 1]])


def study(voxels=None, **rest):
    voxels = np.zeros((60, 50, 40), np.int16) if voxels is None else voxels
    return Volume(voxels, Geometry(voxels.shape[:3], AFFINE), "MR", windows=(Window(50, 100),), **rest)


class Desk:
    """An axial view of 240 x 200, four pixels to a voxel, wired to a review."""

    def __init__(self, qtbot, volume=None, mask=None):
        self.review, self.view = Review(), PlaneView(0)
        qtbot.addWidget(self.view)
        self.view.resize(240, 200)
        self.view.point_asked.connect(self.review.go_to)
        self.review.point_changed.connect(self.refresh)
        self.review.open(study() if volume is None else volume, mask)
        self.review.go_to((0.0, 0.0, 0.0))
        self.view.show_review(self.review)
        self.view.show()
        qtbot.waitExposed(self.view)

    def refresh(self):
        self.view.show_look(self.review)

    @property
    def shot(self):
        return QImg2array(self.view.grab().toImage())[..., :3].astype(int)

    def turn(self, notches, at=(120, 100), keys=Qt.NoModifier):
        place = QPointF(*at)
        event = QWheelEvent(
            place, place, QPoint(), QPoint(0, 120 * notches), Qt.NoButton, keys, Qt.NoScrollPhase, False
        )
        QApplication.sendEvent(self.view, event)


@pytest.fixture
def desk(qtbot):
    return Desk(qtbot)


# --- the point


def test_what_is_under_the_mouse_is_told_and_nothing_beside_the_picture(desk, qtbot):
    told = []
    desk.view.hovered.connect(told.append)
    qtbot.mouseMove(desk.view, QPoint(80, 60))
    qtbot.waitUntil(lambda: told != [], timeout=5_000)
    # Pixel 80 is the middle of column 20 of 60, row 15 of 50: 30 - 20 mm and 25 - 15 mm, half a pixel in.
    assert np.allclose(told[-1], (30 - 19.625, 25 - 14.625, 0), atol=0.26)
    QApplication.sendEvent(desk.view, QEvent(QEvent.Leave))
    assert told[-1] is None


def test_a_click_asks_for_the_point_under_it_and_stays_on_the_slice(desk, qtbot):
    desk.review.go_to((3.0, 3.0, -7.0))
    qtbot.mouseClick(desk.view, Qt.LeftButton, pos=QPoint(80, 60))
    # Column 80 / 4 of 60 to the left, row 60 / 4 of 50 to the back; a pixel's corner is half a voxel off.
    assert desk.review.point_mm == pytest.approx((30 - 19.5, 25 - 14.5, -7), abs=0.5)


def test_a_drag_asks_all_the_way(desk, qtbot):
    asked = []
    desk.view.point_asked.connect(asked.append)
    qtbot.mousePress(desk.view, Qt.LeftButton, pos=QPoint(80, 60))
    qtbot.mouseMove(desk.view, QPoint(120, 60))
    qtbot.mouseMove(desk.view, QPoint(160, 60))
    qtbot.mouseRelease(desk.view, Qt.LeftButton, pos=QPoint(160, 60))
    qtbot.mouseMove(desk.view, QPoint(10, 10))
    assert [round(x) for x, _, _ in asked] == pytest.approx([10, 0, -10], abs=1)
    assert len({(y, z) for _, y, z in asked}) == 1


def test_a_click_beside_the_picture_asks_for_nothing(desk, qtbot):
    desk.view.resize(400, 200)
    with qtbot.assertNotEmitted(desk.view.point_asked):
        qtbot.mouseClick(desk.view, Qt.LeftButton, pos=QPoint(40, 100))


def test_on_a_mirrored_plane_a_click_asks_for_the_other_side(desk, qtbot):
    desk.review.set_convention(neurological=True)
    desk.view.show_review(desk.review)
    qtbot.mouseClick(desk.view, Qt.LeftButton, pos=QPoint(80, 60))
    assert desk.review.point_mm[0] == pytest.approx(-(30 - 19.5) + 1, abs=0.5)


@pytest.mark.parametrize(
    ("key", "steps"),
    [(Qt.Key_Down, 1), (Qt.Key_Up, -1), (Qt.Key_Right, 1), (Qt.Key_PageDown, 10), (Qt.Key_PageUp, -10)],
)
def test_keys_step_through_the_slices(desk, qtbot, key, steps):
    qtbot.keyClick(desk.view, key)
    assert desk.review.point_mm == pytest.approx((0, 0, -steps))


def test_the_wheel_steps_and_a_touchpad_adds_up(desk):
    desk.turn(-1)
    assert desk.review.point_mm == pytest.approx((0, 0, -1))
    desk.turn(2)
    assert desk.review.point_mm == pytest.approx((0, 0, 1))
    for _ in range(4):
        desk.turn(-0.25)
    assert desk.review.point_mm == pytest.approx((0, 0, 0))


def test_shift_and_arrows_move_the_point_on_the_plane(desk, qtbot):
    qtbot.keyClick(desk.view, Qt.Key_Right, Qt.ShiftModifier)
    qtbot.keyClick(desk.view, Qt.Key_Down, Qt.ShiftModifier)
    assert desk.review.point_mm == pytest.approx((-1, -1, 0))


def test_at_the_last_slice_nothing_more_is_asked(desk, qtbot):
    qtbot.keyClick(desk.view, Qt.Key_PageDown)
    qtbot.keyClick(desk.view, Qt.Key_PageDown)
    assert desk.review.point_mm[2] == pytest.approx(20 - 39)
    with qtbot.assertNotEmitted(desk.view.point_asked):
        qtbot.keyClick(desk.view, Qt.Key_PageDown)


def test_enter_asks_for_more_room_and_home_shows_the_whole_picture(desk, qtbot):
    with qtbot.waitSignal(desk.view.maximise_asked, timeout=500):
        qtbot.keyClick(desk.view, Qt.Key_Return)
    qtbot.keyClick(desk.view, Qt.Key_Plus)
    assert desk.view.is_zoomed
    qtbot.keyClick(desk.view, Qt.Key_Home)
    assert not desk.view.is_zoomed


def test_keys_that_mean_nothing_here_are_left_to_the_window(desk):
    for key, taken in ((Qt.Key_E, False), (Qt.Key_Down, True)):
        event = QKeyEvent(QEvent.KeyPress, key, Qt.NoModifier)
        QApplication.sendEvent(desk.view, event)
        assert event.isAccepted() == taken


def test_the_right_button_is_dragged_for_others(desk, qtbot):
    dragged = []
    desk.view.right_dragged.connect(lambda right, down: dragged.append((right, down)))
    qtbot.mousePress(desk.view, Qt.RightButton, pos=QPoint(50, 50))
    qtbot.mouseMove(desk.view, QPoint(60, 47))
    qtbot.mouseMove(desk.view, QPoint(65, 47))
    qtbot.mouseRelease(desk.view, Qt.RightButton, pos=QPoint(65, 47))
    assert dragged == [(10, -3), (5, 0)]
    assert desk.review.point_mm == (0, 0, 0)


# --- zoom


def test_what_is_under_the_mouse_stays_there_as_one_zooms(desk):
    before = desk.view.sight.to_plane(60, 150)
    desk.turn(3, at=(60, 150), keys=Qt.ControlModifier)
    assert desk.view.sight.per_mm == pytest.approx(4 * 1.25**3)
    assert desk.view.sight.to_plane(60, 150) == pytest.approx(before)
    assert desk.review.point_mm == (0, 0, 0)
    desk.turn(-9, at=(60, 150), keys=Qt.ControlModifier)
    assert not desk.view.is_zoomed


def test_the_middle_button_pans_and_a_double_click_brings_all_back(desk, qtbot):
    qtbot.keyClick(desk.view, Qt.Key_Plus)
    qtbot.mousePress(desk.view, Qt.MiddleButton, pos=QPoint(50, 50))
    qtbot.mouseMove(desk.view, QPoint(70, 40))
    qtbot.mouseRelease(desk.view, Qt.MiddleButton, pos=QPoint(70, 40))
    assert desk.view.sight.to_view(24.5, 29.5) == pytest.approx((140, 90))
    with qtbot.assertNotEmitted(desk.view.maximise_asked):
        qtbot.mouseDClick(desk.view, Qt.LeftButton, pos=QPoint(50, 50))
    assert desk.view.sight.box == (0, 0, 240, 200)
    with qtbot.waitSignal(desk.view.maximise_asked, timeout=500):
        qtbot.mouseDClick(desk.view, Qt.LeftButton, pos=QPoint(50, 50))


def test_another_study_is_shown_whole(desk, qtbot):
    qtbot.keyClick(desk.view, Qt.Key_Plus)
    desk.review.open(study())
    desk.view.show_review(desk.review)
    assert not desk.view.is_zoomed


# --- what is painted


def test_the_crosshair_runs_through_the_point_and_leaves_it_free(desk):
    desk.review.go_to((10.0, -5.0, 0.0))
    with_cross = desk.shot
    desk.view.show_crosshair(False)
    marked = np.abs(with_cross - desk.shot).max(axis=-1) > 60
    # Column 20 and row 30, in the middle of four pixels each.
    row, column = marked.sum(axis=1).argmax(), marked.sum(axis=0).argmax()
    assert abs(row - (30.5 * 4 - 0.5)) <= 1
    assert abs(column - (20.5 * 4 - 0.5)) <= 1
    assert not marked[row - 4 : row + 5, column - 4 : column + 5].any()


@pytest.fixture
def lit(qtbot):
    """Evidence round a voxel's centre: column 19, row 29 of the slice in the middle."""
    volume = study(np.full((60, 50, 40), 40, np.int16))
    desk = Desk(qtbot, volume)
    desk.review.adopt(
        explanation_of(
            volume,
            {
                "nodule": (0.9, 2 * ball(volume.geometry, (11, -4, 0), 12)),
                "other": (0.1, np.zeros(volume.shape)),
            },
        )
    )
    desk.view.show_crosshair(False)
    desk.refresh()
    return desk


def coloured(desk):
    return np.ptp(desk.shot, axis=-1) > 8


def test_the_peak_has_the_very_colour_of_the_figures(lit):
    lit.review.set_look(drawn="cells")  # between the cells a smooth picture's colours are mixed
    lit.refresh()
    style = lit.review.style("nodule")
    *colour, alpha = colours_of(2.0, style)
    expected = 255 * (np.array(colour) * alpha + 0.4 * (1 - alpha))
    assert np.abs(lit.shot[29 * 4 + 2, 19 * 4 + 2] - expected).max() <= 2


def test_evidence_is_that_of_the_slice_and_of_the_look(lit):
    wide = coloured(lit).sum()
    lit.review.go_to((0.0, 0.0, 9.0))
    assert 0 < coloured(lit).sum() < wide / 2
    lit.review.go_to((0.0, 0.0, 15.0))
    assert not coloured(lit).any()
    lit.review.go_to((0.0, 0.0, 0.0))
    for changes in ({"threshold": 0.8}, {"hidden": True}):
        lit.review.set_look(**changes)
        lit.refresh()
        assert coloured(lit).sum() < wide / 4
    assert not coloured(lit).any()


def test_contours_are_drawn_as_lines(lit):
    filled = coloured(lit)
    lit.review.set_look(drawn="contours", threshold=0.5)
    lit.refresh()
    lines = coloured(lit)
    assert 0 < lines.sum() < filled.sum() / 2
    assert not lines[29 * 4 : 30 * 4, 19 * 4 : 20 * 4].any()


def test_a_contour_is_closed_in_a_small_view_too(lit):
    lit.review.set_look(drawn="contours", threshold=0.79)
    for size in ((120, 100), (40, 34), (700, 600)):
        lit.view.setMinimumSize(1, 1)
        lit.view.resize(*size)
        lit.refresh()
        lines = coloured(lit)
        rows, columns = np.nonzero(lines)
        thick = np.ptp(rows) / 6 + 2
        for row in range(rows.min(), rows.max() + 1):
            sides = np.flatnonzero(lines[row])
            assert len(sides)
            # Left and right of the middle, but at the top and the bottom, where the ring turns.
            if rows.min() + thick < row < rows.max() - thick:
                assert sides[0] < columns.mean() < sides[-1]
        assert lines.sum() < 0.9 * np.ptp(rows) * np.ptp(columns) or size[0] == 40


def test_a_drawn_finding_is_outlined_along_its_voxels(qtbot):
    voxels = np.zeros((60, 50, 40), np.uint8)
    voxels[10:25, 20:40, 18:22] = 1
    mask = Volume(voxels, Geometry(voxels.shape, AFFINE), "SEG", "label")
    desk = Desk(qtbot, mask=mask)
    desk.view.show_crosshair(False)
    target = QColor(MASK_COLOUR).getRgb()[:3]
    line = np.abs(desk.shot - target).max(axis=-1) < 70
    rows, columns = np.nonzero(line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((80, 160, 40, 100), abs=1)
    assert not line[84:156, 44:96].any()
    desk.review.go_to((0.0, 0.0, -10.0))
    assert not (np.abs(desk.shot - target).max(axis=-1) < 70).any()


def test_the_scale_bar_is_as_long_as_it_says_and_only_where_there_are_millimetres(qtbot):
    desk = Desk(qtbot)
    desk.view.show_crosshair(False)
    light = desk.shot[-20:, :100].min(axis=-1) > 150
    _, columns = np.nonzero(light[10:])
    assert np.ptp(columns) == pytest.approx(
        40, abs=3
    )  # 1 cm at four pixels to a millimetre: a quarter at most
    unknown = study()
    desk.review.open(replace(unknown, geometry=Geometry(unknown.shape, AFFINE, "unknown")))
    desk.view.show_review(desk.review)
    assert not (desk.shot[-20:, :100].min(axis=-1) > 150).any()


def test_a_window_is_shown_at_once(qtbot):
    desk = Desk(qtbot, study(np.full((60, 50, 40), 30, np.int16)))
    desk.view.show_crosshair(False)
    assert desk.shot[60, 60, 0] == pytest.approx(0.3 * 255, abs=1)
    desk.review.set_window(Window(30, 60))
    desk.refresh()
    assert desk.shot[60, 60, 0] == pytest.approx(0.5 * 255, abs=1)


def test_the_asked_moment_is_shown(qtbot):
    voxels = np.zeros((60, 50, 40, 2), np.int16)
    voxels[..., 1] = 80
    desk = Desk(qtbot, study(voxels))
    assert desk.shot[60, 60, 0] == 0
    desk.view.show_review(desk.review, 1)
    assert desk.shot[60, 60, 0] == pytest.approx(204, abs=1)


def test_the_empty_room_is_black_and_asks_for_nothing(qtbot):
    view = PlaneView(1)
    qtbot.addWidget(view)
    view.resize(100, 100)
    view.show_review(Review())
    with qtbot.assertNotEmitted(view.point_asked):
        qtbot.mouseClick(view, Qt.LeftButton, pos=QPoint(50, 50))
        qtbot.keyClick(view, Qt.Key_Down)
    assert QImg2array(view.grab().toImage())[..., :3].max() == 0


# --- what it costs


class Counted:
    """Voxels that count how often they are asked."""

    def __init__(self, voxels):
        self.voxels, self.shape, self.dtype, self.ndim, self.asked = voxels, voxels.shape, voxels.dtype, 3, 0

    def __getitem__(self, key):
        self.asked += 1
        return self.voxels[key]


def test_a_hidden_view_reads_nothing_and_a_moved_crosshair_reads_no_slice_again(qtbot):
    voxels = Counted(np.zeros((60, 50, 40), np.int16))
    desk = Desk(qtbot, study(voxels))
    desk.view.grab()
    asked = voxels.asked
    desk.review.go_to((5.0, 5.0, 0.0))
    desk.view.grab()
    assert voxels.asked == asked
    desk.review.go_to((5.0, 5.0, 1.0))
    desk.view.grab()
    assert voxels.asked > asked
    desk.view.hide()
    asked = voxels.asked
    for z in range(5):
        desk.review.go_to((5.0, 5.0, float(z)))
        QApplication.processEvents()
    assert voxels.asked == asked


def test_a_burst_of_points_is_painted_once(qtbot):
    voxels = Counted(np.zeros((60, 50, 40), np.int16))
    desk = Desk(qtbot, study(voxels))
    QApplication.processEvents()
    asked = voxels.asked
    for z in range(1, 8):
        desk.review.go_to((0.0, 0.0, float(z)))
    QApplication.processEvents()
    assert voxels.asked - asked <= 1


def test_a_series_too_large_for_memory_is_not_read_through_for_a_picture(qtbot):
    read = []

    def image(k):
        read.append(k)
        return np.full((60, 50), 100, np.int16)

    volume = study(Stacked(image, (60, 50), 40, np.int16))
    desk = Desk(qtbot, volume)
    assert desk.shot[60, 60, 0] == 255
    read.clear()
    view = PlaneView(1)
    qtbot.addWidget(view)
    view.resize(400, 200)
    view.show_review(desk.review)
    shot = QImg2array(view.grab().toImage())[..., :3]
    assert not read
    assert 0 < (shot.min(axis=-1) > 150).mean() < 0.2  # words, no picture
