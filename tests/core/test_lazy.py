from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcam.core.lazy import Mapped, Part, Stacked, in_c_order, part_of, sampled

VALUES = np.random.default_rng(0).integers(-1000, 1000, (4, 3, 5, 2)).astype(np.int16)


class Read:
    """A stack of slices of an array, and which of them were read."""

    def __init__(self, values, cache_bytes=1 << 20):
        self.at = []
        count = values.shape[2] if values.ndim == 3 else values.shape[2:]
        self.stack = Stacked(self._slice, values.shape[:2], count, values.dtype, cache_bytes=cache_bytes)
        self.values = values

    def _slice(self, *at):
        self.at.append(at[0] if len(at) == 1 else at)
        return self.values[(..., *at)]


def slice_of(values, *at):
    return values[(..., *at)]


def one_key(length):
    if length == 0:
        return st.slices(0)
    whole = st.integers(-length, length - 1)
    return st.one_of(whole, whole.map(np.int64), st.slices(length))


@st.composite
def keys(draw, shape):
    said = [draw(one_key(length)) for length in shape]
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(shape))] * 2)))
    if draw(st.booleans()):
        said[start:end] = [Ellipsis]
        return tuple(said)
    said = said[:end]
    return said[0] if len(said) == 1 and draw(st.booleans()) else tuple(said)


@pytest.mark.parametrize("values", [VALUES, VALUES[..., 0]], ids=["4D", "3D"])
@given(st.data())
def test_every_basic_index_of_a_stack_equals_numpys(values, data):
    stack = Read(values).stack
    key = data.draw(keys(values.shape))
    np.testing.assert_array_equal(stack[key], values[key])
    assert stack[key].shape == values[key].shape
    assert stack[key].dtype == values.dtype


@given(st.data(), st.permutations([0, 1, 2, 3]))
def test_every_basic_index_of_a_turned_and_cut_part_equals_numpys(data, order):
    key = data.draw(keys(VALUES.shape))
    truth = VALUES[key]
    axes = [axis for axis in order if axis < truth.ndim]
    truth = truth.transpose(axes)
    part = Part(Read(VALUES).stack, key, axes)
    assert (part.shape, part.ndim, part.size, part.dtype) == (
        truth.shape,
        truth.ndim,
        truth.size,
        truth.dtype,
    )
    np.testing.assert_array_equal(np.asarray(part), truth)
    further = data.draw(keys(truth.shape))
    np.testing.assert_array_equal(part[further], truth[further])
    turned = data.draw(st.permutations(range(truth.ndim)))
    if truth.ndim:
        np.testing.assert_array_equal(np.asarray(part.transpose(*turned)), truth.transpose(turned))
    np.testing.assert_array_equal(np.asarray(part.transpose()), truth.transpose())
    np.testing.assert_array_equal(np.asarray(Part(part, further)), truth[further])


def test_only_the_slices_asked_for_are_read_and_only_once():
    read = Read(VALUES[..., 0])
    read.stack[..., 3]
    read.stack[1, :, 2:4]
    part_of(read.stack, (slice(None, None, -1), slice(None), slice(None)), (2, 1, 0))[0]
    assert read.at == [3, 2, 0]
    np.testing.assert_array_equal(np.moveaxis(read.stack, -1, 0)[4], VALUES[:, :, 4, 0].copy())
    assert read.at == [3, 2, 0, 4]


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 6))
def test_the_slices_last_used_are_kept_within_the_bytes_allowed(asked, kept):
    values = VALUES[..., 0]
    read = Read(values, cache_bytes=kept * values[..., 0].nbytes)
    expected, held = [], []
    for k in asked:
        np.testing.assert_array_equal(read.stack[..., k], values[..., k])
        expected += [] if k in held else [k]
        held = [*(h for h in held if h != k), k][-kept:] if kept else []
    assert read.at == expected


