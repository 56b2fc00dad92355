from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, images
from voxcam import cam

MODES = {2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_refine_cam_is_the_product_of_the_shares_on_the_finest_grid(rank, batch):
    network, x = Deep(rank), images(rank, batch)
    layers = ["trunk.2", "trunk", "head.1"]
    maps = cam.class_maps(network, x, layers, ("refine-cam", "grad-cam++"))
    finest = maps["grad-cam++", "trunk.2"].shape[2:]
    expected = torch.ones(batch, 5, *finest)
    for layer in layers:
        one = maps["grad-cam++", layer].relu()
        shares = torch.stack([torch.stack([m / m.max() if m.max() > 0 else m for m in s]) for s in one])
        expected *= functional.interpolate(shares, finest, mode=MODES[rank], align_corners=False)
    assert_agree(maps["refine-cam"], expected)
    assert maps["refine-cam"].min() >= 0
    assert maps["refine-cam"].max() <= 1


def test_refine_cam_is_empty_where_one_layer_is():
    empty, full = -torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2)
    assert not cam.METHODS["refine-cam"]([full, empty]).any()
    assert cam.METHODS["refine-cam"]([full, full]).shape == (1, 1, 2, 2)
