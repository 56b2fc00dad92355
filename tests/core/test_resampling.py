from __future__ import annotations

import itertools

import grids
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry
from voxcam.core.resampling import Resampled

torch.set_num_threads(1)


def noise(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def tilted(geometry, degrees):
    """The same grid turned about its own middle."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("zyx", [degrees] * 3, degrees=True).as_matrix()
    turn[:3, 3] = geometry.centre_mm - turn[:3, :3] @ geometry.centre_mm
    return Geometry(geometry.shape, turn @ geometry.affine)


def by_scipy(voxels, source, target, order=1):
    """The independent truth: each target voxel's world point looked up in the source by scipy."""
    where = source.to_index(target.to_world(grids.every_index(target.shape)))
    inside = source.contains(target.to_world(grids.every_index(target.shape)))
    values = ndimage.map_coordinates(
        voxels.astype(np.float64), np.moveaxis(where, -1, 0), order=order, mode="nearest"
    )
    border = np.minimum(np.abs(where + 0.5), np.abs(where + 0.5 - source.shape)).min(axis=-1)
    tie = np.abs(where % 1 - 0.5).min(axis=-1)
    return values, inside, border > 1e-5, tie > 1e-5


@given(grids.geometries(), grids.geometries(), st.integers(0, 99))
def test_any_pose_agrees_with_scipys_map_coordinates(source, pose, seed):
    target = Geometry((5, 4, 3), pose.affine)
    shifted = target.affine.copy()
    shifted[:3, 3] += source.centre_mm - target.centre_mm  # so that the boxes meet
    target = Geometry(target.shape, shifted)
    voxels = noise(source.shape, seed)
    ours = np.asarray(Resampled(voxels, source, target))
    values, inside, clear, _ = by_scipy(voxels, source, target)
    np.testing.assert_array_equal(np.isfinite(ours)[clear], inside[clear])
    np.testing.assert_allclose(ours[clear & inside], values[clear & inside], atol=1e-4)


@given(grids.geometries(), grids.permutations, grids.flips, st.integers(0, 99))
def test_permuted_and_flipped_axes_agree_with_scipy(source, axes, flips, seed):
    target = source.reordered(axes, flips).window((0.3, -0.8, 0.1), (0.7, 1.3, 0.45), (4, 5, 6))
    resampled = Resampled(voxels := noise(source.shape, seed), source, target)
    assert resampled._axes is not None, "parallel grids take the quick path"
    values, inside, clear, _ = by_scipy(voxels, source, target)
    ours = np.asarray(resampled)
    np.testing.assert_array_equal(np.isfinite(ours)[clear], inside[clear])
    np.testing.assert_allclose(ours[clear & inside], values[clear & inside], atol=1e-4)


@given(grids.geometries(), grids.permutations, grids.flips)
def test_a_reordered_grid_shows_exactly_the_reordered_voxels(source, axes, flips):
    voxels = noise(source.shape)
    ours = np.asarray(Resampled(voxels, source, source.reordered(axes, flips)))
    np.testing.assert_array_equal(ours, np.flip(voxels.transpose(axes), np.flatnonzero(flips)))


@given(grids.geometries(), st.integers(0, 99))
def test_a_grid_seen_on_itself_is_itself_to_the_bit_with_its_holes(source, seed):
    voxels = 1e6 * noise(source.shape, seed)
    voxels[noise(source.shape, seed + 1) > 1] = np.nan
    np.testing.assert_array_equal(np.asarray(Resampled(voxels, source, source)), voxels)


@given(grids.geometries(), grids.permutations, grids.flips, st.integers(0, 99))
def test_the_aligned_and_the_oblique_path_agree(source, axes, flips, seed):
    target = source.reordered(axes, flips).window((0.3, -0.8, 0.1), (0.7, 1.3, 0.45), (4, 5, 6))
    aligned = Resampled(noise(source.shape, seed), source, target)
    oblique = Resampled(noise(source.shape, seed), source, target)
    oblique._axes = None
    *_, clear, _ = by_scipy(aligned.voxels, source, target)
    np.testing.assert_allclose(np.asarray(aligned)[clear], np.asarray(oblique)[clear], atol=1e-4)


@given(grids.geometries(), grids.permutations, grids.flips, st.integers(0, 99), st.booleans())
def test_labels_take_the_nearest_voxel_and_0_outside_on_both_paths(source, axes, flips, seed, straight):
    target = source.reordered(axes, flips).window((0.3, -0.8, 0.1), (0.7, 1.3, 0.45), (4, 5, 6))
    labels = np.random.default_rng(seed).integers(1, 200, source.shape).astype(np.uint8)
    resampled = Resampled(labels, source, target, nearest=True)
    if not straight:
        resampled._axes = None
    values, inside, clear, single = by_scipy(labels, source, target, order=0)
    ours = np.asarray(resampled)
    assert ours.dtype == np.uint8
    sure = clear & single
    np.testing.assert_array_equal(ours[sure], np.where(inside, values, 0)[sure])


@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("dtype", [bool, np.int16, ">i2", np.int32, np.float64])
def test_labels_keep_their_type(dtype, straight):
    source = Geometry((3, 4, 5), np.eye(4))
    labels = np.random.default_rng(0).integers(0, 2, source.shape).astype(dtype)
    target = source if straight else tilted(source, 90)
    resampled = Resampled(labels, source, target, nearest=True)
    resampled._axes = resampled._axes if straight else None
    assert np.asarray(resampled).dtype == np.dtype(dtype)
    if straight:
        np.testing.assert_array_equal(np.asarray(resampled), labels)


def test_labels_halfway_between_voxels_step_evenly_on_both_paths():
    # Every second voxel, each centre on a border: torch's nearest-exact takes the upper of the two.
    source = Geometry((12, 1, 1), np.eye(4))
    labels = np.arange(12, dtype=np.int16).reshape(12, 1, 1)
    aligned = Resampled(labels, source, source.coarsened((6, 1, 1)), nearest=True)
    by_torch = torch.nn.functional.interpolate(torch.arange(12.0)[None, None], size=6, mode="nearest-exact")
    np.testing.assert_array_equal(np.asarray(aligned)[:, 0, 0], by_torch[0, 0])
    oblique = Resampled(labels, source, source.coarsened((6, 1, 1)), nearest=True)
    oblique._axes = None
    np.testing.assert_array_equal(np.asarray(aligned), np.asarray(oblique))


@given(grids.shapes, grids.shapes, grids.poses())
def test_a_coarse_map_agrees_with_torchs_interpolate(cells, voxels, affine):
    study = Geometry(tuple(c * v for c, v in zip(cells, voxels, strict=True)), affine)
    coarse = noise(cells)
    by_torch = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None, None], size=study.shape, mode="trilinear", align_corners=False
    )
    ours = np.asarray(Resampled(coarse, study.coarsened(cells), study))
    np.testing.assert_allclose(ours, by_torch[0, 0], atol=1e-5)


