from __future__ import annotations

import gc
import weakref
from collections import namedtuple

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, InPlaceAfter, Pooled, Returning, Reusing, images, trunk
from voxcam import cam
from voxcam.cam.tracing.recording import recorded
from voxcam.errors import ExplainError


def error_of(network, layer="features", inputs=None, **options):
    inputs = images(2) if inputs is None else inputs
    with pytest.raises(ExplainError) as caught:
        cam.class_maps(network, inputs, layer, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved_bytes(run):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.nbytes) or t, lambda t: t):
        run()
    return sum(sizes)


def test_trunk_keeps_no_graph():
    layers = [trunk(2)]
    layers += [nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()) for _ in range(8)]
    layers += [nn.AvgPool2d(8)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 14)).eval()
    x = torch.randn(1, 1, 128, 128)
    whole = saved_bytes(lambda: network(x))
    ours = saved_bytes(lambda: cam.class_maps(network, x, "9"))
    assert whole > 3_000_000
    assert ours < 10_000


def test_two_layers_keep_the_graph_from_the_earlier_one_only():
    network, x = Deep(3), images(3)
    both = saved_bytes(lambda: cam.class_maps(network, x, ["middle", "trunk"]))
    early = saved_bytes(lambda: cam.class_maps(network, x, "trunk"))
    assert both == early < saved_bytes(lambda: network.eval()(x))


def test_recorded_output_is_what_the_layer_put_out_before_an_in_place_relu():
    network, x = InPlaceAfter().eval(), images(2)
    kept = cam.capture(network, x, "features").activations["features"]
    with torch.no_grad():
        assert_agree(kept, network.features(x))
    assert kept.min() < -0.1


def test_gradient_before_an_in_place_relu_is_zero_where_the_relu_cuts():
    captured = cam.capture(InPlaceAfter(), images(2), "features")
    off = (captured.activations["features"] <= 0)[:, None].expand_as(captured.gradients["features"])
    assert not captured.gradients["features"][off].any()
    assert captured.gradients["features"][~off].all()


def test_recorded_output_survives_a_change_of_the_tensor_it_aliases():
    class Aliasing(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.same, self.last = nn.Conv2d(1, 3, 1), nn.Identity(), nn.Linear(3, 2)

        def forward(self, x):
            x = self.stem(x)
            y = self.same(x)
            x.zero_()
            return self.last((x + y).mean((2, 3)))

    network, x = Aliasing(), images(2)
    with torch.no_grad():
        expected = network.stem(x)
    for layers in (["same"], ["stem", "same"]):
        assert_agree(cam.capture(network, x, layers).activations["same"], expected)


def test_layer_that_is_an_in_place_relu_itself_is_recorded_after_it():
    network, x = Pooled(2).eval(), images(2)
    captured = cam.capture(network, x, ["features.4", "features.5"])
    assert_agree(captured.activations["features.5"], captured.activations["features.4"].relu())
    assert captured.activations["features.4"].min() < 0


def test_nested_layers_with_one_output_share_one_map():
    maps = cam.class_maps(Pooled(3), images(3), ["features.5", "features"])
    assert torch.equal(maps["grad-cam", "features"], maps["grad-cam", "features.5"])


def test_nothing_is_kept_after_the_call():
    network, seen = Deep(2), []
    network.trunk.register_forward_hook(lambda _m, _i, out: seen.append(weakref.ref(out)) and None)
    network.head.register_forward_hook(lambda _m, _i, out: seen.append(weakref.ref(out)) and None)

    def call():
        return cam.class_maps(network, images(2), "trunk", ("grad-cam", "hires-cam"))

    call()
    gc.collect()
    before = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
    gc.disable()
    try:
        maps = call()
        assert len(seen) == 4
        assert all(reference() is None for reference in seen)
        assert maps.logits.grad_fn is None
        del maps
        assert sum(type(thing) is torch.Tensor for thing in gc.get_objects()) == before
    finally:
        gc.enable()


def test_maps_carry_no_graph():
    maps = cam.class_maps(Deep(2), images(2), "trunk", ("grad-cam",))
    captured = cam.capture(Deep(2), images(2), "trunk")
    for tensor in (maps.logits, maps["grad-cam"], captured.logits):
        assert not tensor.requires_grad
    assert not captured.activations["trunk"].requires_grad
    assert not captured.gradients["trunk"].requires_grad


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: (y, "hidden states"),
        lambda y: [y],
        lambda y: {"score": y},
        lambda y: {"loss": None, "logits": y},
        lambda y: y[:, :, None, None],
    ],
)
def test_logits_are_found_in_a_tuple_list_or_mapping(wrap):
    plain, wrapped = cam.class_maps(Pooled(2), images(2), "features"), Returning(wrap)
    assert_agree(cam.class_maps(wrapped, images(2), "network.features")["grad-cam"], plain["grad-cam"])


