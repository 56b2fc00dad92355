"""Joined window maps: exact where they agree, a stated weighted mean where they do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.core.geometry import Geometry
from voxcam.core.stitching import Stitching
from voxcam.core.volume import Volume


def _starts(whole: int, size: int, step: int) -> list[int]:
    return [min(s, whole - size) for s in range(0, whole - size + step, step)]


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(*[st.integers(16, 30)] * 3), slope=st.tuples(*[st.floats(-2, 2)] * 3))
def test_windows_of_one_linear_field_join_to_that_field(shape, slope) -> None:
    """Whatever the overlap, windows cut from one field agree, so their mean is the field."""
    geometry = Geometry(shape, np.diag([1.5, 1.5, 1.5, 1.0]))
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1)
    centres = [(np.arange(4) + 0.5) * 4 - 0.5 for _ in range(3)]
    for i in _starts(shape[0], 16, 8):
        for j in _starts(shape[1], 16, 8):
            for k in _starts(shape[2], 16, 8):
                at = [c + s for c, s in zip(centres, (i, j, k), strict=True)]
                field = sum(m * x for m, x in zip(np.meshgrid(*at, indexing="ij"), slope, strict=True))
                stitching.add(np.asarray(field, np.float32)[None], (i, j, k))
    maps, joined = stitching.joined()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in joined.shape], indexing="ij"), axis=-1)
    voxel = geometry.to_index(joined.to_world(index))
    expected = (voxel * np.array(slope)).sum(axis=-1)
    # Beyond the outermost unit centre of the volume the outermost value is held, not extrapolated.
    inner = ((voxel >= 1.5) & (voxel <= np.array(shape) - 2.5)).all(axis=-1)
    assert np.allclose(maps[0][inner], expected[inner], atol=1e-3)


def test_one_window_over_the_whole_volume_is_taken_over_as_it_is() -> None:
    geometry = Geometry((10, 12, 33), np.diag([1.0, 2.0, 3.0, 1.0]))
    maps = np.random.default_rng(0).normal(size=(3, 5, 4, 5)).astype(np.float32)
    stitching = Stitching(geometry, geometry.shape, (5, 4, 5), 3)
    stitching.add(maps, (0, 0, 0))
    joined, grid = stitching.joined()
    assert np.allclose(joined, maps)
    assert grid.same_grid(geometry.coarsened((5, 4, 5)))


def test_slices_are_stacked_in_their_order() -> None:
    geometry = Geometry((8, 8, 5), np.eye(4))
    stitching = Stitching(geometry, (8, 8, 1), (2, 2, 1), 1)
    for k in (3, 0, 4, 1, 2):
        stitching.add(np.full((1, 2, 2, 1), k, np.float32), (0, 0, k))
    joined, grid = stitching.joined()
    assert np.array_equal(joined[0, 0, 0], np.arange(5))
    assert np.allclose(grid.spacing_mm, (4, 4, 1))


def test_where_windows_disagree_the_nearer_middle_weighs_more() -> None:
    geometry = Geometry((24, 16, 16), np.eye(4))
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1)
    stitching.add(np.zeros((1, 4, 4, 4), np.float32), (0, 0, 0))
    stitching.add(np.ones((1, 4, 4, 4), np.float32), (8, 0, 0))
    joined, _ = stitching.joined()
    along = joined[0, :, 1, 1]
    weight = lambda voxel, middle: np.exp(-0.5 * ((voxel - middle) / 2) ** 2)  # noqa: E731 - sigma = 16 / 8
    expected = [weight(v, 16) / (weight(v, 16) + weight(v, 8)) for v in (10.0, 14.0)]
    assert along[2:4] == pytest.approx(expected, rel=1e-5)
    assert along[:2].tolist() == [0, 0]
    assert along[4:].tolist() == [1, 1]


def test_where_no_window_lay_there_is_no_number() -> None:
    geometry = Geometry((32, 16, 16), np.eye(4))
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1)
    stitching.add(np.ones((1, 4, 4, 4), np.float32), (0, 0, 0))
    joined, _ = stitching.joined()
    assert np.isfinite(joined[0, :4]).all()
    assert np.isnan(joined[0, 4:]).all()


def test_a_window_larger_than_the_volume_keeps_its_cells_in_place() -> None:
    """A 10-voxel volume in the middle of a 16-voxel window: cells are laid on the volume, not the padding."""
    geometry = Geometry((10, 16, 16), np.eye(4))
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1)
    ramp = np.broadcast_to(((np.arange(4) + 0.5) * 4 - 0.5)[:, None, None], (4, 4, 4)).astype(np.float32)
    stitching.add(ramp[None], (-3, 0, 0))
    joined, grid = stitching.joined()
    index = geometry.to_index(
        grid.to_world(np.stack([np.arange(grid.shape[0]), *[np.zeros(grid.shape[0])] * 2], 1))
    )
    expected = np.clip(index[:, 0] + 3, 1.5, 13.5)
    assert joined[0, :, 0, 0] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(*[st.integers(10, 40)] * 3))
def test_windows_over_the_whole_volume_leave_no_voxel_without_a_number(shape) -> None:
    geometry = Geometry(shape, np.eye(4))
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1)
    axes = [_starts(n, 16, 8) if n > 16 else [-((16 - n) // 2)] for n in shape]
    for start in itertools.product(*axes):
        stitching.add(np.ones((1, 4, 4, 4), np.float32), start)
    joined, grid = stitching.joined()
    seen = Volume(joined[0], grid).on(geometry)
    assert np.allclose(np.asarray(seen.voxels), 1)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(16, 30)] * 3),
    slope=st.tuples(*[st.floats(-2, 2)] * 3),
    offset=st.tuples(*[st.floats(-3, 6)] * 3),
)
def test_cells_that_look_beside_their_boxes_are_placed_where_they_look(shape, slope, offset) -> None:
    """One linear field again; this time unit u of a window looks at voxel offset + 4.5 u."""
    geometry = Geometry(shape, np.diag([1.5, 1.5, 1.5, 1.0]))
    rule = [(4.5, first) for first in offset]
    stitching = Stitching(geometry, (16, 16, 16), (4, 4, 4), 1, rule)
    for i in _starts(shape[0], 16, 9):
        for j in _starts(shape[1], 16, 9):
            for k in _starts(shape[2], 16, 9):
                at = [o + 4.5 * np.arange(4) + s for o, s in zip(offset, (i, j, k), strict=True)]
                field = sum(m * x for m, x in zip(np.meshgrid(*at, indexing="ij"), slope, strict=True))
                stitching.add(np.asarray(field, np.float32)[None], (i, j, k))
    maps, joined = stitching.joined()
    assert np.allclose(joined.spacing_mm, 4.5 * 1.5)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in joined.shape], indexing="ij"), axis=-1)
    voxel = geometry.to_index(joined.to_world(index))
    expected = (voxel * np.array(slope)).sum(axis=-1)
    first, last = np.array(offset), np.array(offset) + 4.5 * 3 + np.array(shape) - 16
    inner = ((voxel >= first - 1e-6) & (voxel <= last + 1e-6)).all(axis=-1)
    assert inner.any()
    assert np.allclose(maps[0][inner], expected[inner], atol=1e-3)


def test_one_window_keeps_its_own_cells_at_their_measured_places() -> None:
    geometry = Geometry((100, 64, 33), np.diag([1.0, 2.0, 3.0, 1.0]))
    maps = np.random.default_rng(0).normal(size=(3, 4, 2, 2)).astype(np.float32)
    stitching = Stitching(geometry, geometry.shape, (4, 2, 2), 3, [(32.0, 2.0), (32.0, 50.0), (16.5, 8.0)])
    stitching.add(maps, (0, 0, 0))
    joined, grid = stitching.joined()
    assert np.allclose(joined, maps)
    assert np.allclose(grid.to_world((1, 1, 1)), geometry.to_world((34, 82, 24.5)))
