from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from grids import geometries
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Stacked
from voxcam.core.volume import COLOUR, Volume
from voxcam.core.windows import Window
from voxcam.export.planes import PLANES, cut
from voxcam.plugin.review.plane import Plane, Sight, outline, round_length

# All 48 ways to store axes parallel to the patient's: array axis of x, y, z, and where they grow to.
STORED = list(product(permutations(range(3)), product((-1, 1), repeat=3)))
SPACING = (0.8, 1.5, 4.0)  # along x, y, z
COUNTS = (7, 6, 5)


def numbered(axes, signs):
    """A volume whose voxels are numbered through the patient: by x, then y, then z, towards R, A, S."""
    shape = tuple(COUNTS[axes.index(array)] for array in range(3))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for world, array in enumerate(axes):
        affine[world, array] = signs[world] * SPACING[world]
    geometry = Geometry(shape, affine)
    index = np.stack(np.meshgrid(*map(range, shape), indexing="ij"), axis=-1)
    world = geometry.to_world(index)
    steps = np.rint((world - world.min(axis=(0, 1, 2))) / SPACING).astype(int)
    return Volume(steps @ (1, 10, 100), geometry, "MR")


@pytest.mark.parametrize("neurological", [False, True])
def test_rows_go_to_the_feet_or_the_back_and_columns_to_the_left_or_the_back_however_stored(neurological):
    x, y, z = (np.arange(n)[::-1] for n in COUNTS)  # towards L, P, I
    across = x[::-1] if neurological else x
    for axes, signs in STORED:
        volume = numbered(axes, signs)
        window = Window(127.5, 255)

        def seen(through, index, volume=volume, window=window):
            small = replace(volume, voxels=volume.voxels % 251)
            return Plane(small, through, neurological).grey(index, window)

        assert np.array_equal(seen(0, 1), (100 * z[1] + 10 * y[:, None] + across) % 251)
        assert np.array_equal(seen(1, 2), (100 * z[:, None] + 10 * y[2] + across) % 251)
        assert np.array_equal(seen(2, 3), (100 * z[:, None] + 10 * y + x[3]) % 251)


@pytest.mark.parametrize("neurological", [False, True])
def test_the_letters_are_those_of_the_directions_the_pixels_grow_to(neurological):
    towards = {
        "R": (1, 0, 0),
        "L": (-1, 0, 0),
        "A": (0, 1, 0),
        "P": (0, -1, 0),
        "S": (0, 0, 1),
        "I": (0, 0, -1),
    }
    for axes, signs in STORED:
        for through in range(3):
            plane = Plane(numbered(axes, signs), through, neurological)
            here = (0.3, 0.7, 1.1)
            row, column = plane.place_of(here)
            for letter, (down, right) in zip(plane.letters, [(-1, 0), (1, 0), (0, -1), (0, 1)], strict=True):
                step = np.array(plane.moved(here, row + down, column + right)) - here
                assert step @ towards[letter] == pytest.approx(np.linalg.norm(step))


def test_left_and_right_are_exchanged_in_axial_and_coronal_planes_alone(scan):
    for through, (usual, turned) in enumerate([("RL", "LR"), ("RL", "LR"), ("AP", "AP")]):
        for neurological, sides in ((False, usual), (True, turned)):
            letters = Plane(scan, through, neurological).letters
            assert letters.left + letters.right == sides


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(0, 2), st.booleans(), st.data())
def test_a_voxel_lies_at_its_own_row_and_column_on_turned_and_sheared_grids_too(
    geometry, through, neurological, data
):
    index = tuple(data.draw(st.integers(0, n - 1)) for n in geometry.shape)
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[index] = 1
    point = tuple(geometry.to_world(index))
    plane = Plane(Volume(voxels, geometry), through, neurological)
    row, column = plane.place_of(point)
    bright = np.argwhere(plane.grey(plane.index_at(point), Window(0.5, 1)))
    assert bright.tolist() == [[round(row), round(column)]]
    assert abs(row - round(row)) + abs(column - round(column)) < 1e-6


@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(0, 2), st.booleans())
def test_a_point_moves_on_the_plane_or_across_it_never_both(geometry, through, neurological):
    plane = Plane(Volume(np.zeros(geometry.shape), geometry), through, neurological)
    here = tuple(float(x) for x in geometry.centre_mm)
    there = plane.moved(here, 0.25, 1.75)
    assert plane.place_of(there) == pytest.approx((0.25, 1.75), abs=1e-6)
    across = np.array(plane.grid.to_index(there) - plane.grid.to_index(here))[through]
    assert across == pytest.approx(0, abs=1e-6)
    stepped = plane.stepped(there, 1)
    assert plane.place_of(stepped) == pytest.approx((0.25, 1.75), abs=1e-6)
    assert plane.grid.to_index(stepped)[through] == pytest.approx(plane.index_at(stepped), abs=1e-6)
    assert plane.index_at(stepped) == min(plane.index_at(there) + 1, plane.count - 1)


