from __future__ import annotations

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.errors import ExplainError


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_maps_are_raw_float32_on_the_layers_grid(rank, batch):
    maps = cam.class_maps(Pooled(rank).double(), images(rank, batch).double(), "features", tuple(cam.METHODS))
    grid = cam.candidate_layers(Pooled(rank), images(rank))[-1].grid
    for method in cam.METHODS:
        assert maps[method].shape == (batch, 4, *grid)
        assert maps[method].dtype == torch.float32
    assert maps.logits.shape == (batch, 4)
    assert maps.logits.dtype == torch.float32
    assert (maps["grad-cam"] < 0).any()
    assert (maps.layer, maps.methods, maps.classes) == ("features", tuple(cam.METHODS), (0, 1, 2, 3))


def test_maps_are_the_methods_of_the_capture():
    network, x = Deep(3), images(3)
    methods = [m for m in cam.METHODS if m != "cam"]
    maps, captured = cam.class_maps(network, x, "trunk", methods), cam.capture(network, x, "trunk")
    for method in methods:
        expected = cam.METHODS[method](captured.activations["trunk"], captured.gradients["trunk"])
        assert_agree(maps[method], expected)


def test_maps_of_several_layers_are_asked_by_method_and_layer():
    maps = cam.class_maps(Deep(2), images(2), ["middle", "trunk"], ("grad-cam", "layer-cam"))
    assert maps.layers == ("middle", "trunk")
    assert maps["layer-cam", "middle"].shape == (2, 5, 9, 13)
    with pytest.raises(ExplainError, match=r"the maps are of 2 layers; name one: maps\[method, layer\]"):
        maps["grad-cam"]


def test_map_that_was_not_asked_is_an_error():
    maps = cam.class_maps(Deep(2), images(2), "trunk")
    with pytest.raises(ExplainError, match="no map by 'layer-cam' at 'trunk'; there are grad-cam at trunk"):
        maps["layer-cam"]


def test_repeated_methods_and_layers_count_once():
    maps = cam.class_maps(Deep(2), images(2), ["trunk", "trunk"], ("grad-cam", "grad-cam"))
    assert (maps.layers, maps.methods) == (("trunk",), ("grad-cam",))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("GradCAM", "unknown method 'GradCAM'; did you mean 'grad-cam'\\? There are cam, grad-cam, "),
        (("grad-cam", "qqq"), "unknown method 'qqq'; There are cam, grad-cam, "),
        ((), "expected at least one method, found none"),
    ],
)
def test_unknown_method_is_an_error_before_the_network_runs(methods, message):
    with pytest.raises(ExplainError, match=message):
        cam.class_maps(torch.nn.Identity(), images(2), "", methods)


def test_map_that_is_not_finite_is_an_error(monkeypatch):
    monkeypatch.setitem(cam.METHODS, "overflowing", lambda a, g: cam.METHODS["hires-cam"](a * 1e30, g * 1e30))
    with pytest.raises(ExplainError, match="^overflowing at layer 'trunk' gives NaN or infinity"):
        cam.class_maps(Deep(2), images(2), "trunk", "overflowing")
