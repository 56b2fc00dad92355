from __future__ import annotations

import itertools

import grids
import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibabel import orientations
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry

ALL_CODES = [
    "".join(letters)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*order)
]


@given(grids.geometries(), st.lists(grids.numbers, min_size=3, max_size=3))
def test_to_index_undoes_to_world(geometry, point):
    index = np.array(point) * 1000
    np.testing.assert_allclose(geometry.to_index(geometry.to_world(index)), index, atol=1e-6)


@given(grids.geometries())
def test_to_world_agrees_with_nibabel_for_every_voxel(geometry):
    index = grids.every_index(geometry.shape)
    np.testing.assert_allclose(
        geometry.to_world(index), nib.affines.apply_affine(geometry.affine, index), atol=1e-9
    )


@given(grids.geometries())
def test_spacing_directions_and_centre_agree_with_nibabel(geometry):
    np.testing.assert_allclose(geometry.spacing_mm, nib.affines.voxel_sizes(geometry.affine))
    np.testing.assert_allclose(np.linalg.norm(geometry.directions, axis=0), 1)
    np.testing.assert_allclose(geometry.directions * geometry.spacing_mm, geometry.affine[:3, :3])
    every = geometry.to_world(grids.every_index(geometry.shape)).reshape(-1, 3)
    np.testing.assert_allclose(geometry.centre_mm, every.mean(axis=0), atol=1e-9)


@given(grids.geometries(), grids.permutations, grids.flips)
def test_reordered_keeps_every_voxel_at_its_world_point(geometry, axes, flips):
    # Each voxel carries its own index, so the moved array says where each voxel came from.
    carried = np.moveaxis(grids.every_index(geometry.shape), -1, 0)
    moved = np.stack([np.flip(np.transpose(c, axes), np.flatnonzero(flips)) for c in carried], axis=-1)
    reordered = geometry.reordered(axes, flips)
    assert reordered.shape == moved.shape[:3]
    np.testing.assert_allclose(
        reordered.to_world(grids.every_index(reordered.shape)), geometry.to_world(moved), atol=1e-9
    )


@given(grids.geometries(), grids.permutations, grids.flips)
def test_reordered_agrees_with_nibabels_apply_orientation(geometry, axes, flips):
    # nibabel's orientation speaks of the old axes: where each goes, and its sign there.
    ornt = np.array([[axes.index(old), -1 if flips[axes.index(old)] else 1] for old in range(3)])
    voxels = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    ours = np.flip(np.transpose(voxels, axes), np.flatnonzero(flips))
    np.testing.assert_array_equal(ours, orientations.apply_orientation(voxels, ornt))
    theirs = geometry.affine @ orientations.inv_ornt_aff(ornt, geometry.shape)
    np.testing.assert_allclose(geometry.reordered(axes, flips).affine, theirs, atol=1e-9)


@given(grids.geometries(shear=False))
def test_codes_of_any_rotation_agree_with_nibabel(geometry):
    assert geometry.codes == "".join(nib.aff2axcodes(geometry.affine))


@given(grids.geometries(shear=False), st.sampled_from(ALL_CODES))
def test_towards_agrees_with_nibabels_ornt_transform(geometry, codes):
    axes, flips = geometry.towards(codes)
    ornt = orientations.ornt_transform(
        orientations.io_orientation(geometry.affine), orientations.axcodes2ornt(tuple(codes))
    )
    theirs = geometry.affine @ orientations.inv_ornt_aff(ornt, geometry.shape)
    ours = geometry.reordered(axes, flips)
    np.testing.assert_allclose(ours.affine, theirs, atol=1e-9)
    assert ours.codes == codes == "".join(nib.aff2axcodes(ours.affine))


@given(grids.geometries(), st.sampled_from(ALL_CODES))
def test_towards_reaches_the_asked_codes_of_sheared_grids_too(geometry, codes):
    assert geometry.reordered(*geometry.towards(codes)).codes == codes


def test_all_letters_of_a_rotation_differ_even_where_two_axes_lean_to_one_world_axis():
    # (2, 2, -1) / 3 and its turns: every axis is as near to two world axes.
    turn = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3
    codes = Geometry((2, 2, 2), np.block([[turn, np.zeros((3, 1))], [np.zeros((1, 3)), 1]])).codes
    assert sorted(codes) == ["A", "R", "S"]


def test_all_forty_eight_orientations_are_told_apart():
    assert len(ALL_CODES) == 48
    cube = Geometry((2, 3, 4), np.diag([1.0, 2, 3, 1]))
    assert {cube.reordered(*cube.towards(codes)).codes for codes in ALL_CODES} == set(ALL_CODES)


@pytest.mark.parametrize("codes", ["XYZ", "RRS", "RA", "RASL", "", "ras", "RLS", "RASX"])
def test_impossible_codes_are_a_value_error_that_names_them(codes):
    with pytest.raises(ValueError, match=f"found '{codes}'"):
        Geometry((2, 2, 2), np.eye(4)).towards(codes)


