"""Where windows lie along the slices, against places set by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantoms import ball, explanation_of

from voxcam.core.explanation import Windows
from voxcam.core.geometry import Geometry
from voxcam.plugin.review.along import along, classes_along
from voxcam.plugin.review.reading import Reading

NAMES = ("a", "b")


@pytest.fixture
def grid():
    """10 x 12 x 20 voxels of 2 x 2 x 5 mm; the first voxel at (-10, -20, 100), indices grow to L, A, S."""
    affine = np.diag([-2.0, 2.0, 5.0, 1.0])
    affine[:3, 3] = (-10, -20, 100)
    return Geometry((10, 12, 20), affine)


def windows(points, scores):
    return Windows(np.array(points, np.float64), np.array(scores, np.float32))


def test_axial_slices_are_counted_from_the_head(grid):
    # z = 100 mm is the lowest of 20 slices 5 mm apart, z = 195 the highest: slice 0 on the screen.
    found = along(
        windows([(0, 0, 100), (0, 0, 195), (0, 0, 150)], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]), NAMES, grid, 0
    )
    assert found.count == 20
    assert found.at == pytest.approx([19, 0, 9])
    assert found.positions == pytest.approx([0, 9, 19])
    assert found.highest[:, 0] == pytest.approx([0.2, 0.3, 0.1])
    assert not found.has_windows


def test_coronal_and_sagittal_slices_are_counted_from_the_front_and_from_the_right(grid):
    # y = 2 mm is the foremost of 12 slices; x = -10 mm the patient's rightmost of 10, x = -28 the leftmost.
    points = [(-10, 2, 100), (-28, -20, 100)]
    assert along(windows(points, [[0, 1], [1, 0]]), NAMES, grid, 1).at == pytest.approx([0, 11])
    assert along(windows(points, [[0, 1], [1, 0]]), NAMES, grid, 2).at == pytest.approx([0, 9])


def test_windows_on_one_slice_become_its_highest_score_class_by_class(grid):
    points = [(0, 0, 150), (8, 0, 150.5), (0, 0, 160), (8, 9, 159)]
    found = along(windows(points, [[0.1, 0.6], [0.5, 0.2], [0.3, 0.3], [np.nan, 0.9]]), NAMES, grid, 0)
    assert found.has_windows
    assert found.positions == pytest.approx([7.1, 8.95])  # the means of (7, 7.2) and (9, 8.9)
    assert found.highest == pytest.approx(np.array([[0.3, 0.9], [0.5, 0.6]]))
    assert [found.nearest(slice_) for slice_ in (0, 7.9, 8.2, 19)] == [0, 0, 1, 1]


def test_a_slice_without_a_number_stays_without_one(grid):
    found = along(windows([(0, 0, 150), (0, 0, 160)], [[np.nan, 0.5], [0.1, 0.2]]), NAMES, grid, 0)
    assert np.isnan(found.highest[1, 0])
    assert found.highest[0, 0] == pytest.approx(0.1)


def test_axial_windows_say_nothing_along_coronal_slices(grid):
    points = [(0, 0, z) for z in (100, 120, 140)]
    scores = [[0.1, 0.9]] * 3
    assert along(windows(points, scores), NAMES, grid, 0).is_spread
    assert not along(windows(points, scores), NAMES, grid, 1).is_spread


def test_a_point_is_moved_along_the_axis_alone(grid):
    found = along(windows([(0, 0, 100), (0, 0, 195)], [[0, 1], [1, 0]]), NAMES, grid, 0)
    start = (-13.0, -3.5, 122.0)
    assert found.slice_of(start) == pytest.approx(14.6)
    assert found.point_on(4, start) == pytest.approx((-13, -3.5, 175))
    assert found.point_on(99, start) == pytest.approx((-13, -3.5, 100))
    assert found.point_on(-3, start) == pytest.approx((-13, -3.5, 195))


def test_a_turned_grid_is_counted_along_its_own_slices():
    turn = np.radians(30)
    axes = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag([1.0, 1.0, 4.0])
    grid = Geometry((8, 8, 10), affine)
    centre = axes @ np.array([3.0, 5.0, 12.0])  # slice 3 of 10 from below: 6 from above
    found = along(windows([centre, axes @ np.array([0.0, 0.0, 36.0])], [[0, 1], [1, 0]]), NAMES, grid, 0)
    assert found.at == pytest.approx([6, 0])


def test_the_classes_drawn_are_those_shown_else_the_first_three(scan):
    blob = ball(scan.geometry, scan.geometry.to_world((10, 8, 15)), 12)
    scores = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7}
    reading = Reading(scan).explained_by(explanation_of(scan, {n: (s, blob) for n, s in scores.items()}))
    assert classes_along(reading) == ("b",)
    hidden = replace(reading, look=replace(reading.look, hidden=True))
    assert classes_along(hidden) == ("b",)  # scores are not hidden with the evidence
    off = replace(reading, look=replace(reading.look, shown=frozenset()))
    assert classes_along(off) == ("b", "d", "c")
    assert classes_along(Reading()) == ()
