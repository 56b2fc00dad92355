from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam.small_networks import SHAPES, Pooled, Reusing, images, trunk
from voxcam import cam
from voxcam.cam import Layer
from voxcam.errors import ExplainError


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_candidates_are_the_layers_with_a_grid_in_order_of_finishing(rank):
    found = cam.candidate_layers(Pooled(rank), images(rank))
    full, half = SHAPES[rank], tuple((size + 1) // 2 for size in SHAPES[rank])
    assert [layer.name for layer in found] == [*(f"features.{i}" for i in range(6)), "features"]
    assert [layer.grid for layer in found] == [full] * 3 + [half] * 4
    assert [layer.channels for layer in found] == [4] * 3 + [6] * 4
    assert found[0].kind == f"Conv{rank}d"


def test_layers_that_run_twice_are_named_by_their_call_and_those_that_never_run_left_out():
    names = [layer.name for layer in cam.candidate_layers(Reusing(), images(2))]
    assert names == ["first", "relu@1", "second", "relu@2", "last"]


def test_channels_that_come_last_are_told_from_those_that_come_first():
    last = cam.candidate_layers(Reusing(), images(2))[-1]
    assert (last.order, last.channels, last.grid) == ("channels last", 4, (14, 22))


def test_every_candidate_carries_a_map_on_its_grid():
    network, x = Pooled(3), images(3)
    candidates = cam.candidate_layers(network, x)
    maps = cam.class_maps(network, x, [layer.name for layer in candidates])
    for layer in candidates:
        assert maps["grad-cam", layer.name].shape == (2, 4, *layer.grid)


def test_shape_does_instead_of_an_example():
    assert cam.candidate_layers(Pooled(2), (1, 1, 18, 26)) == cam.candidate_layers(Pooled(2), images(2))
    assert cam.candidate_layers(Pooled(2).double(), (1, 1, 18, 26))[-1].name == "features"


def test_candidates_are_found_without_a_graph():
    def forbid(tensor):
        raise AssertionError("a tensor was saved for a backward pass")

    with torch.autograd.graph.saved_tensors_hooks(forbid, lambda t: t):
        cam.candidate_layers(Pooled(2), images(2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_candidates_of_torchscript_are_refused():
    with pytest.raises(ExplainError, match="expected an eager module, found TorchScript"):
        cam.candidate_layers(torch.jit.trace(Pooled(2).eval(), images(2)), images(2))


def test_default_is_the_outermost_last_layer():
    assert cam.default_layer(cam.candidate_layers(Pooled(3), images(3))).name == "features"


def test_default_passes_over_a_pooling_that_keeps_a_grid():
    network = nn.Sequential(trunk(2), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 2))
    candidates = cam.candidate_layers(network, images(2))
    assert candidates[-1] == Layer("1", "AdaptiveAvgPool2d", 6, (3, 3), (6.0, 26 / 3))
    assert cam.default_layer(candidates).name == "0"


def test_default_is_the_last_with_a_grid_when_the_input_is_small():
    network = nn.Sequential(
        trunk(2), nn.Conv2d(6, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    assert cam.default_layer(cam.candidate_layers(network, (1, 1, 8, 8))).name == "1"
    assert cam.default_layer(cam.candidate_layers(network, (1, 1, 6, 6))).name == "0"


def test_no_layer_with_a_grid_is_an_error():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ExplainError, match="^no layer of the network keeps a spatial grid"):
        cam.default_layer(cam.candidate_layers(network, (1, 1, 4, 4)))


@pytest.mark.parametrize("rank", [2, 3])
def test_ranking_puts_the_last_stage_first_and_says_why(rank):
    ranking = cam.rank_layers(Pooled(rank), (1, 1, *SHAPES[rank]))
    assert ranking.default.name == "features"
    assert ranking.default.classes_differ
    assert ranking.default.linear_head
    assert "its Grad-CAM adds up to the logit less its bias" in ranking.reason
    names = [layer.name for layer in ranking.layers]
    assert names[:2] == ["features", "features.2"]  # the end of each stage
    assert sorted(names) == sorted(layer.name for layer in cam.candidate_layers(Pooled(rank), images(rank)))


def test_ranking_says_where_no_class_differs():
    network = Pooled(2)
    with torch.no_grad():
        network.classifier.weight[:] = network.classifier.weight[0]
    ranking = cam.rank_layers(network, images(2))
    assert ranking.default.classes_differ is False
    assert "the classes differ nowhere" in ranking.reason


def test_ranking_passes_over_layers_that_no_longer_reach_the_classes():
    class ReadInTheMiddle(Pooled):
        """A side branch: the last layer to finish is not on the way to the logits."""

        def __init__(self):
            super().__init__(2)
            self.aside = nn.Conv2d(6, 6, 1)

        def forward(self, x):
            x = self.features(x)
            self.aside(x)
            return self.classifier(self.pool(x).flatten(1))

    network = ReadInTheMiddle()
    assert cam.default_layer(cam.candidate_layers(network, images(2))).name == "aside"
    ranking = cam.rank_layers(network, images(2))
    assert ranking.default.name != "aside"