@pytest.mark.parametrize("fine", [4, 7, 12])
@pytest.mark.parametrize("coarse", [1, 2, 3, 7, 9])
def test_coarsened_centres_follow_the_half_pixel_rule_of_torch(fine, coarse):
    # Away from the clamped border, upsampling a ramp of cell centres returns each voxel's own place.
    geometry = Geometry((fine, 1, 1), np.diag([2.5, 1, 1, 1]))
    coarsened = geometry.coarsened((coarse, 1, 1))
    centres = coarsened.to_world(grids.every_index((coarse, 1, 1)))[:, 0, 0, 0]
    ours = geometry.to_world(grids.every_index((fine, 1, 1)))[:, 0, 0, 0]
    ramp = torch.from_numpy(centres)[None, None]
    upsampled = torch.nn.functional.interpolate(ramp, size=fine, mode="linear", align_corners=False)
    np.testing.assert_allclose(upsampled[0, 0], np.clip(ours, centres[0], centres[-1]), atol=1e-6)


@given(grids.geometries(), grids.shapes)
def test_coarsened_keeps_the_box(geometry, shape):
    coarsened = geometry.coarsened(shape)
    for corner in itertools.product((0, 1), repeat=3):
        here = geometry.to_world(np.array(corner) * geometry.shape - 0.5)
        there = coarsened.to_world(np.array(corner) * shape - 0.5)
        np.testing.assert_allclose(here, there, atol=1e-8)


@given(grids.geometries())
def test_a_window_of_single_voxels_is_a_crop(geometry):
    window = geometry.window((1, -2, 0), (1, 1, 1), (2, 3, 4))
    assert window.shape == (2, 3, 4)
    np.testing.assert_allclose(window.to_world((0, 0, 0)), geometry.to_world((1, -2, 0)), atol=1e-9)
    np.testing.assert_allclose(window.to_world((1, 2, 3)), geometry.to_world((2, 0, 3)), atol=1e-9)


def test_a_window_of_large_cells_begins_its_box_at_the_start():
    window = Geometry((9, 9, 9), np.eye(4), "detector").window((1.5, 0, -4), (3, 0.5, 2), (2, 2, 2))
    np.testing.assert_allclose(window.to_world((-0.5, -0.5, -0.5)), (1.0, -0.5, -4.5))
    np.testing.assert_allclose(window.spacing_mm, (3, 0.5, 2))
    assert window.frame == "detector"


@given(grids.geometries())
def test_the_box_reaches_half_a_voxel_past_the_centres_and_no_further(geometry):
    top = np.array(geometry.shape) - 0.5
    assert geometry.contains(geometry.to_world(grids.every_index(geometry.shape))).all()
    for axis in range(3):
        for edge, out in ((-0.5, -1), (top[axis], 1)):
            index = (np.array(geometry.shape) - 1) / 2
            index[axis] = edge - out * 1e-6
            assert geometry.contains(geometry.to_world(index))
            index[axis] = edge + out * 1e-6
            assert not geometry.contains(geometry.to_world(index))


def test_no_box_contains_a_place_that_is_not_a_number():
    assert not Geometry((2, 2, 2), np.eye(4)).contains((np.nan, 0, 0))


@given(st.floats(0, 44), st.sampled_from("xyz"))
def test_obliquity_of_a_turn_about_one_axis_is_its_angle(angle, axis):
    affine = np.diag([0.7, 0.7, 5, 1.0])
    affine[:3, :3] = Rotation.from_euler(axis, angle, degrees=True).as_matrix() @ affine[:3, :3]
    geometry = Geometry((3, 3, 3), affine)
    assert geometry.obliquity_deg == pytest.approx(angle, abs=1e-4)
    theirs = np.degrees(nib.affines.obliquity(affine)).max()
    assert geometry.obliquity_deg == pytest.approx(theirs, abs=1e-4)


@given(grids.geometries(oblique=False, shear=False))
def test_obliquity_of_upright_grids_is_nothing(geometry):
    assert geometry.obliquity_deg == pytest.approx(0, abs=1e-6)


def test_same_grid_looks_at_far_corners_not_at_the_affine():
    # A turn of 1e-5 is nothing in the affine, and 5 micrometres at voxel 512.
    one = Geometry((513, 2, 2), np.eye(4))
    turned = np.eye(4)
    turned[1, 0] = 1e-5
    assert one.same_grid(Geometry((513, 2, 2), np.eye(4)))
    assert not one.same_grid(Geometry((513, 2, 2), turned))
    assert one.same_grid(Geometry((513, 2, 2), turned), tolerance_mm=0.01)
    assert not one.same_grid(Geometry((513, 2, 3), np.eye(4)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_same_grid_sees_a_difference_along_any_axis(axis):
    stretched = np.eye(4)
    stretched[axis, axis] = 1.001
    assert not Geometry((9, 9, 9), np.eye(4)).same_grid(Geometry((9, 9, 9), stretched))


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 2, 2), (0, 1, 1), (1, 1, -1), ()])
def test_a_shape_that_is_not_three_positive_counts_is_refused(shape):
    with pytest.raises(ValueError, match="three positive counts"):
        Geometry(shape, np.eye(4))


