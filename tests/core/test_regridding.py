from __future__ import annotations

import grids
import numpy as np
import pytest
import SimpleITK
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage

from voxcam.core import regridding
from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Stacked
from voxcam.core.volume import COLOUR, Volume


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ramp(geometry, slope=(0.3, -0.7, 0.2)):
    return (geometry.to_world(grids.every_index(geometry.shape)) @ slope).astype(np.float32)


def meeting(source, pose, shape=(5, 6, 4)):
    """A grid in the pose of another, its middle where the source's is."""
    affine = pose.affine.copy()
    target = Geometry(shape, affine)
    affine[:3, 3] += source.centre_mm - target.centre_mm
    return Geometry(shape, affine)


def by_sitk(voxels, source, target, nearest=False):
    """Resampled by SimpleITK, whose images know no shear: the source turned upright, the target as points."""
    lps = np.diag([-1.0, -1, 1])
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0))
    image.SetSpacing(source.spacing_mm.tolist())
    image.SetOrigin((lps @ source.affine[:3, 3]).tolist())
    image.SetDirection((lps @ source.directions).ravel().tolist())
    out = SimpleITK.ResampleImageFilter()
    out.SetSize(list(target.shape))
    out.SetOutputSpacing(target.spacing_mm.tolist())
    out.SetOutputOrigin((lps @ target.affine[:3, 3]).tolist())
    out.SetOutputDirection((lps @ target.directions).ravel().tolist())
    out.SetInterpolator(SimpleITK.sitkNearestNeighbor if nearest else SimpleITK.sitkLinear)
    out.SetDefaultPixelValue(-1000)
    return SimpleITK.GetArrayFromImage(out.Execute(image)).transpose(2, 1, 0)


def clear_of_the_border(source, target):
    where = source.to_index(target.to_world(grids.every_index(target.shape)))
    return np.minimum(np.abs(where + 0.5), np.abs(where + 0.5 - source.shape)).min(axis=-1) > 1e-4


@given(grids.geometries(shear=False), grids.geometries(shear=False), st.integers(0, 99))
def test_any_turned_grid_agrees_with_simpleitk(source, pose, seed):
    target = meeting(source, pose)
    voxels = noise(source.shape, seed)
    ours = Volume(voxels, source).resampled(target, fill=-1000.0)
    assert isinstance(ours.voxels, np.ndarray)
    assert ours.geometry is target
    clear = clear_of_the_border(source, target)
    theirs = by_sitk(voxels, source, target)
    np.testing.assert_allclose(ours.voxels[clear], theirs[clear], rtol=1e-3, atol=1e-4)


@given(grids.geometries(), grids.geometries(), st.integers(0, 99), st.integers(1, 60))
def test_any_sheared_grid_agrees_with_scipy_whatever_the_slabs(source, pose, seed, voxels_a_slab):
    target = meeting(source, pose)
    voxels = noise(source.shape, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regridding, "_OBLIQUE_SLAB", voxels_a_slab)
        ours = Volume(voxels, source).resampled(target).voxels
    chain = np.linalg.inv(source.affine) @ target.affine
    theirs = ndimage.affine_transform(
        voxels.astype(float), chain[:3, :3], chain[:3, 3], target.shape, order=1, mode="nearest"
    )
    inside = source.contains(target.to_world(grids.every_index(target.shape)))
    clear = clear_of_the_border(source, target)
    np.testing.assert_array_equal(np.isfinite(ours)[clear], inside[clear])
    np.testing.assert_allclose(ours[clear & inside], theirs[clear & inside], rtol=1e-3, atol=1e-4)


@given(grids.geometries(), grids.geometries())
def test_a_linear_ramp_in_the_world_is_reproduced(source, pose):
    target = meeting(source, pose)
    ours = Volume(ramp(source), source).resampled(target).voxels
    where = source.to_index(target.to_world(grids.every_index(target.shape)))
    between = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(axis=-1)
    assume(between.any())
    np.testing.assert_allclose(ours[between], ramp(target)[between], rtol=1e-4, atol=1e-3)


@given(grids.geometries(), st.lists(st.floats(0.3, 6), min_size=3, max_size=3), st.integers(1, 40))
def test_at_another_spacing_every_voxel_lies_inside_and_a_ramp_is_kept(source, spacing, voxels_a_slab):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regridding, "_ALIGNED_SLAB", voxels_a_slab)
        ours = Volume(ramp(source), source).resampled(spacing)
    np.testing.assert_allclose(ours.geometry.spacing_mm, spacing)
    assert np.isfinite(ours.voxels).all()
    where = source.to_index(ours.geometry.to_world(grids.every_index(ours.shape)))
    between = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(axis=-1)
    np.testing.assert_allclose(ours.voxels[between], ramp(ours.geometry)[between], rtol=1e-4, atol=2e-3)