@pytest.mark.parametrize(
    ("wrap", "found"),
    [
        (lambda y: y[0], "found shape (4,)"),
        (lambda y: y[:, :, None].expand(-1, -1, 2), "found shape (2, 4, 2)"),
        (lambda y: y[:1], "found shape (1, 4)"),
        (lambda y: y[:, :0], "found shape (2, 0)"),
        (lambda y: {"one": y, "two": y}, "found a dict"),
        (lambda y: (), "found a tuple"),
        (lambda y: None, "found a NoneType"),
    ],
)
def test_output_that_is_not_logits_is_refused(wrap, found):
    message = error_of(Returning(wrap), "network.features")
    assert message.startswith("expected the network to put out logits (2, K)")
    assert found in message


def test_unknown_layer_names_the_nearest():
    message = error_of(Pooled(2), "feature")
    assert message.startswith("the network has no layer 'feature'; did you mean 'features'")
    assert "candidate_layers" in error_of(Pooled(2), "qqqqqq")


def test_no_layer_is_refused():
    assert error_of(Pooled(2), []) == "expected at least one layer, found none"


def test_layer_that_never_runs_is_refused():
    assert error_of(Reusing(), "unused").startswith("layer 'unused' did not run in this forward pass")


def test_layer_that_runs_twice_is_asked_for_its_call():
    message = error_of(Reusing(), "relu")
    assert message.startswith("layer 'relu' runs more than once")
    assert "'relu@1' or 'relu@2'" in message
    assert error_of(Reusing(), "relu@3").startswith("layer 'relu@3' ran 2 times in this forward pass")


def test_calls_of_a_layer_are_recorded_apart():
    network, x = Reusing().eval(), images(2)
    captured = cam.capture(network, x, ["relu@1", "relu@2"])
    with torch.no_grad():
        first = network.first(x).relu()
        assert_agree(captured.activations["relu@1"], first)
        assert_agree(captured.activations["relu@2"], network.second(first).relu())
    alone = cam.capture(network, x, "relu@2")
    assert_agree(alone.gradients["relu@2"], captured.gradients["relu@2"])


@pytest.mark.parametrize("wrap", [tuple, list, lambda parts: {"0": parts[0], "1": parts[1]}, "named"])
def test_part_of_what_a_layer_puts_out_is_recorded(wrap):
    Pair = namedtuple("Pair", ["maps", "more"])

    class Splitting(nn.Module):
        def __init__(self, stem):
            super().__init__()
            self.stem = stem

        def forward(self, x):
            parts = [self.stem(x), self.stem(x) * 2]
            return Pair(*parts) if wrap == "named" else wrap(parts)

    class Network(Pooled):
        def __init__(self):
            super().__init__(2)
            self.split = Splitting(self.features)

        def forward(self, x):
            parts = self.split(x)
            one, two = parts.values() if isinstance(parts, dict) else parts
            return self.classifier(self.pool(one + two.square()).flatten(1))

    network, x = Network().eval(), images(2)
    assert "choose 'split[0]', 'split[1]'" in error_of(network, "split")
    assert error_of(network, "split[2]").startswith("layer 'split' puts out no part '2'; there is '0', '1'")
    captured = cam.capture(network, x, ["split[0]", "split[1]"])
    assert_agree(captured.activations["split[1]"], captured.activations["split[0]"] * 2)
    weights = network.classifier.weight.detach() / 117
    a = captured.activations["split[1]"]
    expected = weights[None, :, :, None, None] * 2 * a[:, None]
    assert_agree(captured.gradients["split[1]"], expected)


