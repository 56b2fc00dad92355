from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.cam.methods import FUSION, GRADIENT, LAYER, NETWORK
from voxcam.errors import ExplainError

ANYWHERE = [name for name in (*GRADIENT, *LAYER) if name != "cam"]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_maps_are_raw_float32_on_the_layers_grid(rank, batch):
    methods = tuple(GRADIENT)
    maps = cam.class_maps(Pooled(rank).double(), images(rank, batch).double(), "features", methods)
    grid = cam.candidate_layers(Pooled(rank), images(rank))[-1].grid
    for method in methods:
        assert maps[method].shape == (batch, 4, *grid)
        assert maps[method].dtype == torch.float32
    assert maps.logits.shape == (batch, 4)
    assert maps.logits.dtype == torch.float32
    assert (maps["grad-cam"] < 0).any()
    assert (maps.layers, maps.methods) == (("features",), methods)
    assert maps.classes.tolist() == [[0, 1, 2, 3]] * batch


def test_maps_are_the_methods_of_the_capture():
    network, x = Deep(3), images(3)
    methods = [name for name in GRADIENT if name != "cam"]
    maps, captured = cam.class_maps(network, x, "trunk", methods), cam.capture(network, x, "trunk")
    for method in methods:
        expected = cam.METHODS[method](captured.activations["trunk"], captured.gradients["trunk"])
        assert_agree(maps[method], expected)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("method", ANYWHERE)
def test_each_sample_may_be_asked_classes_of_its_own(rank, method):
    network, x = Deep(rank), images(rank)
    one = cam.class_maps(network, x, "trunk", method, classes=[[4, 1], [0, 3]])
    assert one.classes.tolist() == [[4, 1], [0, 3]]
    every = cam.class_maps(network, x, "trunk", method)
    assert_agree(one[method][0], every[method][0, [4, 1]])
    assert_agree(one[method][1], every[method][1, [0, 3]])


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("method", ANYWHERE)
def test_a_sample_gets_the_map_it_gets_alone(rank, method):
    network, x = Deep(rank), images(rank)
    both = cam.class_maps(network, x, "trunk", method)
    assert_agree(both[method][1:], cam.class_maps(network, x[1:], "trunk", method)[method], 1e-4)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([[0], [1], [2]], "^expected classes for each of 2 samples, found 3 rows$"),
        ([[0, 1], [2]], "^expected classes as whole numbers"),
        ([0.5], "^expected classes as whole numbers"),
        (["nodule"], "^expected classes as whole numbers"),
        ([[[0]]], "^expected classes as whole numbers"),
        ([[0], [5]], "^class 5 does not exist; the network has 5, 0 to 4$"),
    ],
)
def test_classes_that_do_not_fit_the_batch_are_refused(classes, message):
    with pytest.raises(ExplainError, match=message):
        cam.class_maps(Deep(2), images(2), "trunk", classes=classes)


def test_without_a_layer_the_last_one_with_a_grid_is_taken():
    assert cam.class_maps(Deep(2), images(2)).layers == ("head.1",)
    assert cam.default_layer(cam.candidate_layers(Deep(2), images(2))).name == "head.1"


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


def test_unknown_option_is_an_error_that_names_those_there_are():
    with pytest.raises(ExplainError, match="^finer-cam has no option 'gamma'; it has strength, references$"):
        cam.class_maps(Deep(2), images(2), "trunk", "finer-cam", options={"finer-cam": {"gamma": 1}})
    with pytest.raises(ExplainError, match="^options for 'finer-cam', which is not asked"):
        cam.class_maps(Deep(2), images(2), "trunk", options={"finer-cam": {"strength": 1}})
    assert cam.options_of("finer-cam") == {"strength": 0.6, "references": 3}


def test_every_method_is_of_one_kind_and_says_in_its_first_line_where_it_is_from():
    kinds = [*GRADIENT, *LAYER, *NETWORK, *FUSION]
    assert sorted(kinds) == sorted(set(kinds)) == sorted(cam.METHODS)
    for method in cam.METHODS.values():
        assert any(sign in (method.__doc__ or "").splitlines()[0] for sign in ("19", "20", "no paper"))


def test_map_that_is_not_finite_is_flagged_and_spares_the_others(monkeypatch):
    monkeypatch.setitem(GRADIENT, "layer-cam", lambda a, g: cam.METHODS["hires-cam"](a * 1e30, g * 1e30))
    maps = cam.class_maps(Deep(2), images(2), "trunk", ("layer-cam", "grad-cam"))
    assert maps.flags("layer-cam")[0][0] == "non-finite"
    assert maps["grad-cam"].isfinite().all()