def test_steps_end_at_the_first_and_the_last_slice(scan):
    plane = Plane(scan, 0)
    here = tuple(scan.geometry.centre_mm)
    assert plane.index_at(plane.stepped(here, -1000)) == 0
    assert plane.index_at(plane.stepped(here, 1000)) == 19
    far = tuple(scan.geometry.centre_mm + np.array((0, 0, 500)))
    assert plane.index_at(far) == 0


def test_pictures_are_those_of_the_figures(scan):
    window = Window(0, 2000)
    for through, name in enumerate(PLANES):
        figure = cut(scan, name, 3)
        grey = Plane(scan, through).grey(3, window)
        assert np.abs(grey - 255 * window.apply(figure.pixels)).max() <= 0.5
        assert Plane(scan, through).words(3) == figure.words


def test_monochrome1_is_shown_inverted():
    volume = Volume(np.array([0.0, 10.0]).reshape(2, 1, 1), Geometry((2, 1, 1), np.diag([-1, -1, -1, 1.0])))
    assert Plane(volume, 0).grey(0, Window(5, 10)).tolist() == [[0, 255]]
    assert Plane(replace(volume, inverted=True), 0).grey(0, Window(5, 10)).tolist() == [[255, 0]]


def test_colour_is_shown_by_its_luminance():
    voxels = np.zeros((3, 1, 1), COLOUR)
    for place, name in enumerate("RGB"):
        voxels[name][place] = 255
    volume = Volume(voxels, Geometry((3, 1, 1), np.diag([-1, -1, -1, 1.0])), "US")
    assert Plane(volume, 0).grey(0, volume.window).tolist() == [[76, 150, 29]]


def test_what_is_not_there_is_black():
    volume = Volume(np.full((1, 1, 1), np.nan), Geometry((1, 1, 1), np.eye(4)), inverted=True)
    assert Plane(volume, 0).grey(0, Window(0, 1)).tolist() == [[0]]


def test_of_a_volume_in_time_the_asked_moment_is_shown():
    voxels = np.arange(6.0).reshape(1, 1, 2, 3)
    plane = Plane(Volume(voxels, Geometry((1, 1, 2), np.eye(4))), 0)
    window = Window(127.5, 255)
    assert [plane.grey(0, window, moment).item() for moment in (0, 1, 2, 9)] == [3, 4, 5, 5]


def test_a_place_where_nothing_was_measured_is_named(scan):
    plane = Plane(replace(scan, empty=(19,)), 0)
    assert plane.words(0).endswith("slice 1 of 20, nothing was measured here")
    assert "nothing" not in plane.words(1)
    assert "nothing" not in Plane(replace(scan, empty=(19,)), 1).words(0)


def test_only_planes_that_would_read_every_file_are_slow(scan):
    assert not any(Plane(scan, through).is_slow for through in range(3))
    stack = Stacked(lambda k: scan.voxels[:, :, k], (48, 40), 20, np.int16)
    lazy = replace(scan, voxels=stack)
    assert [Plane(lazy, through).is_slow for through in range(3)] == [False, True, True]
    assert np.array_equal(Plane(lazy, 0).grey(4, Window(0, 2000)), Plane(scan, 0).grey(4, Window(0, 2000)))


def test_a_picture_is_in_the_middle_and_in_true_proportion():
    sight = Sight(300, 200, (10, 40), (5.0, 1.0))  # 50 mm tall, 40 mm wide
    assert sight.per_mm == 4.0
    assert sight.box == (70, 0, 160, 200)
    assert sight.to_view(0, 0) == (72, 10)
    assert sight.to_view(9, 39) == (228, 190)


@given(
    st.floats(1, 32),
    st.tuples(st.floats(-99, 99), st.floats(-99, 99)),
    st.tuples(st.floats(0, 9), st.floats(0, 39)),
)
def test_a_place_in_the_view_is_found_again(zoom, shift, place):
    sight = Sight(300, 200, (10, 40), (5.0, 1.0), zoom, shift)
    assert sight.to_plane(*sight.to_view(*place)) == pytest.approx(place, abs=1e-6)


@given(st.integers(0, 2**20 - 1))
def test_an_outline_is_every_border_between_inside_and_outside(bits):
    inside = np.array([bits >> n & 1 for n in range(20)], bool).reshape(4, 5)
    drawn = set()
    for x, y, to_x, to_y in outline(inside).tolist():
        assert (x == to_x) != (y == to_y)
        steps = range(x, to_x) if y == to_y else range(y, to_y)
        drawn |= {("h", at, y) if y == to_y else ("v", x, at) for at in steps}
    wide = np.pad(inside, 1)
    across = {("h", c, r) for r in range(5) for c in range(5) if wide[r, c + 1] != wide[r + 1, c + 1]}
    down = {("v", c, r) for r in range(4) for c in range(6) if wide[r + 1, c] != wide[r + 1, c + 1]}
    assert drawn == across | down


@pytest.mark.parametrize(
    ("longest", "length"), [(99, 50), (100, 100), (0.3, 0.2), (7, 5), (19, 10), (25, 20)]
)
def test_a_length_is_round(longest, length):
    assert round_length(longest) == pytest.approx(length)
