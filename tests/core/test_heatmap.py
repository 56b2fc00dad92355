from __future__ import annotations

import grids
import numpy as np
import pytest
from hypothesis import given

from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume


def heatmap_of(values, affine=None):
    values = np.asarray(values, dtype=np.float32)
    values = values.reshape(values.shape + (1,) * (3 - values.ndim))
    geometry = Geometry(values.shape, np.eye(4) if affine is None else affine)
    return Heatmap(Volume(values, geometry, unit="logit"), "nodule", "grad-cam", "layer4")


@given(grids.geometries())
def test_a_planted_peak_is_found_at_its_world_point(geometry):
    at = tuple(n // 2 for n in geometry.shape)
    values = np.full(geometry.shape, -1.0)
    values[at] = 2.5
    heatmap = heatmap_of(values, geometry.affine)
    np.testing.assert_allclose(heatmap.peak_mm, geometry.to_world(at))
    assert heatmap.largest == 2.5
    assert not heatmap.is_empty
    assert heatmap.summary == "evidence up to 2.5 logit units"


def test_of_equal_peaks_the_first_is_taken():
    values = np.zeros((3, 3, 3))
    values[1, 2, 0] = values[2, 0, 0] = values[1, 2, 2] = 4
    np.testing.assert_array_equal(heatmap_of(values).peak_mm, (1, 2, 0))


@pytest.mark.parametrize("values", [[0, 0], [-1, -2], [np.nan, -1], [np.nan, 0], [-0.0]])
def test_a_map_with_no_value_over_0_is_empty_and_says_so(values):
    heatmap = heatmap_of(values)
    assert heatmap.is_empty
    assert heatmap.peak_mm is None
    assert heatmap.summary == "no positive evidence"
    assert heatmap.largest == np.nanmax(values)


def test_a_map_that_saw_nothing_is_empty_with_no_largest_value_and_no_warning(recwarn):
    heatmap = heatmap_of([np.nan, np.nan])
    assert np.isnan(heatmap.largest)
    assert heatmap.is_empty
    assert heatmap.peak_mm is None
    assert not recwarn.list


def test_holes_are_passed_over_when_looking_for_the_peak():
    heatmap = heatmap_of([np.nan, 1, np.nan, 3, np.nan])
    assert heatmap.largest == 3
    np.testing.assert_array_equal(heatmap.peak_mm, (3, 0, 0))


def test_the_smallest_evidence_is_not_empty():
    assert not heatmap_of([np.nextafter(np.float32(0), np.float32(1))]).is_empty


def test_values_are_raw_float32_also_of_a_map_computed_as_asked():
    values = np.array([-3, 0, 700], np.float64)
    np.testing.assert_array_equal(heatmap_of(values).values[:, 0, 0], values)
    assert heatmap_of(values).values.dtype == np.float32
    heatmap = heatmap_of(values)
    again = Heatmap(heatmap.on(heatmap.evidence.geometry), "nodule", "grad-cam", "layer4")
    np.testing.assert_array_equal(again.values, heatmap.values)


def test_on_the_studys_grid_the_sign_and_unit_are_kept():
    heatmap = heatmap_of([-2, 2])
    on_study = heatmap.on(heatmap.evidence.geometry.coarsened((4, 1, 1)))
    assert on_study.unit == "logit"
    np.testing.assert_allclose(np.asarray(on_study.voxels)[:, 0, 0], [-2, -1, 1, 2])


@pytest.mark.parametrize(
    ("values", "flag", "summary"),
    [
        ([1, 2], None, "evidence up to 2 logit units"),
        ([0, -1], "no positive evidence", "no positive evidence"),
        ([3, 3], "constant", "evidence up to 3 logit units, the same at every place"),
        ([np.nan, 3], None, "evidence up to 3 logit units"),
        ([np.nan, np.nan], "non-finite", "no map: the method gave numbers that are not finite"),
        ([np.inf, -np.inf], "non-finite", "no map: the method gave numbers that are not finite"),
    ],
)
def test_what_is_odd_about_a_map_is_said(values, flag, summary):
    heatmap = heatmap_of(values)
    assert (heatmap.flag, heatmap.summary) == (flag, summary)


def test_values_of_a_scale_of_their_own_are_not_called_logits():
    values = Volume(np.full((1, 1, 1), 0.5, np.float32), Geometry((1, 1, 1), np.eye(4)))
    assert Heatmap(values, "nodule", "score-cam", "layer4").summary == "evidence up to 0.5 arbitrary units"
