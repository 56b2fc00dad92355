from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import SHAPES, Deep, Pooled, images
from voxcam import cam
from voxcam.cam.methods.baseline import baseline_of
from voxcam.cam.methods.occlusion import _spans
from voxcam.errors import ExplainError


def occluded(network, x, classes=None, **options):
    return cam.class_maps(network, x, None, "occlusion", classes, options={"occlusion": options})["occlusion"]


@pytest.mark.parametrize("shape", [(18,), (8, 14), (4, 10, 6)])
@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_value_is_what_the_logit_loses_with_the_box_of_the_cell(shape, batch):
    """Cells of 2 voxels, boxes of 4: every box is known without a rounding rule."""
    network, classes = Pooled(len(shape)).eval(), [[3, 1], [0, 2]][:batch]
    x = torch.randn(batch, 1, *shape, generator=torch.Generator().manual_seed(3))
    found = occluded(network, x, classes, size=4, stride=2, fill=0.25)
    expected = torch.zeros(batch, 2, *(axis // 2 for axis in shape))
    for b, cell in product(range(batch), product(*(range(axis // 2) for axis in shape))):
        box = tuple(slice(max(0, 2 * i - 1), 2 * i + 3) for i in cell)  # round the cell's centre, 2 i + 1
        hidden = x[b : b + 1].clone()
        hidden[(slice(None), slice(None), *box)] = 0.25
        expected[(b, slice(None), *cell)] = (network(x[b : b + 1]) - network(hidden))[0, classes[b]]
    assert_agree(found, expected)


class Quadratic(nn.Module):
    """Any size: a quadratic in the image, read by class-specific weights that vary over space."""

    def forward(self, x):
        flat = x.flatten(1)
        places = torch.arange(flat.shape[1]) / flat.shape[1]
        return torch.stack([(flat**2 * (places * k).sin()).sum(1) for k in range(1, 6)], dim=1)


@pytest.mark.parametrize(
    ("axis", "size", "cells"), [(18, 4, 9), (26, 5, 6), (23, 3, 23), (10, 10, 1), (7, 2, 3)]
)
def test_boxes_lie_round_the_centres_of_equal_cells(axis, size, cells):
    spans = _spans(axis, size, cells)
    assert len(spans) == cells
    for cell, span in enumerate(spans):
        centre = (cell + 0.5) * axis / cells
        start, stop = round_half_up(centre - size / 2), round_half_up(centre - size / 2) + size
        assert abs((start + stop) / 2 - centre) <= 0.5
        assert (span.start, span.stop) == (max(0, start), min(axis, stop))
        assert span.start < span.stop


def round_half_up(value):
    return int(value + 100.5) - 100


@pytest.mark.parametrize("rank", [2, 3])
def test_a_planted_landmark_is_found_where_it_lies(rank):
    at = (5, 19) if rank == 2 else (2, 10, 5)
    x = torch.zeros(1, 1, *SHAPES[rank])
    x[(0, 0, *at)] = 3

    class Landmark(nn.Module):
        def forward(self, x):
            return torch.stack([x[(slice(None), 0, *at)], -x[(slice(None), 0, *at)]], dim=1)

    found = occluded(Landmark(), x, size=3, stride=1, fill=0.0)
    on_image = cam.upsample(found, x.shape[2:])
    for where in (on_image[0, 0], -on_image[0, 1]):
        reached = (where == 3).nonzero().float()
        assert torch.equal(reached.mean(0), torch.tensor(at).float())  # the 3 x 3 boxes that hide it
        assert len(reached) == 3**rank
        assert float(where.sum()) == 3 * 3**rank


@pytest.mark.parametrize("fill", ["mean", "min", "blur", -0.5])
@torch.no_grad()
def test_fill_is_of_the_sample_itself(fill):
    network = Deep(2).eval()
    x = images(2) + torch.tensor([0.0, 5.0])[:, None, None, None]
    found = occluded(network, x, size=(6, 13), stride=(6, 13), fill=fill)
    assert found.shape == (2, 5, 3, 2)
    for b in range(2):
        one = x[b : b + 1]
        instead = {"mean": one.mean(), "min": one.min()}.get(fill, fill)
        hidden = one.clone()
        if fill == "blur":
            instead = blurred_by_hand(one[0, 0], (3.0, 6.5))[6:12, 13:]
        hidden[0, 0, 6:12, 13:] = instead
        assert_agree(found[b, :, 1, 1], network(one)[0] - network(hidden)[0])


def blurred_by_hand(image, deviations):
    """Every voxel as the weighed mean of its row, then of its column."""
    for axis, deviation in enumerate(deviations):
        places = torch.arange(image.shape[axis], dtype=torch.float64)
        lines = image.double().movedim(axis, 0)
        rows = []
        for place in places:
            weights = torch.exp(-((places - place) ** 2) / (2 * deviation**2))
            rows.append((weights[:, None] * lines).sum(0) / weights.sum())
        image = torch.stack(rows).movedim(0, axis)
    return image.float()


def test_baselines_are_told_apart_by_channel_and_sample():
    x = torch.randn(2, 3, 4, 5)
    assert torch.allclose(baseline_of(x, "mean", option="a fill")[1, 2], x[1, 2].mean().expand(4, 5))
    assert torch.equal(baseline_of(x, "min", option="a fill")[1, 2], x[1, 2].min().expand(4, 5))
    assert torch.equal(baseline_of(x, 2, option="a fill"), torch.full_like(x, 2))
    flat = torch.full_like(x, 3)
    assert torch.allclose(baseline_of(flat, "blur", option="a fill"), flat)


def test_default_boxes_are_an_eighth_of_each_axis():
    network, x = Quadratic(), torch.randn(1, 1, 64, 48)
    assert occluded(network, x).shape == (1, 5, 16, 16)
    assert_agree(occluded(network, x), occluded(network, x, size=(8, 6), stride=(4, 3), fill="mean"))
    volume = torch.randn(1, 1, 16, 24, 40)
    assert occluded(network, volume).shape == (1, 5, 8, 8, 8)
    assert_agree(occluded(network, volume), occluded(network, volume, size=(2, 3, 5), stride=(2, 3, 5)))
    assert occluded(network, torch.randn(1, 1, 1, 3, 2)).shape == (1, 5, 1, 2, 1)


def test_the_whole_image_may_be_hidden_at_once():
    network, x = Deep(2).eval(), images(2)
    found = occluded(network, x, size=SHAPES[2], stride=SHAPES[2], fill=0.0)
    with torch.no_grad():
        assert_agree(found[..., 0, 0], network(x) - network(torch.zeros_like(x)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 19}, "^occlusion: size 19 is larger than an axis of the input, 18 x 26 voxels$"),
        ({"size": (4, 27)}, "^occlusion: size 27 is larger than an axis of the input, 18 x 26 voxels$"),
        ({"size": 0}, "^occlusion: expected size as a whole number of 1 or more, found 0$"),
        ({"size": (4, 2.5)}, "^occlusion: expected size as a whole number of 1 or more, found 2.5$"),
        ({"size": (4, 4, 4)}, r"^occlusion: expected size as one number or 2, found \(4, 4, 4\)$"),
        ({"stride": 0}, "^occlusion: expected stride as a whole number of 1 or more, found 0$"),
        ({"fill": "noise"}, "^expected a fill as a number, 'mean', 'min' or 'blur', found 'noise'$"),
        ({"fill": float("nan")}, "^expected a fill as a number, 'mean', 'min' or 'blur', found nan$"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(options, message):
    with pytest.raises(ExplainError, match=message):
        occluded(Deep(2), images(2), **options)
