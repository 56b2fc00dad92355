from __future__ import annotations

import dataclasses

import grids
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.localisation import localise
from voxcam.core.volume import Volume

SPACING = np.array([0.7, 0.9, 2.5])
STUDY = Geometry((16, 12, 8), np.diag([*SPACING, 1.0]))


def heatmap_on(geometry, values):
    return Heatmap(
        Volume(np.asarray(values, np.float32), geometry, unit="logit"), "nodule", "grad-cam", "layer4"
    )


def mask_of(finding, geometry=STUDY):
    return Volume(finding.astype(np.uint8), geometry, unit="label")


def peaked(at, geometry=STUDY):
    values = np.zeros(geometry.shape)
    values[at] = 1
    return heatmap_on(geometry, values)


def box(start, end):
    finding = np.zeros(STUDY.shape, bool)
    finding[tuple(slice(*ends) for ends in zip(start, end, strict=True))] = True
    return finding


@given(st.tuples(*[st.integers(0, n - 1) for n in STUDY.shape]))
def test_distance_of_a_planted_peak_agrees_with_scipys_distance_transform(at):
    finding = box((4, 3, 2), (9, 7, 5))
    found = localise(peaked(at), mask_of(finding))
    assert found.peak_in_mask is bool(finding[at])
    truth = distance_transform_edt(~finding, sampling=SPACING)[at]
    assert found.peak_distance_mm == pytest.approx(truth, abs=1e-9)
    assert found.energy_in_mask == (1 if finding[at] else 0)
    assert found.mask_share == pytest.approx(finding.mean())


@given(st.integers(0, 99), st.floats(0.1, 50))
def test_energy_of_an_even_map_equals_the_masks_share(seed, level):
    finding = np.random.default_rng(seed).random(STUDY.shape) > 0.8
    found = localise(heatmap_on(STUDY.coarsened((4, 3, 2)), np.full((4, 3, 2), level)), mask_of(finding))
    assert found.energy_in_mask == pytest.approx(found.mask_share)
    assert found.mask_share == pytest.approx(finding.mean())


@given(st.integers(0, 99))
def test_energy_of_any_map_on_the_masks_own_grid_is_the_closed_form(seed):
    rng = np.random.default_rng(seed)
    values, finding = rng.normal(size=STUDY.shape).astype(np.float32), rng.random(STUDY.shape) > 0.9
    found = localise(heatmap_on(STUDY, values), mask_of(finding))
    positive = np.clip(values.astype(np.float64), 0, None)
    assert found.energy_in_mask == pytest.approx(positive[finding].sum() / positive.sum(), rel=1e-6)


@given(
    st.integers(0, 20),
    st.sampled_from(["RAS", "LPS", "IPL", "SAR", "AIL"]),
    st.sampled_from(["RAS", "LPI", "PIR"]),
)
def test_the_order_of_axes_of_mask_or_map_changes_nothing(seed, codes, map_codes):
    rng = np.random.default_rng(seed)
    heatmap = heatmap_on(STUDY.coarsened((5, 4, 3)), rng.normal(size=(5, 4, 3)))
    turned = dataclasses.replace(heatmap, evidence=heatmap.evidence.reordered(map_codes))
    mask = mask_of(box((4, 3, 2), (9, 7, 5)))
    one, other = localise(heatmap, mask), localise(turned, mask.reordered(codes))
    assert one.peak_in_mask is other.peak_in_mask
    assert one.energy_in_mask == pytest.approx(other.energy_in_mask, rel=1e-5, abs=1e-7)
    assert one.peak_distance_mm == pytest.approx(other.peak_distance_mm, abs=1e-6)
    assert one.mask_share == pytest.approx(other.mask_share)


@given(grids.poses(shear=False))
def test_moving_map_and_mask_together_in_the_world_changes_only_the_scale(affine):
    step = np.cbrt(abs(np.linalg.det(affine)))
    affine = affine.copy()
    affine[:3, :3] *= step / np.linalg.norm(affine[:3, :3], axis=0)
    world = Geometry(STUDY.shape, affine)
    found = localise(peaked((15, 6, 3), world), mask_of(box((4, 3, 2), (9, 7, 5)), world))
    assert found.peak_in_mask is False
    assert found.peak_distance_mm == pytest.approx(7 * step)


def test_a_peak_beyond_the_masks_grid_is_a_miss_at_its_distance():
    # The map reaches further than the mask's grid, as a cropped segmentation does.
    wide = STUDY.window((-10, 0, 0), (1, 1, 1), (36, 12, 8))
    finding = np.ones(STUDY.shape, bool)
    low = localise(peaked((0, 5, 5), wide), mask_of(finding))
    high = localise(peaked((35, 5, 5), wide), mask_of(finding))
    assert low.peak_in_mask is False
    assert low.peak_distance_mm == pytest.approx(10 * 0.7)
    assert high.peak_distance_mm == pytest.approx(10 * 0.7)
    assert np.isnan(low.energy_in_mask), "no evidence lies on the mask's grid"


def test_what_the_network_did_not_see_counts_neither_as_mask_nor_as_map():
    finding = box((0, 0, 0), (16, 12, 2))
    lower_half = STUDY.window((0, 0, 0), (1, 1, 1), (16, 12, 4))
    found = localise(heatmap_on(lower_half, np.ones((16, 12, 4))), mask_of(finding))
    assert found.mask_share == pytest.approx(0.5)
    assert found.energy_in_mask == pytest.approx(0.5)


def test_an_empty_mask_is_neither_a_hit_nor_a_miss():
    found = localise(peaked((1, 1, 1)), mask_of(np.zeros(STUDY.shape, bool)))
    assert found.peak_in_mask is None
    assert np.isnan(found.peak_distance_mm)
    assert np.isnan(found.energy_in_mask)
    assert found.mask_share == 0


def test_an_empty_map_has_no_peak_and_no_energy_but_the_mask_its_share():
    finding = box((4, 3, 2), (9, 7, 5))
    found = localise(heatmap_on(STUDY, -np.ones(STUDY.shape)), mask_of(finding))
    assert found.peak_in_mask is None
    assert np.isnan(found.peak_distance_mm)
    assert np.isnan(found.energy_in_mask)
    assert found.mask_share == pytest.approx(finding.mean())


def test_a_map_that_saw_nothing_of_the_mask_has_no_share():
    away = STUDY.window((100, 0, 0), (1, 1, 1), STUDY.shape)
    found = localise(heatmap_on(away, np.full(STUDY.shape, np.nan)), mask_of(box((0, 0, 0), (2, 2, 2))))
    assert found.peak_in_mask is None
    assert np.isnan([found.energy_in_mask, found.mask_share]).all()


def test_negative_evidence_in_the_mask_takes_nothing_away():
    values = np.zeros(STUDY.shape)
    values[0, 0, 0], values[1, 0, 0], values[2, 0, 0] = 3, -50, 1
    found = localise(heatmap_on(STUDY, values), mask_of(box((0, 0, 0), (2, 1, 1))))
    assert found.energy_in_mask == pytest.approx(0.75)
    assert found.peak_in_mask is True
    assert found.peak_distance_mm == 0


@pytest.mark.parametrize("value", [1, 2, 255, 0.5])
def test_any_value_over_0_is_the_finding_and_holes_and_negatives_are_not(value):
    voxels = np.full(STUDY.shape, np.nan)
    voxels[:8] = -1
    voxels[3, 3, 3] = value
    found = localise(peaked((3, 3, 3)), Volume(voxels, STUDY))
    assert found.peak_in_mask is True
    assert found.mask_share == pytest.approx(1 / voxels.size)
