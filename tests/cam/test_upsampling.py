from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices
from torch.nn import functional
from torch.testing import assert_close

from voxcam import cam
from voxcam.cam.upsampling import Upsampled
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


CENTRES = st.tuples(st.floats(0.5, 9), st.floats(-5, 12))


@st.composite
def views(draw):
    """A view, and the whole array it stands for."""
    grid, shape = draw(GRIDS)
    maps = torch.randn(*draw(st.sampled_from([(), (1,), (3,), (2, 3)])), *grid)
    centres = draw(st.none() | st.tuples(*[CENTRES] * len(shape)))
    return Upsampled(maps, shape, centres), cam.upsample(maps, shape, centres).numpy()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_part_of_the_view_is_that_part_of_the_whole(data):
    view, whole = data.draw(views())
    key = data.draw(basic_indices(whole.shape, allow_newaxis=False))
    part, expected = view[key], whole[key]
    assert (part.shape, part.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(part, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("centres", [None, [(54.3, 20.0), (41.1, 19.0), (12.0, 18.0)]])
def test_view_of_a_large_study_agrees_with_upsample_to_a_millionth(centres):
    maps = torch.randn(1, 2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    maps /= maps.abs().max()
    view = Upsampled(maps, (431, 333, 97), centres)
    whole = cam.upsample(maps[:, 1:], (431, 333, 97), centres)[0, 0].numpy()
    for part in (np.s_[...], np.s_[:, -1], np.s_[::-7, 3:300:2, 96], np.s_[5:2:-1, 230, :]):
        np.testing.assert_allclose(view[(0, 1, *np.index_exp[part])], whole[part], rtol=0, atol=1e-6)


def test_view_is_an_array_to_numpy():
    view = Upsampled(torch.randn(2, 3, 4, 5), (9, 8, 7))
    whole = np.asarray(view)
    assert (whole.shape, whole.dtype) == (view.shape, view.dtype) == ((2, 9, 8, 7), np.dtype("float32"))
    assert (view.ndim, view.size, len(view)) == (whole.ndim, whole.size, len(whole))
    assert np.array(view, dtype=np.float64).dtype == np.float64
    assert float(np.max(view)) == whole.max()
    assert len(list(view)) == 2
    with pytest.raises(ValueError, match="always computed anew"):
        np.array(view, copy=False)


@pytest.mark.parametrize(
    ("kept", "given"), [("float16",) * 2, ("float32", "bfloat16"), ("float32",) * 2, ("float64",) * 2]
)
def test_view_has_a_dtype_that_numpy_knows(kept, given):
    maps = torch.arange(3, dtype=getattr(torch, given))
    view = Upsampled(maps, (5,), [(2.0, 0.0)])
    assert view.dtype == view[...].dtype == np.dtype(kept)
    assert view[...].tolist() == [0, 0.5, 1, 1.5, 2]


def test_view_keeps_the_maps_as_they_were_and_lets_nobody_write_into_them():
    maps = torch.ones(3, 3, requires_grad=True)
    view = Upsampled(maps, (3, 3))
    with torch.no_grad():
        maps.zero_()
    view[...][...] = 7
    assert (view[...] == 1).all()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((0, 0, 0), "expected up to 2 indices and one ellipsis"),
        ((..., ...), "expected up to 2 indices and one ellipsis"),
        (4, "index 4 is out of bounds for axis 0 of 4"),
        ((0, -7), "index -7 is out of bounds for axis 1 of 6"),
        (True, "an index is a whole number, a slice or an ellipsis, found True"),
        (None, "an index is a whole number, a slice or an ellipsis, found None"),
        ([0, 1], "an index is a whole number, a slice or an ellipsis"),
        (1.0, "an index is a whole number, a slice or an ellipsis"),
    ],
)
def test_other_indices_are_refused(key, message):
    with pytest.raises(IndexError, match=message):
        Upsampled(torch.zeros(2, 3), (4, 6))[key]


def test_view_refuses_what_upsample_refuses():
    with pytest.raises(ExplainError, match="1 to 3 spatial sizes"):
        Upsampled(torch.zeros(1, 2, 3, 4), (0, 3))
    with pytest.raises(ExplainError, match="expected centres as 2 pairs"):
        Upsampled(torch.zeros(3, 4), (6, 8), [(2.0, 0.5)])
    for upsampled in (cam.upsample, Upsampled):
        with pytest.raises(ExplainError, match=r"expected maps of floating point, found torch\.int64"):
            upsampled(torch.zeros(3, 4, dtype=torch.int64), (6, 8))


def test_napari_slices_the_view_itself():
    components = pytest.importorskip("napari.components")
    view = Upsampled(torch.randn(2, 3, 4, 5), (40, 50, 60))
    asked = []
    view.__class__ = type("Watched", (Upsampled,), {"__getitem__": noting(asked)})
    model = components.ViewerModel()
    layer = model.add_image(view, contrast_limits=(-1, 1), rgb=False)
    model.dims.set_point(0, 1)
    model.dims.set_point(1, 7)
    assert layer.data is view
    assert asked[-1][:2] == (slice(1, 2), slice(7, 8))
    assert Ellipsis not in asked  # the whole array was never computed
    np.testing.assert_array_equal(layer._slice.image.raw, np.asarray(view)[1, 7])


def noting(asked):
    def part(self, key):
        asked.append(key)
        return Upsampled.__getitem__(self, key)

    return part