def test_what_is_handed_out_is_the_askers_own():
    read = Read(VALUES.copy())
    read.stack[:, :, 1, 0][...] = 7
    np.testing.assert_array_equal(read.stack[:, :, 1, 0], VALUES[:, :, 1, 0])


def test_threads_may_share_a_stack():
    read = Read(VALUES, cache_bytes=3 * VALUES[:, :, 0, 0].nbytes)
    order = np.random.default_rng(0).integers(0, 5, 400)
    with ThreadPoolExecutor(8) as pool:
        for k, found in zip(order, pool.map(lambda k: read.stack[:, :, k, 1], order), strict=True):
            np.testing.assert_array_equal(found, VALUES[:, :, k, 1])


def test_a_stack_travels_to_another_process():
    stack = Stacked(partial(slice_of, VALUES[..., 0]), (4, 3), 5, np.int16)
    stack[..., 1]
    part = pickle.loads(pickle.dumps(Part(stack, (..., slice(None, None, -1)))))
    np.testing.assert_array_equal(np.asarray(part), VALUES[:, :, ::-1, 0])


def test_a_slice_of_another_size_is_an_error_and_another_type_is_turned_into_the_stated():
    with pytest.raises(ValueError, match="the stack is of"):
        Stacked(lambda k: np.zeros((4, 4)), (4, 3), 5, np.int16)[..., 0]
    assert Stacked(lambda k: np.zeros((4, 3)), (4, 3), 5, np.int16)[..., 0].dtype == np.int16


@pytest.mark.parametrize("key", [True, None, "a", 1.0, [0, 1], np.array([0]), (..., ...)])
def test_an_index_beyond_the_basic_ones_is_refused(key):
    with pytest.raises(IndexError, match="whole number, a slice or an ellipsis"):
        Read(VALUES).stack[key]


@pytest.mark.parametrize("key", [4, (0, -4), (0, 0, 0, 0, 0)])
def test_an_index_out_of_bounds_is_refused(key):
    with pytest.raises(IndexError):
        Part(Read(VALUES).stack, ...)[key]


def test_of_an_array_a_part_is_a_view():
    part = part_of(VALUES, (slice(1, 3), slice(None, None, -1)), (2, 0, 1, 3))
    assert isinstance(part, np.ndarray)
    assert np.shares_memory(part, VALUES)
    with pytest.raises(ValueError, match="no order of"):
        Part(VALUES, 0, (0, 1, 1))


def test_mapped_voxels_are_computed_as_asked():
    read = Read(VALUES)
    mapped = Mapped(read.stack, lambda values: values / 2, np.float64)
    np.testing.assert_array_equal(mapped[1:, :, 2], VALUES[1:, :, 2] / 2)
    assert {k for k, _ in read.at} == {2}
    assert (mapped.shape, mapped.dtype, mapped.slice_axis) == (VALUES.shape, np.float64, 2)


@given(st.integers(1, 400), st.sampled_from(["C", "F"]), st.booleans())
def test_blocks_together_are_the_array_in_c_order(block_bytes, order, lazy):
    values = np.array(VALUES, order=order)
    voxels = Read(values).stack if lazy else values
    blocks = list(in_c_order(voxels, block_bytes))
    assert b"".join(block.tobytes() for block in blocks) == VALUES.tobytes()
    assert max(block.nbytes for block in blocks) <= max(block_bytes, VALUES[0].nbytes)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_sample_reads_whole_slices_spread_over_all(axes):
    values = np.broadcast_to(np.arange(100.0), (4, 3, 100))
    read = Read(values)
    seen = sampled(Part(read.stack, ..., axes), 5)
    assert sorted(read.at) == [0, 25, 50, 74, 99]
    assert sorted(np.unique(seen)) == [0, 25, 50, 74, 99]
    read = Read(VALUES)
    sampled(read.stack, 4)
    assert len(read.at) == 4
    assert {t for _, t in read.at} == {0, 1}
    assert sampled(VALUES, 1) is VALUES
