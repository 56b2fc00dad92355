from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from phantoms import ball

from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.peaks import peaks
from voxcam.core.volume import Volume

GRID = Geometry((20, 18, 16), np.diag([-2.0, -2.0, 3.0, 1.0]))


def heatmap(values, geometry=GRID):
    return Heatmap(Volume(np.asarray(values, np.float32), geometry, unit="logit"), "a", "grad-cam", "layer4")


def test_planted_balls_are_found_in_their_order_at_their_world_points():
    places = [(4, 4, 4), (15, 4, 4), (4, 13, 12)]
    heights = (1.0, 3.0, 2.0)
    values = sum(h * ball(GRID, GRID.to_world(p), 9) for p, h in zip(places, heights, strict=True))
    found = peaks(heatmap(values), GRID)
    order = [1, 2, 0]
    assert np.allclose([p.point_mm for p in found], [GRID.to_world(places[n]) for n in order])
    assert np.allclose([p.evidence for p in found], [heights[n] for n in order])


def test_a_small_bump_beside_a_high_peak_is_none_and_most_are_enough():
    values = np.zeros(GRID.shape)
    values[3, 3, 3], values[9, 9, 9], values[15, 15, 12] = 10, 1.9, 2.0
    assert [round(p.evidence, 4) for p in peaks(heatmap(values), GRID)] == [10, 2.0]
    assert len(peaks(heatmap(values), GRID, most=1)) == 1


def test_a_plateau_is_one_peak():
    values = np.zeros(GRID.shape)
    values[5:9, 5:9, 5:8] = 2
    (only,) = peaks(heatmap(values), GRID)
    assert only.evidence == 2


def test_nothing_speaks_no_peak():
    assert peaks(heatmap(-np.ones(GRID.shape)), GRID) == ()
    assert peaks(heatmap(np.full(GRID.shape, np.nan)), GRID) == ()


def test_cells_outside_the_study_are_no_peaks():
    values = np.zeros(GRID.shape)
    values[1, 9, 8], values[12, 9, 8] = 9, 4
    inside = GRID.window((6.0, 0.0, 0.0), (1, 1, 1), (14, 18, 16))
    assert [p.evidence for p in peaks(heatmap(values), inside)] == [4]


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_every_peak_is_higher_than_all_round_it_and_the_highest_is_the_map_s_own(seed):
    values = np.random.default_rng(seed).normal(size=(7, 6, 5)).astype(np.float32)
    grid = Geometry(values.shape, np.eye(4))
    found = peaks(heatmap(values, grid), grid, most=1000, least_share=0.0)
    padded = np.pad(values, 1, constant_values=-np.inf)
    truth = [
        values[at]
        for at in np.ndindex(values.shape)
        if values[at] > 0 and values[at] == padded[tuple(slice(n, n + 3) for n in at)].max()
    ]
    assert sorted(p.evidence for p in found) == sorted(float(v) for v in truth)
    assert found[0].evidence == values.max()