@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (np.eye(3), "finite"),
        (np.full((4, 4), np.nan), "finite"),
        (np.diag([1, np.inf, 1, 1]), "finite"),
        (np.diag([1.0, 0, 1, 1]), "not invertible"),
        (np.eye(4) + np.eye(4)[[3, 0, 1, 2]], "not invertible"),
        (np.array([[1, 2, 0, 0], [2, 4, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "not invertible"),
    ],
)
def test_an_affine_that_places_nothing_is_refused(affine, says):
    with pytest.raises(ValueError, match=says):
        Geometry((2, 2, 2), affine)


def test_a_geometry_keeps_its_own_affine_and_lets_nobody_write_it():
    affine = np.eye(4, dtype=np.float32)
    geometry = Geometry(np.array([2, 2, 2]), affine)
    affine[0, 3] = 9
    assert geometry.to_world((0, 0, 0))[0] == 0
    assert geometry.affine.dtype == np.float64
    assert geometry.shape == (2, 2, 2)
    assert all(type(n) is int for n in geometry.shape)
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 3] = 9


@given(grids.geometries(), st.data())
def test_cropped_keeps_every_voxel_at_its_world_point(geometry, data):
    start = [data.draw(st.integers(0, n - 1)) for n in geometry.shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, geometry.shape, strict=True)]
    part = geometry.cropped(start, stop)
    every = grids.every_index(geometry.shape)[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    assert part.shape == every.shape[:3]
    np.testing.assert_allclose(
        part.to_world(grids.every_index(part.shape)), geometry.to_world(every), atol=1e-9
    )


@pytest.mark.parametrize(
    ("start", "stop"), [((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (4, 2, 2)), ((1, 1, 1), (2, 1, 2))]
)
def test_a_crop_that_is_no_box_within_the_grid_is_refused(start, stop):
    with pytest.raises(ValueError, match="expected a box within"):
        Geometry((3, 3, 3), np.eye(4)).cropped(start, stop)


@given(grids.geometries(), st.integers(0, 999), st.floats(0, 20))
def test_a_box_around_points_is_the_smallest_of_voxels_that_reach_a_ball_round_one(geometry, seed, margin):
    rng = np.random.default_rng(seed)
    index = rng.uniform(-0.4, np.array(geometry.shape) - 0.6, (3, 3))
    start, stop = geometry.box_around(geometry.to_world(index), margin)
    # A ball round each point, by many directions: how far it reaches in index, the slow way.
    away = rng.normal(size=(20000, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    ball = geometry.to_index(geometry.to_world(index)[:, None] + margin * away).reshape(-1, 3)
    low = np.clip(np.floor(ball.min(axis=0) + 0.5), 0, None)
    high = np.clip(np.ceil(ball.max(axis=0) + 0.5), None, geometry.shape)
    # Sampled directions fall a little short of the farthest reach.
    assert (np.array(start) <= low).all()
    assert (np.array(stop) >= high).all()
    short = 0.02 * margin * np.linalg.norm(np.linalg.inv(geometry.affine[:3, :3]), axis=1) + 1e-3
    assert (start >= np.clip(np.floor(ball.min(axis=0) + 0.5 - short), 0, None)).all()
    assert (stop <= np.clip(np.ceil(ball.max(axis=0) + 0.5 + short), None, geometry.shape)).all()


def test_a_box_that_misses_the_grid_is_refused_and_a_point_has_its_voxel():
    geometry = Geometry((4, 4, 4), np.diag([2.0, 2, 2, 1]))
    assert geometry.box_around([2, 4, 6]) == ((1, 2, 3), (2, 3, 4))
    assert geometry.box_around([[-50, 0, 0], [50, 0, 0]]) == ((0, 0, 0), (4, 1, 1))
    with pytest.raises(ValueError, match="outside the volume"):
        geometry.box_around([-50, 0, 0])


@given(grids.geometries(), st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
def test_spaced_covers_the_same_box_about_the_same_middle(geometry, spacing):
    new = geometry.spaced(spacing)
    np.testing.assert_allclose(new.spacing_mm, spacing)
    np.testing.assert_allclose(new.directions, geometry.directions, atol=1e-9)
    np.testing.assert_allclose(new.centre_mm, geometry.centre_mm, atol=1e-6)
    old_mm, new_mm = geometry.spacing_mm * geometry.shape, new.spacing_mm * new.shape
    assert (new_mm >= old_mm - 2e-3 * new.spacing_mm).all()
    assert (new_mm < old_mm + new.spacing_mm).all()
    assert geometry.contains(new.to_world(grids.every_index(new.shape))).all()


def test_spaced_along_some_axes_leaves_the_others_and_its_own_spacing_changes_nothing():
    geometry = Geometry((10, 10, 4), np.diag([0.7, 0.7, 5.0, 1]))
    assert geometry.spaced(2.5, axes=[2]).shape == (10, 10, 8)
    assert geometry.spaced((1.4, 10.0), axes=(0, 2)).shape == (5, 10, 2)
    assert geometry.spaced(geometry.spacing_mm).same_grid(geometry)
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="over 0 mm"):
            geometry.spaced(wrong)
    with pytest.raises(ValueError, match="shape"):
        geometry.spaced((1, 2))