@pytest.mark.parametrize("name", ["layer4]", "a[0", "a@0", "a@x", "", "a[0]@1@2"])
def test_name_that_cannot_be_read_shows_how_one_is_written(name):
    assert "expected a submodule such as 'layer4', 'relu@2'" in error_of(Pooled(2), name)


def test_channels_that_come_last_are_turned_to_the_front():
    network, x = Reusing().eval(), images(2)
    captured = cam.capture(network, x, ["relu@2", "last"])
    with torch.no_grad():
        expected = network.last(captured.activations["relu@2"].movedim(1, -1)).movedim(-1, 1)
    assert_agree(captured.activations["last"], expected)
    weights = network.classifier.weight.detach() / expected.shape[2:].numel()
    assert_agree(
        captured.gradients["last"], weights[None, :, :, None, None].expand(2, -1, -1, 14, 22).contiguous()
    )


def test_layer_without_a_grid_is_refused():
    class Patches(Pooled):
        def forward(self, x):
            return self.classifier(self.drop(self.features(x).flatten(2).transpose(1, 2)[:, :60]).mean(1))

    assert "'classifier' puts out shape (2, 3), which has no grid of 2" in error_of(Reusing(), "classifier")
    assert "'drop' puts out 60 tokens, which fit no grid of patches over (18, 26)" in error_of(
        Patches(2), "drop"
    )


def test_layer_that_puts_out_no_fitting_tensor_is_refused():
    class Odd(Pooled):
        def __init__(self, wrap):
            super().__init__(2)
            self.odd, self.wrap = nn.Identity(), wrap

        def forward(self, x):
            self.odd(self.wrap(x))
            return super().forward(x)

    assert "'odd' puts out a str, not a tensor" in error_of(Odd(lambda x: ("a", "b")), "odd")
    assert "'odd' puts out a NoneType, not a tensor" in error_of(Odd(lambda x: None), "odd")
    assert "'odd' puts out a batch of 4 for 2 inputs" in error_of(Odd(lambda x: x.repeat(2, 1, 1, 1)), "odd")
    assert "'odd' puts out torch.int64, which has no gradient" in error_of(Odd(lambda x: x.long()), "odd")


def test_logits_that_do_not_depend_on_the_layer_are_refused():
    class Aside(Pooled):
        def __init__(self):
            super().__init__(2)
            self.aside = nn.Conv2d(1, 2, 1)

        def forward(self, x):
            self.aside(x)
            return super().forward(x)

    class Cut(Pooled):
        def forward(self, x):
            return self.classifier(self.pool(self.features(x)).flatten(1).detach())

    assert error_of(Aside(), "aside").startswith("no gradient of the logits reaches layer 'aside'")
    assert error_of(Cut(2)).startswith("no gradient of the logits reaches layer 'features'")
    assert error_of(Cut(2).requires_grad_(False)).startswith(
        "no gradient of the logits reaches layer 'features'"
    )


def test_values_that_are_not_finite_are_refused():
    broken = images(2)
    broken[1, 0, 3, 3] = torch.nan
    assert error_of(Pooled(2), inputs=broken) == (
        "layer 'features' puts out NaN or infinity; so does the input: mend it"
    )
    assert error_of(Returning(lambda y: y / 0), "network.features").startswith(
        "the network's logits hold NaN"
    )
    root = Returning(lambda y: (y - y.detach()).abs().sqrt())
    assert error_of(root, "network.features").startswith("the gradients at layer 'network.features' hold NaN")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_torchscript_is_refused():
    message = error_of(torch.jit.trace(Pooled(2).eval(), images(2)))
    assert message.startswith("expected an eager module, found TorchScript")
    network = Returning(lambda y: y)
    network.network = torch.jit.trace(network.network.eval(), images(2))
    assert error_of(network, "network.features").startswith("expected an eager module, found TorchScript")


def test_inputs_without_spatial_axes_are_refused():
    assert (
        error_of(Pooled(2), inputs=torch.zeros(2, 5)) == "expected inputs (B, C, *space), found shape (2, 5)"
    )


def test_recording_is_closed_to_later_errors():
    network = Pooled(2)
    with pytest.raises(KeyError), recorded(network, images(2), ["features"]):
        raise KeyError("in the block")
    assert network.training
    assert not network.features._forward_hooks
