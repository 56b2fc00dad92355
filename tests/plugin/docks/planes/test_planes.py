from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.docks.planes.planes import THREE, TWO, Planes
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui


@pytest.fixture
def review(scan):
    review = Review()
    review.open(scan)
    return review


@pytest.fixture
def dock(qtbot, review):
    planes = Planes()
    qtbot.addWidget(planes)
    planes.resize(318, 640)
    planes.show_review(review)
    planes.show()
    qtbot.waitExposed(planes)
    return planes


def shown(planes):
    return [through for through, view in enumerate(planes.views) if view.isVisible()]


def said(planes, through):
    return planes.panes[through].words.text()


def test_the_planes_that_the_main_picture_does_not_show_are_here(dock):
    assert shown(dock) == [1, 2]
    dock.show_main(1)
    assert shown(dock) == [0, 2]
    dock.choice.setCurrentText(THREE)
    assert shown(dock) == [0, 1, 2]
    dock.choice.setCurrentText(TWO)
    dock.show_main(-1)  # the main picture is in three dimensions
    assert shown(dock) == [0, 1, 2]


def test_a_plane_is_asked_into_the_main_picture(dock, qtbot):
    asked = []
    dock.plane_asked.connect(asked.append)
    qtbot.mouseClick(dock.panes[2].swap, Qt.LeftButton)
    qtbot.keyClick(dock.panes[1].swap, Qt.Key_Space)
    assert asked == [2, 1]
    dock.choice.setCurrentText(THREE)
    assert not dock.panes[0].swap.isVisible()  # it is there already
    assert "coronal" in dock.panes[1].swap.toolTip()
    assert dock.panes[1].swap.toolTip().endswith("(C)")


def test_one_plane_takes_the_dock_and_gives_it_back(dock, qtbot):
    qtbot.mouseDClick(dock.views[1], Qt.LeftButton, pos=QPoint(60, 60))
    assert shown(dock) == [1]
    qtbot.mouseClick(dock.panes[1].alone, Qt.LeftButton)
    assert shown(dock) == [1, 2]
    qtbot.keyClick(dock.views[2], Qt.Key_Return)
    assert shown(dock) == [2]
    dock.show_main(2)  # swapped away: what is left is shown
    assert shown(dock) == [0, 1]


def test_each_plane_says_where_it_is_and_follows_the_point(dock, review):
    # The scan's box begins at y = 25 mm and runs 40 voxels of 1.5 mm backwards, its middle voxel the 21st.
    assert said(dock, 1) == "coronal, y = -5.0 mm (RAS)"
    assert dock.panes[1].words.toolTip().startswith("coronal, y = -5.0 mm (RAS), slice 21 of 40\n")
    assert not dock.views[1].toolTip()  # it would lie on the picture
    assert dock.views[1].accessibleName() == "coronal, y = -5.0 mm (RAS), slice 21 of 40"
    review.go_to((10.0, 1.0, -50.0))
    dock.show_point(review)
    assert said(dock, 1) == "coronal, y = 1.0 mm (RAS)"
    assert said(dock, 2) == "sagittal, x = 10.0 mm (RAS)"


def test_what_was_hidden_is_right_when_it_is_shown(dock, review):
    review.go_to((10.0, 1.0, -50.0))
    dock.show_point(review)
    dock.choice.setCurrentText(THREE)
    assert said(dock, 0) == "axial, z = -50.0 mm"
    dock.hide()
    review.go_to((10.0, 1.0, -41.0))
    dock.show_point(review)
    assert said(dock, 0) == "axial, z = -50.0 mm"  # nothing is done for a hidden dock
    dock.show()
    assert said(dock, 0) == "axial, z = -41.0 mm"


def test_what_the_views_ask_goes_on(dock, qtbot):
    with qtbot.waitSignal(dock.point_asked, timeout=500) as asked:
        qtbot.keyClick(dock.views[1], Qt.Key_Down)
    assert asked.args[0][1] == pytest.approx(-6.5)
    with qtbot.waitSignal(dock.right_dragged, timeout=500) as dragged:
        qtbot.mousePress(dock.views[2], Qt.RightButton, pos=QPoint(50, 50))
        qtbot.mouseMove(dock.views[2], QPoint(53, 48))
    assert dragged.args == [3, -2]


def test_the_crosshair_is_turned_off_in_all_pictures(dock, qtbot):
    with qtbot.waitSignal(dock.crosshair_asked, timeout=500) as asked:
        dock.crosshair.click()
    assert asked.args == [False]
    assert not any(view.crossed for view in dock.views)
    with qtbot.assertNotEmitted(dock.crosshair_asked):
        dock.show_crosshair(True)
    assert dock.crosshair.isChecked()
    assert all(view.crossed for view in dock.views)


def test_without_other_planes_the_dock_says_why(dock, review):
    flat = Volume(
        np.zeros((30, 20, 1), np.int16), Geometry((30, 20, 1), np.diag([-1, -1, 1, 1.0]), "unknown")
    )
    review.open(flat)
    dock.show_review(review)
    assert shown(dock) == []
    assert "no other planes" in dock.message.text()
    assert dock.message.isVisible()
    review.close(review.reading)
    review.close(review.reading)
    dock.show_review(review)
    assert "Open a scan" in dock.message.text()
    assert shown(dock) == []


def test_an_oblique_scan_has_its_badge(dock, review):
    assert not dock.badge.isVisible()
    turn = np.array([[1, 0, 0, 0], [0, 0.99, -0.14, 0], [0, 0.14, 0.99, 0], [0, 0, 0, 1.0]])
    review.open(Volume(np.zeros((60, 60, 10), np.int16), Geometry((60, 60, 10), turn)))
    dock.show_review(review)
    assert dock.badge.isVisible()
    assert "oblique 8.0°" in dock.badge.text()
    assert said(dock, 1).startswith("oblique coronal (8°)")


def test_where_the_patient_is_not_known_no_plane_is_called_coronal(dock, review):
    review.open(Volume(np.zeros((9, 8, 7), np.int16), Geometry((9, 8, 7), np.eye(4), "unknown")))
    dock.show_review(review)
    assert said(dock, 1) == "second plane"
    assert dock.views[1].plane.letters is None
    assert "second plane" in dock.panes[1].swap.toolTip()


def test_everything_is_reached_by_the_tab_key(dock):
    reached, widget = [], dock.choice
    for _ in range(40):
        widget = widget.nextInFocusChain()
        if widget.isVisible() and widget.focusPolicy() & Qt.TabFocus:
            reached.append(widget)
    for pane in (dock.panes[1], dock.panes[2]):
        assert {pane.swap, pane.alone, pane.view} <= set(reached)
    assert dock.crosshair in reached


def test_the_letters_and_signs_fit_a_narrow_dock(dock):
    dock.resize(190, 500)
    QApplication.processEvents()
    assert all(pane.words.width() > 0 for pane in dock.panes[1:])
    assert dock.panes[1].alone.geometry().right() <= dock.panes[1].width()
