from __future__ import annotations

import pickle

import grids
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel import orientations

from voxcam.core.geometry import Geometry
from voxcam.core.resampling import Resampled
from voxcam.core.volume import Volume
from voxcam.core.windows import PRESETS, Window


def numbered(shape):
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 6), (4, 3, 5), (3, 4, 5, 2, 1), (5,), ()])
def test_voxels_that_do_not_fit_the_grid_are_refused(shape):
    with pytest.raises(ValueError, match=r"do not fit the grid \(3, 4, 5\)"):
        Volume(np.zeros(shape), Geometry((3, 4, 5), np.eye(4)))


def test_a_volume_has_the_shape_and_affine_of_its_grid_also_in_time():
    geometry = Geometry((3, 4, 5), np.diag([1.0, 2, 3, 1]))
    for shape in ((3, 4, 5), (3, 4, 5, 7)):
        volume = Volume(np.zeros(shape), geometry)
        assert volume.shape == (3, 4, 5)
        np.testing.assert_array_equal(volume.affine, geometry.affine)


@given(grids.geometries(shear=False), st.sampled_from(["RAS", "LPS", "IPL", "SAR"]), st.booleans())
def test_reordered_agrees_with_nibabel_in_voxels_and_place(geometry, codes, in_time):
    voxels = numbered((*geometry.shape, 3) if in_time else geometry.shape)
    ours = Volume(voxels, geometry, "CT", "HU", inverted=True).reordered(codes)
    turn = orientations.ornt_transform(
        orientations.io_orientation(geometry.affine), orientations.axcodes2ornt(tuple(codes))
    )
    theirs = nib.Nifti1Image(voxels, geometry.affine).as_reoriented(turn)
    np.testing.assert_array_equal(ours.voxels, np.asarray(theirs.dataobj))
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-9)
    assert (ours.modality, ours.unit, ours.inverted) == ("CT", "HU", True)
    assert np.shares_memory(ours.voxels, voxels)


@given(grids.geometries(), st.sampled_from(["RAS", "LPS", "IPL", "SAR"]))
def test_a_reordered_volume_seen_on_the_old_grid_is_the_old_volume(geometry, codes):
    volume = Volume(numbered(geometry.shape), geometry, unit="label")
    back = volume.reordered(codes).on(geometry)
    np.testing.assert_array_equal(np.asarray(back.voxels), volume.voxels)


def test_on_another_grid_values_are_linear_and_nan_outside():
    geometry = Geometry((2, 1, 1), np.eye(4))
    volume = Volume(np.array([0, 100], np.int16).reshape(2, 1, 1), geometry, "CT", "HU", (Window(1, 2),))
    fine = volume.on(geometry.window((-0.5, 0, 0), (0.5, 1, 1), (6, 1, 1)))
    assert isinstance(fine.voxels, Resampled)
    np.testing.assert_allclose(np.asarray(fine.voxels)[:, 0, 0], [np.nan, 0, 25, 75, 100, np.nan])
    assert (fine.modality, fine.unit, fine.windows) == ("CT", "HU", (Window(1, 2),))
    assert fine.shape == (6, 1, 1)


def test_labels_on_another_grid_stay_labels_and_0_outside():
    geometry = Geometry((2, 1, 1), np.eye(4))
    volume = Volume(np.array([3, 9], np.uint8).reshape(2, 1, 1), geometry, unit="label")
    fine = np.asarray(volume.on(geometry.window((-0.5, 0, 0), (0.5, 1, 1), (6, 1, 1))).voxels)
    assert fine.dtype == np.uint8
    np.testing.assert_array_equal(fine[:, 0, 0], [0, 3, 3, 9, 9, 0])


def test_of_a_volume_in_time_on_shows_the_first_moment():
    geometry = Geometry((3, 4, 5), np.eye(4))
    voxels = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(Volume(voxels, geometry).on(geometry).voxels), voxels[..., 0])


def test_a_resampled_volume_can_be_resampled_and_reordered_again():
    geometry = Geometry((4, 4, 4), np.eye(4))
    ramp = Volume(grids.every_index((4, 4, 4)).sum(axis=-1).astype(np.float32), geometry)
    middle = geometry.window((0.5, 0.5, 0.5), (1, 1, 1), (3, 3, 3))
    twice = ramp.on(geometry.window((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (6, 6, 6))).on(middle)
    np.testing.assert_allclose(np.asarray(twice.voxels), np.asarray(ramp.on(middle).voxels), atol=1e-5)
    flipped = ramp.on(middle).reordered("LPI")
    np.testing.assert_allclose(np.asarray(flipped.voxels), np.flip(np.asarray(ramp.on(middle).voxels)))


def test_the_window_is_the_files_else_the_presets_else_of_the_values():
    geometry = Geometry((2, 2, 2), np.eye(4))
    voxels = numbered((2, 2, 2))
    own = (Window(1, 2, "own"), Window(3, 4))
    assert Volume(voxels, geometry, "CT", "HU", own).window is own[0]
    assert Volume(voxels, geometry, "CT", "HU").window is PRESETS["CT"][0]
    assert Volume(voxels, geometry, "MR").window.name == "1-99 %"
    assert Volume(voxels, geometry).on(geometry).window.ends == pytest.approx(
        np.percentile(range(1, 8), (1, 99))
    )


def test_no_two_volumes_share_a_source_and_a_volume_travels_to_another_process():
    one, two = (Volume(np.zeros((1, 1, 1)), Geometry((1, 1, 1), np.eye(4))) for _ in range(2))
    assert one.source is not two.source
    assert pickle.loads(pickle.dumps(one)).geometry.same_grid(one.geometry)
