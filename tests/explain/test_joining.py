"""Several views or classifiers become one: the mean, and the spread, each at its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lookers import looker
from numpy.testing import assert_allclose

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError
from voxcam.explain import explain
from voxcam.explain.joining import values_on
from voxcam.explain.view import mirrored, views_of
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.tiling import Tiling


def _scan() -> Volume:
    affine = np.array([[0, 2.0, 0, 5], [-1.5, 0, 0, 7], [0, 0, 3.0, -9], [0, 0, 0, 1]])
    voxels = np.random.default_rng(0).normal(size=(16, 24, 20)).astype(np.float32)
    return Volume(voxels, Geometry(voxels.shape, affine), "MR")


WHOLE = {"tiling": Tiling(), "preprocessing": build_preprocessing(None)}


def test_a_mirrored_input_keeps_every_voxel_at_its_place() -> None:
    prepared = looker(**WHOLE).prepare(_scan())
    for axes in ("i", "jk", "ijk"):
        turned = mirrored(prepared, axes)
        at = np.array([3, 5, 7])
        world = prepared.geometry.to_world(at)
        i, j, k = np.rint(turned.geometry.to_index(world)).astype(int)
        assert turned.image[0, i, j, k] == prepared.image[0, 3, 5, 7]
    assert mirrored(prepared, "") is prepared


def test_of_a_network_that_knows_no_left_or_right_all_views_agree_and_the_spread_is_0() -> None:
    # The looker's first convolution is symmetric, so a mirrored input gives the mirrored map.
    volume, classifier = _scan(), looker(**WHOLE)
    one = explain(volume, classifier, placement="usual")
    all_views = explain(volume, classifier, placement="usual", augment=["i", "jk"])
    for name in classifier.classes:
        assert all_views.scores[name] == pytest.approx(one.scores[name], abs=1e-6)
        assert all_views.spread[name] == pytest.approx(0, abs=1e-6)
        heatmap = all_views.heatmap(name)
        assert heatmap.spread is not None
        assert_allclose(heatmap.values, one.heatmap(name).values, atol=1e-5)
        assert np.abs(heatmap.spread).max() < 1e-5
    assert [member["name"] for member in all_views.provenance["members"]] == [
        "looker, as it is",
        "looker, mirrored along i",
        "looker, mirrored along jk",
    ]


def test_an_ensemble_is_the_mean_of_its_members_and_its_spread_their_deviation() -> None:
    volume = _scan()
    a, b = looker(**WHOLE), looker(**WHOLE)
    with torch.no_grad():
        b.network.head.weight *= 1.5
    parts = [explain(volume, one, placement="usual") for one in (a, b)]
    both = explain(volume, [a, b], placement="usual")
    for name in a.classes:
        scores = [part.scores[name] for part in parts]
        assert both.scores[name] == pytest.approx(np.mean(scores))
        assert both.spread[name] == pytest.approx(np.std(scores, ddof=1))
        maps = np.stack([part.heatmap(name).values for part in parts])
        assert_allclose(both.heatmap(name).values, maps.mean(0), atol=1e-6)
        assert_allclose(both.heatmap(name).spread, maps.std(0, ddof=1), atol=1e-6)
    assert both.score_words("bright").count("±") == 1
    assert both.windows is None


def test_members_on_different_grids_are_joined_in_the_world() -> None:
    volume = _scan()
    coarse = build_preprocessing(
        {"_target_": "Compose", "transforms": [{"_target_": "Spacing", "pixdim": [3.0, 3.0, 3.0]}]}
    )
    a, b = looker(**WHOLE), looker(tiling=Tiling(), preprocessing=coarse)
    first, second = (explain(volume, one, placement="usual").heatmap("bright") for one in (a, b))
    joint = explain(volume, [a, b], placement="usual").heatmap("bright")
    there = np.asarray(second.on(first.evidence.geometry).voxels)
    expected = np.where(np.isfinite(there), (first.values + there) / 2, first.values)
    assert_allclose(joint.values, expected, atol=1e-5)


def test_a_mirrored_grid_is_turned_and_not_interpolated() -> None:
    heatmap = explain(_scan(), looker(**WHOLE), placement="usual").heatmap("bright")
    geometry = heatmap.evidence.geometry.reordered((0, 1, 2), (True, False, True))
    assert np.array_equal(values_on(heatmap, geometry), heatmap.values[::-1, :, ::-1])


def test_a_joined_explanation_is_saved_with_its_spread(tmp_path) -> None:
    import voxcam

    both = explain(_scan(), [looker(**WHOLE), looker(**WHOLE)], placement="usual")
    both.save(tmp_path / "saved")
    back = voxcam.load_explanation(tmp_path / "saved")
    assert back.spread == both.spread
    assert back.answer == both.answer
    assert np.array_equal(back.heatmap("bright").spread, both.heatmap("bright").spread)


def test_members_that_do_not_answer_alike_are_refused() -> None:
    a = looker(**WHOLE)
    renamed = replace(a, statement=replace(a.statement, classes=("x", "dark", "never")))
    with pytest.raises(ExplainError, match="same classes in the same order"):
        explain(_scan(), [a, renamed])
    with pytest.raises(ExplainError, match="no classifier"):
        explain(_scan(), [])


def test_views_are_axes() -> None:
    assert views_of(["ji", "k", "ij"]) == ("", "ij", "k")
    for wrong in ("", "x", "ii"):
        with pytest.raises(ExplainError, match="mirror axes"):
            views_of([wrong])
