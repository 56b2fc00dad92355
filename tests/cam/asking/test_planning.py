from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.cam.small_networks import Deep, images
from voxcam import cam
from voxcam.cam.asking.planning import AT_THE_INPUT, AT_THE_LAYER, Plan, plan
from voxcam.cam.methods import METHODS, PASSES
from voxcam.errors import ExplainError

ASKING = [method for method in PASSES if method not in ("attention-rollout", "legrad")]
"""Those that any network answers."""


@pytest.mark.parametrize("method", ASKING)
def test_a_plan_announces_the_passes_that_are_made(method):
    network, x, told = Deep(2), images(2), []
    planned = plan(network, x, "trunk", method, [0, 1])
    cam.class_maps(network, x, "trunk", method, [0, 1], progress=lambda *pair: told.append(pair))
    assert planned.passes == {method: told[-1][0]}
    assert planned.seconds_a_pass[method] > 0
    assert planned.seconds > planned.passes[method] * planned.seconds_a_pass[method]


def test_a_plan_takes_options_layers_and_methods_together():
    options = {"occlusion": {"size": 9, "stride": 9}}
    methods = ["grad-cam", "score-cam", "occlusion"]
    planned = plan(Deep(3), images(3), ["trunk", "middle"], methods, options=options)
    assert planned.passes == {"grad-cam": 0, "score-cam": 2 * 13, "occlusion": 2 * 2 * 2 * 2}
    assert set(planned.seconds_a_pass) == {"score-cam", "occlusion"}
    assert planned.device == "cpu"


def test_without_a_layer_the_default_one_is_planned():
    channels = cam.default_layer(cam.candidate_layers(Deep(2), images(2))).channels
    assert plan(Deep(2), images(2), methods="score-cam").passes == {"score-cam": 2 * channels}


def test_the_sentence_says_how_often_how_long_and_where():
    planned = Plan({"score-cam": 512, "grad-cam": 0}, {"score-cam": 0.078}, 41.0, "cpu")
    assert (
        planned.sentence
        == "score-cam: 512 passes, about 40 s on cpu; grad-cam: no pass of the network beyond the first"
    )
    assert Plan({"occlusion": 1}, {"occlusion": 0.1}, 0.2, "cuda").sentence == (
        "occlusion: 1 pass, less than a second on cuda"
    )
    assert "about 10 min" in Plan({"ss-cam": 600}, {"ss-cam": 1.0}, 601.0, "cpu").sentence
    assert "about 3 h" in Plan({"ss-cam": 9600}, {"ss-cam": 1.0}, 9601.0, "cpu").sentence
    assert dataclasses.is_dataclass(planned)
    with pytest.raises(dataclasses.FrozenInstanceError):
        planned.seconds = 1.0


def test_planning_leaves_the_network_as_found():
    network, x = Deep(2).train(), images(2)
    weights = {name: weight.clone() for name, weight in network.state_dict().items()}
    state = torch.random.get_rng_state()
    plan(network, x, "trunk", ASKING)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(weight, weights[name]) for name, weight in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_a_plan_runs_the_network_a_few_times_only():
    network, x, seen = Deep(2), images(2), []
    network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    plan(network, x, "trunk", ASKING)
    assert len(seen) == 1 + 3 * 3
    assert sum(seen) == 2 + 3 * (4 + 2 + 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": "occlude"}, "^unknown method 'occlude'; did you mean 'occlusion'"),
        ({"methods": "occlusion", "options": {"occlusion": {"size": 99}}}, "^occlusion: size 99 is larger"),
        ({"methods": "occlusion", "classes": [7]}, "^class 7 does not exist"),
        ({"methods": "score-cam", "layer": "nowhere"}, "nowhere"),
    ],
)
def test_what_class_maps_would_refuse_is_refused_before(arguments, message):
    with pytest.raises(ExplainError, match=message):
        plan(Deep(2), images(2), **arguments)


def test_methods_that_differentiate_are_known_methods():
    assert set(AT_THE_INPUT + AT_THE_LAYER) <= set(PASSES) <= set(METHODS)