def test_labels_keep_type_and_take_the_nearest_as_simpleitk_does():
    source = Geometry((7, 6, 5), np.diag([1.0, 1.3, 2, 1]))
    labels = np.random.default_rng(0).integers(1, 9, source.shape).astype(np.uint8)
    target = source.spaced((0.7, 0.9, 1.1))
    ours = Volume(labels, source, unit="label").resampled(target)
    assert ours.voxels.dtype == np.uint8
    np.testing.assert_array_equal(ours.voxels, by_sitk(labels, source, target, nearest=True))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_whole_numbers_stay_whole_only_when_asked(dtype):
    source = Geometry((9, 8, 7), np.eye(4))
    volume = Volume(np.random.default_rng(0).integers(0, 250, source.shape).astype(dtype), source, "CT", "HU")
    plain = volume.resampled(0.6).voxels
    whole = volume.resampled(0.6, whole=True).voxels
    assert (plain.dtype, whole.dtype) == (np.float32, dtype)
    np.testing.assert_array_equal(whole, np.rint(plain))
    assert (plain != whole).any()


def test_whole_numbers_need_a_fill_of_their_own_where_something_lies_outside():
    source = Geometry((3, 3, 3), np.eye(4))
    wider = source.window((-1, 0, 0), (1, 1, 1), (5, 3, 3))
    volume = Volume(np.zeros(source.shape, np.int16), source)
    padded = volume.resampled(wider, whole=True, fill=-1024)
    assert padded.voxels[0].tolist() == padded.voxels[4].tolist() == [[-1024] * 3] * 3
    for fill in (None, 40000.0):
        with pytest.raises(ValueError, match="expected a fill that is a value of int16"):
            volume.resampled(wider, whole=True, fill=fill)
    with pytest.raises(ValueError, match="expected whole numbers"):
        Volume(noise(source.shape), source).resampled(1.0, whole=True)


def test_a_fill_is_for_the_outside_not_for_holes():
    source = Geometry((3, 1, 1), np.eye(4))
    voxels = np.array([1, np.nan, 3], np.float32).reshape(3, 1, 1)
    wider = source.window((-1, 0, 0), (1, 1, 1), (5, 1, 1))
    np.testing.assert_array_equal(
        Volume(voxels, source).resampled(wider, fill=-1).voxels[:, 0, 0], [-1, 1, np.nan, 3, -1]
    )


@pytest.mark.parametrize("degrees", [0, 20])
def test_colour_is_resampled_channel_by_channel_and_black_outside(degrees):
    source = Geometry((6, 5, 4), np.eye(4))
    colour = np.zeros(source.shape, COLOUR)
    for n, name in enumerate(COLOUR.names):
        colour[name] = np.random.default_rng(n).integers(0, 256, source.shape)
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[:2, :2] = [[c, -s], [s, c]]
    target = Geometry((9, 8, 7), turn @ source.window((-1, -1, 0), (0.9, 0.8, 0.55), (9, 8, 7)).affine)
    volume = Volume(colour, source)
    ours = volume.resampled(target)
    assert ours.is_colour
    for name in COLOUR.names:
        grey = Volume(colour[name].copy(), source).resampled(target, fill=0).voxels
        np.testing.assert_array_equal(ours.voxels[name], np.rint(grey))
        np.testing.assert_array_equal(np.asarray(volume.on(target).voxels)[name], np.rint(grey))
    assert ours.voxels[0, 0, 0].tolist() == (0, 0, 0)


def test_in_time_every_moment_is_resampled_and_the_axis_stays():
    source = Geometry((6, 5, 4), np.eye(4))
    voxels = noise((*source.shape, 3))
    ours = Volume(voxels, source).resampled(0.7)
    assert ours.voxels.shape == (*source.spaced(0.7).shape, 3)
    for t in range(3):
        alone = Volume(voxels[..., t], source).resampled(0.7)
        np.testing.assert_array_equal(ours.voxels[..., t], alone.voxels)


def test_of_a_stack_each_slice_is_read_once_where_grids_are_parallel():
    source = Geometry((8, 8, 40), np.eye(4))
    voxels, read = noise(source.shape), []
    stack = Stacked(
        lambda k: read.append(k) or voxels[:, :, k], (8, 8), 40, np.float32, cache_bytes=8 * 8 * 4 * 4
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regridding, "_ALIGNED_SLAB", 200)
        ours = Volume(stack, source).resampled((1, 1, 1.5)).voxels
    np.testing.assert_array_equal(ours, Volume(voxels, source).resampled((1, 1, 1.5)).voxels)
    assert sorted(read) == list(range(40))


def test_empty_slices_are_outside_up_to_the_next_centres():
    source = Geometry((2, 2, 6), np.eye(4))
    voxels = np.broadcast_to(np.arange(6.0), source.shape).astype(np.float32)
    fine = source.window((0, 0, 0.25), (1, 1, 0.5), (2, 2, 11))  # k = 0, 0.5, 1, ...
    expected = [0, 0.5, 1, *[np.nan] * 3, 3, 3.5, 4, 4.5, 5]
    volume = Volume(voxels, source, empty=(2,))
    for seen in (volume.on(fine), volume.resampled(fine)):
        np.testing.assert_allclose(np.asarray(seen.voxels)[0, 0], expected)
        assert seen.empty == ()
    np.testing.assert_allclose(volume.resampled(fine, fill=-9).voxels[1, 1], np.nan_to_num(expected, nan=-9))
    labels = Volume(voxels.astype(np.uint8), source, unit="label", empty=(2,))
    np.testing.assert_array_equal(np.asarray(labels.on(source).voxels), labels.voxels)


