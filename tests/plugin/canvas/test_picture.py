from __future__ import annotations

import numpy as np
import pytest
from phantoms import ball, explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.export.style import COLOURS, HeatmapStyle, colours_of, paint
from voxcam.plugin.canvas.frame import place
from voxcam.plugin.canvas.picture import SMOOTH_PIXELS, Picture

ROUNDING = 1.6 / 255  # bytes, and a table of 1024 entries


@pytest.fixture
def grid(scan):
    return place(scan.geometry).geometry


def test_one_class_has_the_colours_of_the_figures(explained, grid):
    heatmap = explained.heatmap("nodule")
    for colours in COLOURS:
        low = -3.0 if colours == "signed" else 0.0
        style = HeatmapStyle(low, 3.0, 0.2, 0.7, colours)
        picture = Picture(grid, 0, [(heatmap, style)])
        k = 4
        truth = colours_of(np.asarray(heatmap.on(grid).voxels[k]), style)
        shown = np.asarray(picture[k]) / 255
        seen = truth[..., 3] > 0.02
        assert np.abs(shown[..., 3] - truth[..., 3]).max() <= 3 * ROUNDING
        assert np.abs(shown[seen] - truth[seen]).max() <= 3 * ROUNDING


def test_several_classes_lie_over_each_other_as_figures_paint_them(explained, grid):
    """The picture over grey is what painting one class after the other gives."""
    styles = [HeatmapStyle(0, 3, 0, 0.8, "inferno"), HeatmapStyle(0, 0.5, 0.1, 0.6, "sky")]
    maps = [explained.heatmap("nodule"), explained.heatmap("effusion")]
    picture = Picture(grid, 0, list(zip(maps, styles, strict=True)))
    for k in (2, 4, 15):
        grey = np.full(grid.shape[1:], 0.4)
        for heatmap, style in zip(maps, styles, strict=True):
            grey = paint(grey, np.asarray(heatmap.on(grid).voxels[k]), style)
        rgba = np.asarray(picture[k]) / 255
        over = rgba[..., :3] * rgba[..., 3:] + 0.4 * (1 - rgba[..., 3:])
        assert np.abs(over - grey).max() <= 4 * ROUNDING


def test_no_evidence_is_an_empty_picture(grid):
    picture = Picture(grid, 1)
    assert picture.shape == (*grid.shape, 4)
    assert not np.asarray(picture[:, 3]).any()


def test_what_was_not_seen_and_what_speaks_against_has_no_colour(scan, grid):
    values = ball(scan.geometry, scan.geometry.to_world((24, 20, 10)), 20)
    values[:20], values[-10:] = np.nan, -1
    heatmap = explanation_of(scan, {"a": (0.5, values)}).heatmap("a")
    picture = np.asarray(Picture(grid, 0, [(heatmap, HeatmapStyle(0, 1))])[...])
    evidence = np.asarray(heatmap.on(grid).voxels)
    assert not picture[..., 3][np.isnan(evidence) | (np.nan_to_num(evidence) <= 0)].any()
    assert picture[..., 3].any()


def coarse(study, shape, values):
    return Heatmap(
        Volume(np.asarray(values, np.float32), study.coarsened(shape), unit="logit"), "a", "m", "l"
    )


def test_a_smooth_picture_of_a_large_study_is_thinner_but_not_along_the_slices():
    study = Geometry((512, 700, 40), np.diag([-0.7, -0.7, 2.0, 1.0]))
    grid = place(study).geometry
    picture = Picture(grid, 0)
    assert picture.shape[0] == 40
    assert max(picture.shape[1:3]) <= SMOOTH_PIXELS
    assert Picture(grid, 1).shape[1] == 700
    assert Picture(grid, 0, drawn="cells").shape == (*grid.shape, 4)
    corners = [
        grid.to_world(np.array(grid.shape) - 0.5),
        picture.grid.to_world(np.array(picture.grid.shape) - 0.5),
    ]
    assert np.allclose(*corners)


def test_cells_are_blocks_of_one_colour_at_the_network_s_units():
    study = Geometry((24, 24, 6), np.diag([-1.0, -1.0, 2.0, 1.0]))
    values = np.random.default_rng(0).uniform(0.2, 1, (3, 4, 2))
    heatmap = coarse(study, (3, 4, 2), values)
    grid = place(study).geometry
    picture = np.asarray(Picture(grid, 0, [(heatmap, HeatmapStyle(0, 1))], "cells")[...])
    axial = picture[0]
    blocks = axial.reshape(4, 6, 3, 8, 4)  # rows are j, columns i
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert len(np.unique(axial.reshape(-1, 4), axis=0)) == 12


def test_contours_run_where_the_evidence_crosses_their_levels(scan, grid):
    point = (24, 20, 10)
    values = ball(scan.geometry, scan.geometry.to_world(point), 24)
    heatmap = explanation_of(scan, {"a": (0.5, values)}).heatmap("a")
    style = HeatmapStyle(0, 1, 0.3, 0.9)
    k = int(np.rint(grid.to_index(scan.geometry.to_world(point))[0]))
    picture = Picture(grid, 0, [(heatmap, style)], "contours")
    assert np.array_equal(picture[k : k + 1][0], picture[k])  # as napari asks
    alpha = np.asarray(picture[k])[..., 3]
    lines, evidence = alpha > 0, np.asarray(heatmap.on(grid).voxels[k])
    assert set(np.unique(alpha)) == {0, round(255 * 0.9)}
    # A pixel of 1.5 mm: the evidence on a line is at most 1.5 / 24 above its level.
    away = np.min([np.where(evidence >= level, evidence - level, 9) for level in (0.3, 0.5, 0.8)], axis=0)
    assert away[lines].max() <= 1.5 / 24 + 1e-6


def test_no_contour_runs_at_zero_nor_along_the_border_of_what_there_is(scan, grid):
    noise = np.random.default_rng(0).normal(0, 0.05, scan.shape)
    flat = np.full(scan.shape, 0.7)
    flat[:5] = np.nan
    for values, threshold in ((noise, 0.0), (flat, 0.0), (flat, 0.6)):
        heatmap = explanation_of(scan, {"a": (0.5, values)}).heatmap("a")
        picture = Picture(grid, 0, [(heatmap, HeatmapStyle(0, 1, threshold))], "contours")
        assert not np.asarray(picture[4])[..., 3].any()
    values = ball(scan.geometry, scan.geometry.to_world((24, 20, 10)), 24)
    heatmap = explanation_of(scan, {"a": (0.5, values)}).heatmap("a")
    k = int(np.rint(grid.to_index(scan.geometry.to_world((24, 20, 10)))[0]))
    evidence = np.asarray(heatmap.on(grid).voxels[k])
    for threshold, lowest in ((0.0, 0.5), (0.3, 0.3)):
        alpha = np.asarray(Picture(grid, 0, [(heatmap, HeatmapStyle(0, 1, threshold))], "contours")[k])[
            ..., 3
        ]
        assert lowest < evidence[alpha > 0].min() < lowest + 0.07


def test_only_the_asked_slice_is_computed(explained, grid, monkeypatch):
    from voxcam.core.resampling import Resampled

    asked = []
    whole = Resampled.__getitem__
    monkeypatch.setattr(Resampled, "__getitem__", lambda self, key: (asked.append(key), whole(self, key))[1])
    np.asarray(Picture(grid, 0, [(explained.heatmap("nodule"), HeatmapStyle(0, 3))])[5])
    assert [key[0] for key in asked] == [5]
    assert len(asked) == 1