def test_two_threads_that_explain_one_network_get_their_own_maps():
    network, (x, y) = Deep(3).train(), images(3)[:, None]
    alone = [cam.class_maps(network, one, "trunk", ("grad-cam", "ablation-cam")) for one in (x, y)]
    found: dict[int, list[cam.Maps]] = {0: [], 1: []}

    def explain(number, one):
        for _ in range(8):
            found[number].append(cam.class_maps(network, one, "trunk", ("grad-cam", "ablation-cam")))

    threads = [threading.Thread(target=explain, args=pair) for pair in enumerate((x, y))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, expected in enumerate(alone):
        assert len(found[number]) == 8
        for maps in found[number]:
            for method in maps.methods:
                assert torch.equal(maps[method], expected[method])
    assert network.training
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_a_thread_that_only_runs_the_network_meanwhile_is_not_recorded():
    """It starts while ours is in the middle of its pass, and passes the same layer with another batch."""

    class Meeting(Pooled):
        def forward(self, x):
            x = self.features[:3](x)
            if threading.current_thread() is threading.main_thread() and self.other is not None:
                thread, self.other = self.other, None
                thread.start()
                thread.join()
            return self.classifier(self.pool(self.features[3:](x)).flatten(1))

    network, answers = Meeting(2), []
    network.other = None
    expected = cam.class_maps(network, images(2), "features.3")
    network.other = threading.Thread(target=lambda: answers.append(network(images(2, 3, seed=5))))
    found = cam.class_maps(network, images(2), "features.3")
    assert torch.equal(found["grad-cam"], expected["grad-cam"])
    assert answers[0].shape == (3, 4)


def test_fused_layers_are_asked_together():
    maps = cam.class_maps(Deep(2), images(2), ["trunk", "middle"], "refine-cam")
    assert list(maps.values) == [("refine-cam", "trunk+middle")]
    with pytest.raises(ExplainError, match="^refine-cam joins several layers, found 1; name more of them$"):
        cam.class_maps(Deep(2), images(2), "trunk", "refine-cam")


def test_single_logit_without_a_class_axis_is_one_class():
    class Single(Pooled):
        def __init__(self):
            super().__init__(2, classes=1)

        def forward(self, x):
            return super().forward(x)[:, 0]

    maps = cam.class_maps(Single(), images(2), "features")
    assert maps.logits.shape == (2, 1)
    assert_agree(maps["grad-cam"].flatten(2).sum(-1) + maps.biases["features"], maps.logits)


@pytest.mark.parametrize("method", ANYWHERE)
def test_every_method_runs_in_bfloat16_autocast_and_reduces_in_float32(method):
    network, x = Deep(3), images(3)
    plain = cam.class_maps(network, x, "trunk", method)[method]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cam.class_maps(network, x, "trunk", method)[method]
    assert found.dtype == torch.float32
    # Guided Grad-CAM goes through the whole network in bfloat16, and rounds as often.
    allowed = 0.25 if method == "guided-grad-cam" else 0.15
    assert float((found - plain).abs().max() / plain.abs().max()) < allowed


@pytest.mark.parametrize("method", ANYWHERE)
def test_every_method_works_on_frozen_weights_without_grad(method):
    network, x = Deep(2), images(2)
    plain = cam.class_maps(network, x, "trunk", method)[method]
    network.requires_grad_(False)
    with torch.no_grad():
        assert_agree(cam.class_maps(network, x, "trunk", method)[method], plain)
    with torch.inference_mode():
        assert_agree(cam.class_maps(network, x, "trunk", method)[method], plain)


class Upside(nn.Module):
    """Every method must see through an in-place ReLU right after the layer."""

    def __init__(self):
        super().__init__()
        self.deep = Deep(2)
        self.deep.middle[1] = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.deep(x)


@pytest.mark.parametrize("method", ANYWHERE)
def test_in_place_relu_after_the_layer_changes_nothing(method):
    network = Upside()
    found = cam.class_maps(network, images(2), "deep.middle.0", method)[method]
    network.deep.middle[1] = nn.ReLU()
    assert_agree(found, cam.class_maps(network, images(2), "deep.middle.0", method)[method])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(2, 5), r"^expected inputs \(B, C, \*space\), found shape \(2, 5\)$"),
        (
            torch.zeros(1, 1, 18, 26, dtype=torch.long),
            "^expected inputs in floating point, found",
        ),
        (images(2).numpy(), "^expected inputs as a tensor .* found a ndarray$"),
        (None, "found a NoneType$"),
    ],
)
def test_inputs_that_no_network_of_images_takes_are_refused(inputs, message):
    with pytest.raises(ExplainError, match=message):
        cam.class_maps(Deep(2), inputs, "trunk")
