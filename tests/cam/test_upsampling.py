from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from voxcam import cam
from voxcam.errors import ExplainError

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
GRIDS = st.integers(1, 3).flatmap(
    lambda rank: st.tuples(st.tuples(*[st.integers(1, 6)] * rank), st.tuples(*[st.integers(1, 17)] * rank))
)


def half_pixel(grid, shape):
    return [(size / units, (size / units - 1) / 2) for units, size in zip(grid, shape, strict=True)]


@settings(max_examples=60, deadline=None)
@given(GRIDS, st.sampled_from([(), (2,), (2, 3)]))
def test_upsample_agrees_with_interpolate(grids, lead):
    grid, shape = grids
    maps = torch.randn(*lead, *grid)
    flat = maps.reshape(-1, 1, *grid)
    expected = functional.interpolate(flat, shape, mode=MODES[len(grid)], align_corners=False)
    expected = expected.reshape(*lead, *shape)
    assert_close(cam.upsample(maps, shape), expected, rtol=0, atol=1e-6)
    assert_close(cam.upsample(maps, shape, half_pixel(grid, shape)), expected, rtol=0, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.floats(0.3, 20),
    st.floats(-30, 30),
)
def test_centres_place_a_ramp_where_its_units_lie(units, size, stride, offset):
    positions = offset + stride * torch.arange(units, dtype=torch.float64)
    found = cam.upsample(positions, (size,), [(stride, offset)])
    expected = torch.arange(size, dtype=torch.float64).clamp(positions[0], positions[-1])
    assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_each_axis_follows_its_own_centres():
    maps = torch.zeros(1, 1, 3, 4, 5)
    maps[0, 0, 1, 2, 3] = 1.0
    up = cam.upsample(maps, (12, 20, 30), [(4.0, 1.0), (5.0, 0.0), (6.0, 2.0)])
    peak = torch.nonzero(up[0, 0] == up.max())
    assert peak.tolist() == [[5, 10, 20]]
    assert up.max() == 1.0
    assert up[0, 0, 3, 10, 20] == 0.5


@pytest.mark.parametrize("centres", [None, [(4.0, 1.5), (4.0, 1.5)]])
def test_constant_stays_constant(centres):
    assert_close(cam.upsample(torch.full((2, 3, 4), 0.7), (16, 16), centres), torch.full((2, 16, 16), 0.7))


def test_shape_with_batch_and_channels_is_refused():
    with pytest.raises(ExplainError, match="without batch and channels, found"):
        cam.upsample(torch.zeros(1, 2, 3, 4), (1, 1, 12, 16))


@pytest.mark.parametrize("shape", [(), (0, 3)])
def test_shape_without_voxels_is_refused(shape):
    with pytest.raises(ExplainError, match="1 to 3 spatial sizes"):
        cam.upsample(torch.zeros(1, 2, 3, 4), shape)


def test_map_of_too_few_axes_is_refused():
    with pytest.raises(ExplainError, match=r"expected maps of 3 spatial axes, found shape \(3, 4\)"):
        cam.upsample(torch.zeros(3, 4), (6, 8, 9))


@pytest.mark.parametrize(
    "centres", [[(2.0, 0.5)], [(0.0, 0.0), (2.0, 0.5)], [(-2.0, 9.0), (2.0, 0.5)], [(2.0, float("nan"))] * 2]
)
def test_centres_that_do_not_fit_are_refused(centres):
    with pytest.raises(ExplainError, match=r"expected centres as 2 pairs \(stride > 0, offset\) in voxels"):
        cam.upsample(torch.zeros(3, 4), (6, 8), centres)