@given(grids.shapes, st.tuples(*[st.integers(6, 17)] * 3), grids.poses())
def test_a_coarse_map_of_cells_that_are_no_whole_voxels_agrees_with_torch(cells, shape, affine):
    study = Geometry(shape, affine)
    coarse = noise(cells)
    by_torch = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None, None], size=shape, mode="trilinear", align_corners=False
    )
    ours = np.asarray(Resampled(coarse, study.coarsened(cells), study))
    np.testing.assert_allclose(ours, by_torch[0, 0], atol=1e-5)


def one_key(length):
    whole = st.integers(-length, length - 1)
    return st.one_of(whole, whole.map(np.int64), st.slices(length))


@st.composite
def keys(draw, shape):
    said = [draw(one_key(length)) for length in shape]
    start, end = sorted(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))))
    if draw(st.booleans()):
        said[start:end] = [Ellipsis]
        return tuple(said)
    said = said[:end]
    return said[0] if len(said) == 1 and draw(st.booleans()) else tuple(said)


@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("nearest", [True, False])
@given(st.data())
def test_every_basic_index_equals_indexing_the_whole_array(straight, nearest, data):
    source = Geometry((4, 3, 5), np.diag([2.0, 3, 1, 1]))
    target = source.reordered((2, 0, 1), (True, False, True)).window(
        (-1, 0.2, 0.3), (0.8, 0.5, 0.6), (7, 6, 5)
    )
    resampled = Resampled(
        noise(source.shape), source, target if straight else tilted(target, 20), nearest=nearest
    )
    assert (resampled._axes is not None) == straight
    whole = np.asarray(resampled)
    assert np.isfinite(whole).any()
    key = data.draw(keys(resampled.shape))
    np.testing.assert_array_equal(resampled[key], whole[key])
    assert resampled[key].shape == whole[key].shape
    assert resampled[key].dtype == whole.dtype == resampled.dtype


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("straight", [True, False])
def test_an_index_of_nothing_gives_an_empty_array(nearest, straight):
    source = Geometry((4, 3, 5), np.eye(4))
    resampled = Resampled(
        noise(source.shape), source, source if straight else tilted(source, 20), nearest=nearest
    )
    assert resampled[4:, 0].shape == (0, 5)
    assert resampled[:, 2:1, ::-1].shape == (4, 0, 5)


