"""Which of several open studies stay in memory when it is short."""

from __future__ import annotations

import numpy as np

from tests.plugin.review.reviewed import another
from voxcam.plugin.review.kept import kept_with
from voxcam.plugin.review.reading import Reading
from voxcam.plugin.review.review import Review


def test_studies_looked_at_long_ago_are_let_go_when_memory_is_short(monkeypatch):
    review = Review()
    size = np.zeros((9, 8, 7), np.int16).nbytes
    monkeypatch.setattr("voxcam.plugin.review.kept.KEPT_BYTES", 3 * size)
    volumes = [another() for _ in range(4)]
    for volume in volumes[:3]:
        review.open(volume)
    review.show(review.readings[0])  # looked at again: the second is now the oldest
    review.open(volumes[3])
    assert [one.volume for one in review.readings] == [volumes[2], volumes[0], volumes[3]]


def test_a_study_too_large_for_all_memory_is_kept_alone(monkeypatch):
    monkeypatch.setattr("voxcam.plugin.review.kept.KEPT_BYTES", 10)
    fresh = Reading(another())
    assert kept_with(fresh, [Reading(another()), Reading(another())]) == (fresh,)
    nothing = Reading()
    assert kept_with(nothing, [Reading(another()), Reading(another((1, 1, 5)))])[1:] == (nothing,)
