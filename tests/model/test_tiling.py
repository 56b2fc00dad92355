"""Windows lie where MONAI's sliding window inferer puts them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.tiling import Tiling, build_tiling


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(5, 20)] * 3),
    size=st.tuples(*[st.integers(4, 9)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_windows_are_those_of_monai(shape, size, overlap) -> None:
    from monai.inferers import sliding_window_inference

    image = torch.arange(1.0, 1 + shape[0] * shape[1] * shape[2]).reshape(1, *shape)
    seen = []

    def network(windows: torch.Tensor) -> torch.Tensor:
        seen.extend(windows.clone())
        return windows

    sliding_window_inference(image[None], size, 4, network, overlap=overlap)
    tiling = Tiling(size, overlap)
    windows = tiling.cut(image, tiling.starts(shape))
    assert {w.numpy().tobytes() for w in windows} == {w.numpy().tobytes() for w in seen}


def test_a_flat_tiling_gives_every_slice_whole_and_in_order() -> None:
    image = torch.rand(1, 6, 7, 5)
    for axis in (0, 1, 2):
        tiling = build_tiling({"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": axis}, rank=2)
        windows = tiling.cut(image, tiling.starts((6, 7, 5)))
        assert torch.equal(windows, image.movedim(axis + 1, 0))


def test_without_an_inferer_the_network_sees_the_volume_whole_or_slice_by_slice() -> None:
    assert build_tiling(None, rank=3).starts((4, 5, 6)) == [(0, 0, 0)]
    assert len(build_tiling(None, rank=2).starts((4, 5, 6))) == 6


def test_padding_takes_the_stated_value() -> None:
    section = {"_target_": "SlidingWindowInferer", "roi_size": [4, 4, 4], "cval": -3.0}
    tiling = build_tiling(section, rank=3)
    window = tiling.cut(torch.ones(1, 2, 4, 4), tiling.starts((2, 4, 4)))
    assert window.shape == (1, 1, 4, 4, 4)
    assert window[0, 0, 0].eq(-3).all()
    assert window[0, 0, 1:3].eq(1).all()
    assert window[0, 0, 3].eq(-3).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ClassifierError, match="roi_size"):
        build_tiling({"_target_": "SlidingWindowInferer", "roi_size": [4, 4]}, rank=3)
    with pytest.raises(ClassifierError, match="spatial_dim"):
        build_tiling({"_target_": "SliceInferer", "roi_size": [4, 4], "spatial_dim": 5}, rank=2)
    with pytest.raises(ClassifierError, match="overlap"):
        Tiling((4, 4, 4), overlap=1.0)
    with pytest.raises(UntrustedCodeError):
        build_tiling({"_target_": "SaliencyInferer"}, rank=3)


def test_neighbours_are_channels_in_order_and_the_last_slice_is_repeated() -> None:
    image = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 4, 6, 5)
    tiling = build_tiling(None, rank=2, neighbours=3)
    windows = tiling.cut(image, tiling.starts((4, 6, 5)))
    assert windows.shape == (5, 3, 4, 6)
    assert windows[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 4]]
    colour = torch.cat([image, image + 10])
    windows = tiling.cut(colour, tiling.starts((4, 6, 5)))
    assert windows[2, :, 0, 0].tolist() == [1, 11, 2, 12, 3, 13], "of each slice all its channels together"


def test_a_stated_axis_goes_before_the_sections() -> None:
    section = {"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 2}
    assert build_tiling(section, rank=2, along=0).flat_axis == 0
    with pytest.raises(ClassifierError, match="for 2D networks"):
        build_tiling(None, rank=3, neighbours=3)