@pytest.mark.parametrize("key", [4, -5, (0, 3), (0, 0, 0, 0), (0, 0, 0, ..., 0)])
def test_an_index_out_of_bounds_is_an_index_error_as_in_numpy(key):
    source = Geometry((4, 3, 5), np.eye(4))
    with pytest.raises(IndexError):
        np.zeros(source.shape)[key]
    with pytest.raises(IndexError):
        Resampled(noise(source.shape), source, source)[key]


@pytest.mark.parametrize(
    "key",
    [True, np.True_, None, "a", 1.0, [0, 1], np.array([0, 1]), (slice(None), np.array([0])), (..., ...)],
)
def test_an_index_beyond_the_basic_ones_is_refused_not_misread(key):
    source = Geometry((4, 3, 5), np.eye(4))
    with pytest.raises(IndexError, match="whole number, a slice or an ellipsis"):
        Resampled(noise(source.shape), source, source)[key]


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("degrees", [0, 30])
def test_grids_that_never_meet_hold_nothing(nearest, degrees):
    source = Geometry((4, 3, 5), np.eye(4))
    far = np.eye(4)
    far[:3, 3] = 100
    away = Resampled(noise(source.shape), source, tilted(Geometry((3, 3, 3), far), degrees), nearest=nearest)
    seen = np.asarray(away)
    assert (seen == 0).all() if nearest else np.isnan(seen).all()


def test_nothing_lies_beyond_half_a_voxel_and_the_border_is_held_within():
    source = Geometry((2, 1, 1), np.eye(4))
    fine = source.window((-1, 0, 0), (0.25, 1, 1), (16, 1, 1))
    seen = np.asarray(Resampled(np.array([10, 20], np.int16).reshape(2, 1, 1), source, fine))[:, 0, 0]
    expected = [np.nan] * 4 + [10, 10, 11.25, 13.75, 16.25, 18.75, 20, 20] + [np.nan] * 4
    np.testing.assert_allclose(seen, expected)


def test_a_hole_spreads_to_the_next_centres_and_no_further():
    source = Geometry((5, 1, 1), np.eye(4))
    voxels = np.array([0, 1, np.nan, 3, 4], np.float32).reshape(5, 1, 1)
    fine = source.window((0.25, 0, 0), (0.5, 1, 1), (9, 1, 1))
    seen = np.asarray(Resampled(voxels, source, fine))[:, 0, 0]
    np.testing.assert_allclose(seen, [0, 0.5, 1, np.nan, np.nan, np.nan, 3, 3.5, 4])


