from __future__ import annotations

import hashlib
import pickle

import grids
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel import orientations
from PIL import Image

from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Stacked
from voxcam.core.resampling import Resampled
from voxcam.core.volume import COLOUR, Axis, Volume, grey
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
    knee = Volume(voxels, geometry, "CT", "HU", source={"body_part": "KNEE"})
    assert knee.window.name == "bone"
    assert Volume(voxels, geometry, "MR").window.name == "1-99 %"
    assert Volume(voxels, geometry, "PT", "BQML").window.ends[0] == 0
    assert Volume(voxels, geometry, unit="label").window.name == "1-99 %"
    assert Volume(voxels, geometry).on(geometry).window.ends == pytest.approx(
        np.percentile(range(1, 8), (1, 99))
    )


def test_no_two_volumes_share_a_source_and_a_volume_travels_to_another_process():
    one, two = (Volume(np.zeros((1, 1, 1)), Geometry((1, 1, 1), np.eye(4))) for _ in range(2))
    assert one.source is not two.source
    assert pickle.loads(pickle.dumps(one)).geometry.same_grid(one.geometry)


def stacked(voxels, read=None):
    """The same voxels as a stack of slices; `read` takes down which were read."""
    read = [] if read is None else read
    plane, count = voxels.shape[:2], voxels.shape[2] if voxels.ndim == 3 else voxels.shape[2:]
    return Stacked(lambda *at: read.append(at) or voxels[(..., *at)], plane, count, voxels.dtype)


SALT = "0123456789abcdef"


@given(grids.shapes, st.sampled_from(["C", "F"]), st.booleans(), st.booleans(), st.booleans())
def test_the_digest_is_of_the_bytes_in_c_order_however_they_are_held(shape, order, in_time, lazy, colour):
    shape = (*shape, 2) if in_time else shape
    voxels = np.array(np.random.default_rng(0).integers(0, 99, shape), np.uint8, order=order)
    if colour:
        voxels = np.stack([voxels] * 3, axis=-1).view(COLOUR)[..., 0]
    geometry = Geometry(shape[:3], np.diag([2.0, 3, 4, 1]))
    truth = hashlib.blake2b(key=bytes.fromhex(SALT), digest_size=16)
    truth.update(np.ascontiguousarray(voxels).tobytes())
    truth.update(geometry.affine.tobytes())
    assert Volume(stacked(voxels) if lazy else voxels, geometry).digest(SALT) == truth.hexdigest()


@given(
    grids.geometries(), st.sampled_from(["RAS", "LPS", "IPL", "SAR"]), st.sampled_from(["on", "re", "crop"])
)
def test_a_stack_gives_what_the_array_gives(geometry, codes, what):
    voxels = np.random.default_rng(0).normal(size=(*geometry.shape, 2)).astype(np.float32)
    target = geometry.window((0.2, -0.3, 0.1), (0.7, 0.8, 0.9), (3, 3, 3))
    work = {
        "on": lambda volume: volume.on(target),
        "re": lambda volume: volume.reordered(codes).moment(1).on(target),
        "crop": lambda volume: volume.cropped((0, 0, 0), (1, *geometry.shape[1:])).reordered(codes),
    }[what]
    eager, lazy = work(Volume(voxels, geometry)), work(Volume(stacked(voxels), geometry))
    assert not isinstance(lazy.voxels, np.ndarray)
    np.testing.assert_array_equal(np.asarray(lazy.voxels), np.asarray(eager.voxels))
    np.testing.assert_array_equal(lazy.affine, eager.affine)


def test_of_a_stack_nothing_is_read_before_it_is_looked_at_and_then_little():
    geometry = Geometry((6, 5, 40), np.eye(4))
    voxels, read = numbered((6, 5, 40, 3)), []
    volume = Volume(stacked(voxels, read), geometry)
    seen = volume.reordered("IPL").moment(1).cropped((4, 0, 0), (40, 5, 6))
    fine = seen.on(seen.geometry.spaced(0.5))
    assert read == []
    np.testing.assert_array_equal(seen.voxels[0], voxels[::-1, ::-1, ::-1, 1].transpose(2, 1, 0)[4])
    assert read == [(35, 1)]
    fine.voxels[20]
    assert len(read) <= 3
    read.clear()
    assert volume.window.width > 0
    assert 0 < len(read) <= 24


def test_a_moment_is_one_place_of_the_fourth_axis_and_says_which():
    geometry = Geometry((2, 2, 2), np.eye(4))
    axis = Axis("echo time", "ms", (4.6, 9.2), "EchoTime (0018,0081)")
    volume = Volume(numbered((2, 2, 2, 2)), geometry, "MR", source={"format": "dicom"}, fourth=axis)
    second = volume.moment(1)
    np.testing.assert_array_equal(second.voxels, volume.voxels[..., 1])
    assert np.shares_memory(second.voxels, volume.voxels)
    assert second.fourth is None
    assert second.source == {
        "format": "dicom",
        "moment": {"place": 1, "of": 2, "axis": "echo time", "unit": "ms", "value": 9.2},
    }
    assert second.moment(0) is second
    assert "value" not in Volume(numbered((2, 2, 2, 2)), geometry).moment(0).source["moment"]
    for place in (-1, 2):
        with pytest.raises(ValueError, match="from 0 to 1"):
            volume.moment(place)


