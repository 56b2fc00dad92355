"""What the views see of the study on the screen."""

from __future__ import annotations

import numpy as np
import pytest

from voxcam.plugin.review.review import Review


def test_without_a_study_there_is_nothing_to_see():
    review = Review()
    assert (review.volume, review.mask, review.explanation, review.window) == (None,) * 4
    assert (review.point_mm, review.rows, review.visible) == ((0.0, 0.0, 0.0), (), ())
    assert review.heatmap("nodule") is None


def test_the_planes_cross_in_the_middle_until_a_point_is_asked_for(review):
    # Voxel (24, 20, 10) of a grid of (48, 40, 20) with steps of (-1.5, -1.5, 3) mm from (40, 25, -80).
    assert np.allclose(review.point_mm, (4, -5, -50))
    review.go_to((1.0, 2.0, -60.0))
    assert review.point_mm == (1.0, 2.0, -60.0)


def test_evidence_is_that_of_the_study_on_the_screen(review, scan, explained):
    review.adopt(explained)
    assert review.explanation is explained
    assert review.heatmap("nodule") is explained.heatmap("nodule")
    assert [row.name for row in review.rows] == ["nodule", "effusion", "clear"]
    review.open(scan)
    assert review.heatmap("nodule") is None
    assert review.rows == ()


def test_what_is_seen_is_changed_by_the_verbs_alone(review):
    with pytest.raises(AttributeError):
        review.point_mm = (0.0, 0.0, 0.0)