@given(grids.geometries(), grids.geometries(), st.sets(st.integers(0, 5)))
def test_empty_slices_are_outside_of_turned_grids_too(source, pose, empty):
    empty = {k for k in empty if k < source.shape[2]}
    target = meeting(source, pose)
    ours = Volume(noise(source.shape), source, empty=tuple(empty)).resampled(target).voxels
    where = source.to_index(target.to_world(grids.every_index(target.shape)))[..., 2]
    held = np.clip(where, 0, source.shape[2] - 1)
    touched = np.zeros(target.shape, bool)
    for k in empty:
        touched |= np.abs(held - k) < 1
    full = Volume(noise(source.shape), source).resampled(target).voxels
    sure = np.abs(held - np.rint(held)) > 1e-5
    np.testing.assert_array_equal(ours[sure], np.where(touched, np.nan, full)[sure])


def gantry_tilted(shape, spacing, degrees, step_mm):
    """Slices tilted about the patient's left-right axis, piled up along the table."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, 0] = (-spacing, 0, 0)
    affine[:3, 1] = (0, -c * spacing, -s * spacing)
    affine[:3, 2] = (0, 0, step_mm)
    affine[:3, 3] = (80, 90, -40)
    return Geometry(shape, affine)


@pytest.mark.parametrize("degrees", [18.5, -18.5, 5])
def test_a_tilted_gantry_is_straightened_by_sliding_rows(degrees):
    source = gantry_tilted((6, 20, 12), 0.5, degrees, 2.5)
    assert source.is_tilted
    volume = Volume(ramp(source), source, "CT", "HU")
    ours = volume.straightened(fill=-1000)
    straight = ours.geometry
    # Spacing along the normal: 2.5 cos(18.5) = 2.3708, as measured on a Philips CT.
    np.testing.assert_allclose(straight.spacing_mm, (0.5, 0.5, 2.5 * np.cos(np.radians(degrees))))
    np.testing.assert_allclose(straight.directions.T @ straight.directions, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(straight.directions[:, :2], source.directions[:, :2])
    # Truth: each row of each slice slid by k (s . c) / dRow, linear between rows.
    shift = 2.5 * source.directions[2, 1] / 0.5
    first = straight.to_index(source.to_world((0, 0, 0)))
    np.testing.assert_allclose(first, np.rint(first), atol=1e-9)
    rows = np.arange(straight.shape[1]) - round(first[1])
    for k in range(12):
        where = rows - k * shift
        slid = np.stack([np.interp(where, np.arange(20), line) for line in volume.voxels[:, :, k]])
        inside = (where >= -0.5) & (where <= 19.5)
        clear = np.abs(np.abs(where - 9.5) - 10) > 1e-6
        expected = np.where(inside, slid, -1000)
        np.testing.assert_allclose(ours.voxels[:, clear, k], expected[:, clear], rtol=1e-4, atol=1e-4)
    holds_every_voxel(straight, source)


def holds_every_voxel(straight, source, overhang=2e-3):
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in source.shape])).reshape(3, -1).T
    index = straight.to_index(source.to_world(corners))
    assert (index >= -0.5 - overhang).all()
    assert (index <= np.array(straight.shape) - 0.5 + overhang).all()


@given(grids.geometries())
def test_straightened_grids_are_at_right_angles_and_hold_every_voxel(source):
    straight = source.straightened()
    np.testing.assert_allclose(straight.directions.T @ straight.directions, np.eye(3), atol=1e-3)
    holds_every_voxel(straight, source)
    assert straight.frame == source.frame
    if not source.is_tilted:
        np.testing.assert_allclose(straight.spacing_mm, source.spacing_mm)
        assert straight.obliquity_deg < 1e-6
        assert straight.codes == source.codes


@given(grids.geometries(oblique=False, shear=False))
def test_a_straight_volume_is_returned_as_it_is(source):
    assert source.straightened().same_grid(source)
    volume = Volume(noise(source.shape), source)
    assert volume.straightened() is volume


@given(grids.geometries(), st.floats(0.5, 4))
def test_a_straightened_ramp_is_the_ramp_where_there_was_one(source, spacing):
    straight = source.straightened(spacing)
    np.testing.assert_allclose(straight.spacing_mm, spacing)
    ours = Volume(ramp(source), source).resampled(straight).voxels
    where = source.to_index(straight.to_world(grids.every_index(straight.shape)))
    between = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(axis=-1)
    np.testing.assert_allclose(ours[between], ramp(straight)[between], rtol=1e-4, atol=1e-3)


def test_slices_that_are_no_rectangles_cannot_be_piled_up():
    affine = np.eye(4)
    affine[0, 1] = 0.3
    with pytest.raises(ValueError, match="at right angles"):
        Geometry((3, 3, 3), affine).untilted()
