from __future__ import annotations

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.errors import ExplainError


def test_maps_of_several_layers_are_asked_by_method_and_layer():
    maps = cam.class_maps(Deep(2), images(2), ["middle", "trunk"], ("grad-cam", "layer-cam"))
    assert maps.layers == ("middle", "trunk")
    assert maps["layer-cam", "middle"].shape == (2, 5, 9, 13)
    with pytest.raises(ExplainError, match=r"^there are maps by 'grad-cam' at 2 layers; name one: maps\["):
        maps["grad-cam"]


def test_map_that_was_not_asked_is_an_error():
    maps = cam.class_maps(Deep(2), images(2), "trunk")
    with pytest.raises(ExplainError, match="^no map by 'layer-cam'; there are grad-cam at trunk$"):
        maps["layer-cam"]
    with pytest.raises(ExplainError, match="there are grad-cam at trunk$"):
        maps["grad-cam", "middle"]


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([[0.0, 1.0]], None),
        ([[-1.0, 1.0]], None),
        ([[0.0, 0.0]], "no positive evidence"),
        ([[-2.0, -1.0]], "no positive evidence"),
        ([[3.0, 3.0]], "constant"),
        ([[3.0]], None),
        ([[1.0, torch.nan]], "non-finite"),
        ([[1.0, torch.inf]], "non-finite"),
        ([[-torch.inf, -1.0]], "non-finite"),
    ],
)
def test_flag_says_what_is_odd(values, flag):
    assert cam.flag_of(torch.tensor(values)) == flag


def test_flags_are_told_sample_by_sample_and_class_by_class():
    network = Pooled(2)
    with torch.no_grad():
        network.classifier.weight[0] = -1.0  # activations are >= 0: all evidence is against class 0
        network.classifier.weight[1] = 1.0
    maps = cam.class_maps(network, images(2), "features", classes=[0, 1])
    assert maps.flags("grad-cam") == [["no positive evidence", None]] * 2


@pytest.mark.parametrize("rank", [2, 3])
def test_map_and_bias_add_up_to_the_logit_where_a_linear_head_follows(rank):
    network = Pooled(rank)
    maps = cam.class_maps(network, images(rank), "features", ("grad-cam", "hires-cam"), classes=[2, 0])
    assert_agree(maps.biases["features"], network.classifier.bias.detach()[[2, 0]].expand(2, 2))
    for method in maps.methods:
        assert_agree(maps[method].flatten(2).sum(-1) + maps.biases["features"], maps.logits[:, [2, 0]])


def test_bias_is_told_only_where_the_map_is_complete():
    assert not cam.class_maps(Deep(2), images(2), "trunk").biases
    several = cam.class_maps(Pooled(2), images(2), ["features.3", "features"])
    assert list(several.biases) == ["features"]


def test_methods_that_give_one_map_are_named_where_they_do():
    methods = ("cam", "grad-cam", "layer-cam", "hires-cam")
    maps = cam.class_maps(Pooled(3), images(3), "features", methods)
    assert maps.same_map("features") == ("cam", "grad-cam", "hires-cam")
    assert cam.class_maps(Pooled(3), images(3), "features", "grad-cam").same_map("features") == ()
    assert cam.class_maps(Deep(3), images(3), "trunk", ("grad-cam", "hires-cam")).same_map("trunk") == ()
