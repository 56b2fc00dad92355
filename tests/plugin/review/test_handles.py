"""Holding and pulling a drawing, in a plane."""

from __future__ import annotations

import numpy as np
import pytest

from voxcam.plugin.review.handles import WHOLE, box, held, outline, pulled

BOX = box((10, 20), (30, 60))


def test_a_box_has_its_corners_in_turn():
    sides = np.linalg.norm(np.roll(BOX, -1, axis=0) - BOX, axis=1)
    assert sides.tolist() == [40, 20, 40, 20]


def test_an_oval_touches_the_middles_of_its_box_and_nothing_beyond():
    line = outline("ellipse", BOX)
    assert line.min(axis=0) == pytest.approx([10, 20])
    assert line.max(axis=0) == pytest.approx([30, 60])
    assert (((line - (20, 40)) / (10, 20)) ** 2).sum(axis=1) == pytest.approx(np.ones(len(line)))


@pytest.mark.parametrize(
    ("kind", "points", "at", "part"),
    [
        ("distance", [(0, 0), (0, 10)], (0.5, 9.7), 1),
        ("distance", [(0, 0), (0, 10)], (0.9, 5), WHOLE),
        ("distance", [(0, 0), (0, 10)], (1.5, 5), None),
        ("distance", [(0, 0), (0, 10)], (0, 12), None),
        ("angle", [(0, 10), (0, 0), (10, 0)], (5, 5), None),  # its third side is not there
        ("angle", [(0, 10), (0, 0), (10, 0)], (5, 0.5), WHOLE),
        ("rectangle", BOX, (29.5, 59.5), 2),
        ("rectangle", BOX, (20, 20.5), WHOLE),
        ("rectangle", BOX, (20, 40), None),  # through the middle the picture can be moved
        ("ellipse", BOX, (20, 20.5), WHOLE),
        ("ellipse", BOX, (10.2, 59.9), 1),
        ("freehand", BOX, (29.5, 59.5), WHOLE),
        ("freehand", BOX, (20, 20.5), WHOLE),  # the side that closes it
    ],
)
def test_what_is_held(kind, points, at, part):
    assert held(kind, points, at, 1.0) == part


def test_pulling_the_line_moves_the_whole():
    assert pulled("ellipse", BOX, WHOLE, (1, 1), (4, -1)) == pytest.approx(BOX + np.array([3, -2]))


@pytest.mark.parametrize("part", range(4))
def test_pulling_a_corner_of_a_box_keeps_the_one_across(part):
    found = pulled("rectangle", BOX, part, BOX[part], BOX[part] + np.array([5, -3]))
    assert found[part] == pytest.approx(BOX[part] + np.array([5, -3]))
    assert found[(part + 2) % 4] == pytest.approx(BOX[(part + 2) % 4])
    sides = np.roll(found, -1, axis=0) - found
    assert (sides[0] @ sides[1], sides[1] @ sides[2]) == pytest.approx((0, 0))


def test_pulling_a_point_moves_that_point_only():
    found = pulled("angle", [(0, 10), (0, 0), (10, 0)], 1, (0.5, 0.5), (2.5, 1.5))
    assert found.tolist() == [[0, 10], [2, 1], [10, 0]]
