from __future__ import annotations

import numpy as np
import pytest
from grids import geometries, poses
from hypothesis import given
from hypothesis import strategies as st

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.canvas.frame import in_display_order, letters, place


def every_index(shape):
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)


@given(geometry=geometries(oblique=False, shear=False))
def test_display_coordinates_of_an_aligned_scan_are_minus_s_p_l(geometry):
    world = geometry.to_world(every_index(geometry.shape))
    x, y, z = np.moveaxis(world, -1, 0)
    assert np.allclose(place(geometry).to_display(world), np.stack([-z, -y, -x], axis=-1), atol=1e-6)
    assert place(geometry).moved_voxels < 1e-6
    assert place(geometry).badge == ""


@given(geometry=geometries())
def test_every_voxel_is_drawn_where_its_world_point_is_looked_for(geometry):
    numbers = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    at = place(geometry)
    shown = in_display_order(Volume(numbers, geometry))
    display = at.to_display(geometry.to_world(every_index(geometry.shape)))
    rows = np.rint((display - at.translate) / at.scale).astype(int)
    assert np.array_equal(shown[tuple(np.moveaxis(rows, -1, 0))], numbers)
    assert min(at.scale) > 0


@given(geometry=geometries())
def test_the_way_back_to_the_world_undoes_the_way_there(geometry):
    at = place(geometry)
    world = geometry.to_world(every_index(geometry.shape))
    assert np.allclose(at.to_world(at.to_display(world)), world, atol=1e-6)


@given(geometry=geometries())
def test_the_middle_of_any_scan_is_shown_where_it_lies(geometry):
    x, y, z = geometry.centre_mm
    assert np.allclose(place(geometry).to_display((x, y, z)), (-z, -y, -x), atol=1e-6)


def turned_about_x(degrees, shape=(256, 256, 20)):
    turn = np.radians(degrees)
    affine = np.eye(4)
    affine[:3, :3] = [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]
    return Geometry(shape, affine @ np.diag([0.86, 0.86, 7, 1]))


def test_a_scan_turned_by_degrees_says_so_and_one_by_a_hair_does_not():
    assert place(turned_about_x(7.7)).badge == "oblique 7.7°: shown on the scan's own planes"
    assert place(turned_about_x(7.7)).is_turned
    assert place(turned_about_x(0.01)).badge == ""


def test_staggered_slices_are_named():
    affine = np.diag([1.0, 1, 3, 1])
    affine[1, 2] = 1.0  # a tilted gantry
    assert "slices are staggered" in place(Geometry((64, 64, 30), affine)).badge


def test_frames_without_a_patient_have_no_letters_and_a_badge():
    for frame in ("detector", "unknown"):
        geometry = Geometry((10, 10, 1), np.eye(4), frame)
        assert letters(place(geometry), (0, 1, 2)) is None
        assert place(geometry).badge != ""


@given(
    pose=poses(oblique=False, shear=False),
    order=st.permutations([0, 1, 2]),
    up=st.booleans(),
    left=st.booleans(),
)
def test_letters_name_the_direction_one_moves_in_on_the_screen(pose, order, up, left):
    geometry = Geometry((5, 6, 7), pose)
    found = letters(place(geometry), order, ("up" if up else "down", "left" if left else "right"))
    at = place(geometry).geometry
    middle = np.array(at.shape) // 2
    for letter, axis, sign in (
        (found.bottom, order[1], -1 if up else 1),
        (found.right, order[2], -1 if left else 1),
    ):
        step = np.zeros(3)
        step[axis] = sign
        moved = at.to_world(middle + step) - at.to_world(middle)
        world = int(np.abs(moved).argmax())
        assert letter == (("L", "R"), ("P", "A"), ("I", "S"))[world][int(moved[world] > 0)]
    assert {found.top, found.bottom} in ({"A", "P"}, {"S", "I"}, {"L", "R"})


def test_the_axial_slice_has_the_front_up_and_the_right_at_the_left():
    assert letters(place(Geometry((5, 5, 5), np.eye(4))), (0, 1, 2)) == ("A", "P", "R", "L")
    assert letters(place(Geometry((5, 5, 5), np.eye(4))), (1, 0, 2)) == ("S", "I", "R", "L")
    assert letters(place(Geometry((5, 5, 5), np.eye(4))), (2, 0, 1)) == ("S", "I", "A", "P")


def test_time_comes_first():
    voxels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    shown = in_display_order(Volume(voxels, Geometry((2, 3, 4), np.eye(4))))
    assert shown.shape == (5, 4, 3, 2)
    assert np.array_equal(shown[2], in_display_order(Volume(voxels[..., 2], Geometry((2, 3, 4), np.eye(4)))))


def test_a_view_in_display_order_shares_the_voxels():
    voxels = np.zeros((4, 5, 6), np.int16)
    assert np.shares_memory(in_display_order(Volume(voxels, Geometry((4, 5, 6), np.eye(4)))), voxels)


@pytest.mark.parametrize("name", ["ct_abdomen", "mr_brain_oblique"])
def test_sample_scans_are_placed_as_their_headers_say(name):
    import voxcam
    from voxcam.samples import SAMPLES, sample_path

    volume = voxcam.read(voxcam.scan(sample_path(SAMPLES[name].scan)).choose())
    assert place(volume.geometry).is_turned == (name == "mr_brain_oblique")