@pytest.mark.parametrize("thin", list(itertools.product((1, 3), repeat=3)))
@pytest.mark.parametrize("degrees", [0, 25])
def test_axes_one_voxel_thick_are_held_through_their_thickness(thin, degrees):
    source = Geometry(thin, np.diag([2.0, 3, 4, 1]))
    target = tilted(source.window((0.2, 0.2, 0.2), (0.3, 0.3, 0.3), (2, 2, 2)), degrees)
    voxels = noise(thin)
    values, inside, clear, _ = by_scipy(voxels, source, target)
    ours = np.asarray(Resampled(voxels, source, target))
    np.testing.assert_array_equal(np.isfinite(ours)[clear], inside[clear])
    np.testing.assert_allclose(ours[clear & inside], values[clear & inside], atol=1e-5)
    assert inside.any()


@given(grids.geometries(), st.floats(1e-3, 1))
def test_a_small_tilt_is_either_below_a_thousandth_of_a_voxel_or_taken_into_account(source, degrees):
    assume(min(source.shape) > 1)
    ramp = grids.every_index(source.shape).sum(axis=-1).astype(np.float32)
    target = tilted(source, degrees)
    values, inside, clear, _ = by_scipy(ramp, source, target)
    ours = np.asarray(Resampled(ramp, source, target))
    both = clear & inside & np.isfinite(ours)
    assert np.abs(ours - values)[both].max(initial=0) < 6e-3
    assert both.any()


def test_it_is_an_array_to_numpy_without_being_computed():
    source = Geometry((2, 2, 2), np.eye(4))
    view = Resampled(noise(source.shape, dtype=np.float64), source, Geometry((300, 200, 100), np.eye(4)))
    assert (view.shape, view.ndim, view.size, len(view)) == ((300, 200, 100), 3, 6_000_000, 300)
    assert view.dtype == np.float32
    assert np.asarray(view[:2, :2, :2], dtype=np.float64).dtype == np.float64
    small = Resampled(noise(source.shape), source, source)
    assert np.asarray(small, dtype=np.float64).dtype == np.float64
    assert np.array(small, copy=True).shape == (2, 2, 2)


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("degrees", [0, 25])
def test_the_source_voxels_are_never_written(nearest, degrees):
    source = Geometry((4, 3, 5), np.eye(4))
    voxels = noise(source.shape)
    voxels.flags.writeable = False
    before = voxels.copy()
    seen = np.array(Resampled(voxels, source, tilted(source, degrees), nearest=nearest)[...])
    seen[...] = 7
    np.testing.assert_array_equal(voxels, before)


def test_outermost_voxels_are_held_as_far_as_the_box_that_was_seen_reaches():
    seen = Geometry((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    cells = seen.window((1.5, 0, -2), (4, 4, 4), (3, 3, 3))  # three voxels free at one border of i, over at k
    voxels = noise(cells.shape, 0)
    plain = np.asarray(Resampled(voxels, cells, seen))
    held = np.asarray(Resampled(voxels, cells, seen, within=seen))
    assert np.isnan(plain[0]).all()
    assert np.isfinite(held).all()
    np.testing.assert_array_equal(held[0], held[1])  # both before the first cell's centre
    both = np.isfinite(plain)
    np.testing.assert_array_equal(held[both], plain[both])
    outside = Geometry((14, 12, 12), seen.window((-1, 0, 0), (1, 1, 1), (14, 12, 12)).affine)
    wider = np.asarray(Resampled(voxels, cells, outside, within=seen))
    assert np.isnan(wider[[0, 13]]).all()
    np.testing.assert_allclose(wider[1:13], held, atol=1e-6)


def test_the_box_that_was_seen_bounds_turned_grids_alike():
    seen = Geometry((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    cells = seen.window((1.5, 0, -2), (4, 4, 4), (3, 3, 3))
    angle = np.radians(10)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    target = Geometry((20, 20, 8), turned)
    found = np.asarray(Resampled(noise(cells.shape, 0), cells, target, within=seen))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij"), axis=-1)
    np.testing.assert_array_equal(np.isfinite(found), seen.contains(target.to_world(index)))