@pytest.mark.parametrize(
    ("codes", "empty"), [("RAS", (1, 5)), ("RAI", (4, 0)), ("LPS", (1, 5)), ("ARI", (4, 0)), ("SAR", ())]
)
def test_empty_slices_turn_with_the_slices(codes, empty):
    geometry = Geometry((2, 3, 6), np.eye(4))
    voxels = numbered((2, 3, 6))
    voxels[..., (1, 5)] = -1
    turned = Volume(voxels, geometry, empty=(1, 5)).reordered(codes)
    assert turned.empty == tuple(sorted(empty))
    for k in turned.empty:
        assert (turned.voxels[..., k] == -1).all()


def test_a_crop_keeps_the_empty_slices_it_holds():
    geometry = Geometry((3, 3, 6), np.eye(4))
    part = Volume(numbered((3, 3, 6)), geometry, empty=(0, 3, 5)).cropped((1, 0, 2), (3, 3, 5))
    np.testing.assert_array_equal(part.voxels, numbered((3, 3, 6))[1:3, :, 2:5])
    assert part.empty == (1,)
    np.testing.assert_array_equal(part.affine[:3, 3], (1, 0, 2))


@given(grids.geometries(), st.integers(0, 999))
def test_a_crop_to_a_world_box_holds_every_voxel_centre_in_it(geometry, seed):
    rng = np.random.default_rng(seed)
    middle = geometry.to_world(rng.uniform(0, np.array(geometry.shape) - 1))
    low, high = middle - rng.uniform(0, 10, 3), middle + rng.uniform(0, 10, 3)
    volume = Volume(numbered(geometry.shape), geometry)
    part = volume.cropped_to(low, high)
    centres = geometry.to_world(grids.every_index(geometry.shape))
    inside = ((centres >= low) & (centres <= high)).all(axis=-1)
    assert set(volume.voxels[inside]) <= set(part.voxels.ravel())
    with pytest.raises(ValueError, match="outside the volume"):
        volume.cropped_to(low + 1e5, high + 1e5)


def test_a_crop_to_a_world_box_is_no_larger_than_it_need_be():
    volume = Volume(numbered((10, 10, 10)), Geometry((10, 10, 10), np.diag([-2.0, 2, 5, 1])))
    part = volume.cropped_to((-7, 4, 12), (-3.1, 8.9, 13))
    # Along i voxel n covers -2n - 1 to -2n + 1: those from -7 to -3.1 are 2 and 3, and so on.
    np.testing.assert_array_equal(part.voxels, volume.voxels[2:4, 2:5, 2:4][..., :2])


@pytest.mark.parametrize("margin", [0, 2.0, 2.1, 500])
def test_a_crop_around_a_mask_keeps_a_margin_in_millimetres(margin):
    geometry = Geometry((20, 20, 20), np.diag([1.0, 2, 4, 1]))
    drawn = np.zeros(geometry.shape, np.float32)
    drawn[8:10, 5, 9:12], drawn[0, 0, 0] = 3, np.nan
    volume = Volume(numbered(geometry.shape), geometry)
    part = volume.cropped_around(Volume(drawn, geometry, unit="label"), margin)
    i, j, k = (int(np.ceil(margin / mm)) for mm in (1, 2, 4))
    expected = volume.voxels[max(8 - i, 0) : 10 + i, max(5 - j, 0) : 6 + j, max(9 - k, 0) : 12 + k]
    np.testing.assert_array_equal(part.voxels, expected)


@given(grids.geometries(), grids.geometries(), st.integers(0, 99))
def test_a_crop_around_a_mask_on_another_grid_holds_what_it_marks(geometry, pose, seed):
    affine = pose.affine.copy()
    affine[:3, 3] += geometry.centre_mm - pose.centre_mm
    pose = Geometry(pose.shape, affine)
    drawn = np.random.default_rng(seed).random(pose.shape) > 0.5
    if not drawn.any():
        return
    mask = Volume(drawn, pose, unit="label")
    volume = Volume(numbered(geometry.shape), geometry)
    seen = np.asarray(mask.on(geometry).voxels)
    if not seen.any():
        return
    assert set(volume.voxels[seen]) <= set(volume.cropped_around(mask).voxels.ravel())


def test_an_empty_mask_is_nothing_to_crop_round():
    volume = Volume(numbered((3, 3, 3)), Geometry((3, 3, 3), np.eye(4)))
    with pytest.raises(ValueError, match="marks nothing"):
        volume.cropped_around(Volume(np.zeros((3, 3, 3)), volume.geometry))


@pytest.mark.parametrize("lazy", [True, False])
def test_grey_of_colour_is_the_luminance_of_pillow(lazy):
    values = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    by_pillow = np.asarray(Image.fromarray(values, "RGB").convert("L"), np.float32)
    colour = values.view(COLOUR)  # (40, 30, 1): one slice
    volume = Volume(stacked(colour) if lazy else colour, Geometry((40, 30, 1), np.eye(4)), "US")
    assert volume.window.ends == (0, 255)
    one, whole = grey(volume), grey(volume, whole=True)
    assert (one.voxels.dtype, whole.voxels.dtype) == (np.float32, np.uint8)
    assert (one.is_colour, whole.is_colour, one.modality) == (False, False, "US")
    np.testing.assert_allclose(np.asarray(one.voxels)[..., 0], by_pillow, atol=0.51)
    np.testing.assert_array_equal(np.asarray(whole.voxels), np.rint(np.asarray(one.voxels)))
    assert isinstance(one.voxels, np.ndarray) != lazy
    assert grey(one) is one
