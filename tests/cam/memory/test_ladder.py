from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.cam.memory import ladder as ladder_module
from voxcam.cam.memory.ladder import Ladder
from voxcam.errors import Cancelled, ExplainError

CACHE = "too little memory: the cache was freed"
FOUR = "too little memory: gradients of four classes at a time"
ONE = "too little memory: gradients of one class at a time"
SAMPLE = "too little memory: one sample at a time"
LAYER = "too little memory: one layer at a time"
ROUNDED = "too little memory: in bfloat16, which keeps 2 to 3 digits, so these maps are not exact"
CPU = "too little memory: on the CPU"


@pytest.fixture(autouse=True)
def collected(monkeypatch):
    """Counts how often garbage is collected, instead of doing so: it takes long where much is imported."""
    times = []
    monkeypatch.setattr("gc.collect", lambda: times.append(1))
    return times


def out_of_memory():
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Scarce:
    """`class_maps` with too little memory for any call that `fits` refuses."""

    def __init__(self, fits, error=out_of_memory):
        self.fits, self.error, self.calls = fits, error, []

    def __call__(self, network, inputs, layer, methods, classes, **options):
        call = {"inputs": inputs, "layer": layer, "methods": methods, "classes": classes, **options}
        self.calls.append(call)
        if not self.fits(call):
            raise self.error()
        return cam.class_maps(network, inputs, layer, methods, classes, **options)


def assert_same(found, expected, tolerance=1e-5):
    assert (found.layers, found.methods) == (expected.layers, expected.methods)
    assert torch.equal(found.classes, expected.classes)
    assert_agree(found.logits, expected.logits)
    for ours, theirs in ((found.values, expected.values), (found.biases, expected.biases)):
        assert set(ours) == set(theirs)
        for key, value in theirs.items():
            assert_agree(ours[key], value, tolerance)


def layers_of(call):
    return [call["layer"]] if isinstance(call["layer"], str) else list(call["layer"] or ())


LIMITS = {
    CACHE: lambda run: len(run.calls) > 1,
    FOUR: lambda run: run.calls[-1]["chunk"] in (1, 2, 3, 4),
    ONE: lambda run: run.calls[-1]["chunk"] == 1,
    SAMPLE: lambda run: len(run.calls[-1]["inputs"]) == 1,
    LAYER: lambda run: len(layers_of(run.calls[-1])) < 2,
}


@pytest.mark.parametrize(
    ("remedy", "steps"),
    [
        (CACHE, [CACHE]),
        (FOUR, [CACHE, FOUR]),
        (ONE, [CACHE, ONE]),
        (SAMPLE, [CACHE, ONE, SAMPLE]),
        (LAYER, [CACHE, ONE, SAMPLE, LAYER]),
    ],
)
def test_exact_remedies_give_the_same_maps(remedy, steps):
    network, x, methods = Deep(2), images(2, 3), ("grad-cam", "layer-cam", "hires-cam")
    run = Scarce(lambda call: LIMITS[remedy](run))
    ladder = Ladder(run)
    found = ladder.maps(network, x, ["trunk", "middle"], methods)
    assert ladder.steps == steps
    assert_same(found, cam.class_maps(network, x, ["trunk", "middle"], methods))


@pytest.mark.parametrize(
    "error",
    [
        lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        lambda: RuntimeError("MPS backend out of memory (MPS allocated: 5.56 GB)"),
        MemoryError,
    ],
)
def test_every_allocator_is_heard(error):
    run = Scarce(lambda call: len(run.calls) > 1, error)
    assert_same(
        Ladder(run).maps(Pooled(2), images(2), "features"), cam.class_maps(Pooled(2), images(2), "features")
    )


def test_enough_memory_is_a_plain_call():
    network, x = Pooled(3), images(3)
    run = Scarce(lambda call: True)
    ladder = Ladder(run)
    found = ladder.maps(network, x, "features", "hires-cam", [2, 0], seed=3)
    assert_same(found, cam.class_maps(network, x, "features", "hires-cam", [2, 0]))
    (call,) = run.calls
    assert call.pop("inputs") is x
    assert call == {
        "layer": "features", "methods": "hires-cam", "classes": [2, 0], "chunk": None, "seed": 3
    }  # fmt: skip
    assert (ladder.rung, ladder.steps) == (0, [])


def test_the_next_batch_starts_where_the_last_one_got_through():
    network, run = Deep(2), Scarce(lambda call: len(call["inputs"]) == 1)
    ladder = Ladder(run)
    ladder.maps(network, images(2, 2), "trunk")
    before = len(run.calls)
    found = ladder.maps(network, images(2, 3, seed=1), "trunk")
    assert [len(call["inputs"]) for call in run.calls[before:]] == [1, 1, 1]
    assert ladder.steps == [CACHE, ONE, SAMPLE]
    assert_same(found, cam.class_maps(network, images(2, 3, seed=1), "trunk"))


def test_a_step_that_only_a_later_batch_takes_is_recorded_then():
    run = Scarce(lambda call: call["chunk"] == 1 and len(layers_of(call)) == 1)
    ladder = Ladder(run)
    ladder.maps(Deep(2), images(2, 1), ["trunk", "middle"])
    assert ladder.steps == [CACHE, ONE, LAYER]
    ladder.maps(Deep(2), images(2, 2), ["trunk", "middle"])
    assert ladder.steps == [CACHE, ONE, LAYER, SAMPLE]


@pytest.mark.parametrize(
    ("batch", "layers", "classes", "chunk", "tried"),
    [
        (1, "trunk", [1], None, [CACHE]),
        (1, "trunk", [1, 2], None, [CACHE, ONE]),
        (1, "trunk", None, 3, [CACHE, ONE]),
        (2, "trunk", [[1], [2]], None, [CACHE, SAMPLE]),
        (1, ["trunk", "middle"], None, 1, [CACHE, LAYER]),
        (1, ["trunk", "trunk"], None, 1, [CACHE]),
    ],
)
def test_a_remedy_that_cannot_help_is_passed_over(batch, layers, classes, chunk, tried):
    run = Scarce(lambda call: False)
    with pytest.raises(ExplainError) as caught:
        Ladder(run).maps(Deep(2), images(2, batch), layers, classes=classes, chunk=chunk)
    steps = "; ".join(step.removeprefix("too little memory: ") for step in [*tried, ROUNDED])
    assert f"after all was tried ({steps});" in str(caught.value)
    assert len(run.calls) == len(tried) + 2


def test_last_on_a_cpu_come_rounded_maps_which_say_so():
    network, x = Deep(3), images(3)
    ladder = Ladder(Scarce(lambda call: torch.is_autocast_enabled("cpu")))
    found, exact = ladder.maps(network, x, "trunk"), cam.class_maps(network, x, "trunk")
    assert ladder.steps == [CACHE, ONE, SAMPLE, ROUNDED]
    largest = exact["grad-cam"].abs().max()
    assert 1e-4 * largest < (found["grad-cam"] - exact["grad-cam"]).abs().max() < 0.05 * largest
    assert not torch.is_autocast_enabled("cpu")


def test_what_is_not_float32_is_not_rounded():
    with pytest.raises(ExplainError, match=r"one sample at a time\);"):
        Ladder(Scarce(lambda call: False)).maps(Deep(2).double(), images(2).double(), "trunk")


def test_the_last_error_says_what_was_tried_what_is_needed_and_what_to_do():
    with pytest.raises(ExplainError) as caught:
        Ladder(Scarce(lambda call: False)).maps(Deep(2), images(2, 2), ["trunk", "middle"])
    message = str(caught.value)
    assert message.startswith(
        "memory ran out on cpu with inputs (2, 1, 18, 26), which need about 0.0 GiB at "
    )
    assert "GiB are free, after all was tried (the cache was freed; gradients of four classes " in message
    assert message.endswith("take a smaller window, fewer layers, or a device with more memory")
    assert "\n" not in message
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        ExplainError("the network has no layer 'x'"),
        Cancelled(),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_pass_as_they_are_on_the_first_try(error):
    run = Scarce(lambda call: False, lambda: error)
    with pytest.raises(type(error)) as caught:
        Ladder(run).maps(Deep(2), images(2), "trunk")
    assert caught.value is error
    assert len(run.calls) == 1


def test_garbage_is_collected_and_the_cache_emptied_before_the_next_try(collected, monkeypatch):
    emptied = []
    monkeypatch.setattr("voxcam.cam.memory.ladder._empty_cache", emptied.append)
    run = Scarce(lambda call: len(run.calls) == 1 + len(collected) == 1 + len(emptied) == 3)
    ladder = Ladder(run)
    ladder.maps(Pooled(2), images(2), "features")
    assert ladder.steps == [CACHE, FOUR]
    assert emptied == [torch.device("cpu")] * 2


def test_the_failed_try_keeps_nothing_alive():  # and it does not take the collector
    held = []

    def run(network, inputs, *rest, **options):
        assert not any(reference() is not None for reference in held)
        big = torch.ones(3)
        held.append(weakref.ref(big))
        raise out_of_memory()

    with pytest.raises(ExplainError):
        Ladder(run).maps(Deep(2), images(2), ["trunk", "middle"])
    assert len(held) == 7


class Greedy(nn.Module):
    """Runs out of memory on more than one sample, for real: no machine gives as much as it asks for."""

    def forward(self, x):
        if len(x) > 1:
            torch.empty(2**46)
        return x


def test_a_network_that_runs_out_is_left_as_found():
    network = Deep(2)
    network.trunk.add_module("greedy", Greedy())
    network.train()
    before = {name: (id(value), value.clone()) for name, value in network.state_dict(keep_vars=True).items()}
    ladder = Ladder()
    found = ladder.maps(network, images(2, 3), "middle")
    assert ladder.steps == [CACHE, ONE, SAMPLE]
    assert_same(found, cam.class_maps(Deep(2), images(2, 3), "middle"))
    for name, value in network.state_dict(keep_vars=True).items():
        assert id(value) == before[name][0]
        assert torch.equal(value, before[name][1])
    assert all(module.training and not module._forward_hooks for module in network.modules())


def test_classes_of_each_sample_go_with_it():
    network, x, classes = Deep(2), images(2, 3), [[0, 4], [2, 2], [3, 1]]
    ladder = Ladder(Scarce(lambda call: len(call["inputs"]) == 1))
    assert_same(
        ladder.maps(network, x, "trunk", classes=classes),
        cam.class_maps(network, x, "trunk", classes=classes),
    )


def test_the_first_sample_chooses_the_layer_for_all():
    run = Scarce(lambda call: len(call["inputs"]) == 1)
    found = Ladder(run).maps(Deep(2), images(2, 3))
    assert [call["layer"] for call in run.calls[-3:]] == [None, found.layers, found.layers]
    assert_same(found, cam.class_maps(Deep(2), images(2, 3)))


def test_methods_that_draw_give_the_same_sample_by_sample():
    network, x = Deep(2), images(2, 3)
    methods, options = ("smooth-grad", "smooth-grad-cam++"), {"smooth-grad": {"samples": 3}}
    ladder = Ladder(Scarce(lambda call: len(call["inputs"]) == 1))
    found = ladder.maps(network, x, "middle", methods, [0, 1], seed=5, options=options)
    assert_same(found, cam.class_maps(network, x, "middle", methods, [0, 1], seed=5, options=options), 1e-4)


def test_a_method_without_layers_is_not_asked_once_a_layer():
    network, x, layers = Deep(2), images(2, 1), ["trunk", "middle"]
    methods, options = ("grad-cam", "occlusion"), {"occlusion": {"size": 6}}
    run = Scarce(lambda call: len(layers_of(call)) < 2)
    found = Ladder(run).maps(network, x, layers, methods, options=options)
    asked = [(call["layer"], call["methods"], call["options"]) for call in run.calls[-3:]]
    assert asked == [
        ("trunk", ("grad-cam",), {}),
        ("middle", ("grad-cam",), {}),
        (None, ("occlusion",), options),
    ]
    assert_same(found, cam.class_maps(network, x, layers, methods, options=options))


def test_layers_that_a_method_joins_are_not_taken_apart():
    with pytest.raises(ExplainError) as caught:
        Ladder(Scarce(lambda call: False)).maps(Deep(2), images(2), ["trunk", "middle"], "refine-cam")
    assert "one layer at a time" not in str(caught.value)


def test_linear_heads_keep_their_biases():
    network, x = Pooled(2), images(2, 3)
    ladder = Ladder(Scarce(lambda call: len(call["inputs"]) == 1))
    found = ladder.maps(network, x, "features")
    assert found.biases["features"].shape == (3, 4)
    assert_same(found, cam.class_maps(network, x, "features"))


def test_progress_is_told_and_may_end_the_work():
    def told(done, total):
        seen.append((done, total))
        raise Cancelled

    seen = []
    run = Scarce(lambda call: len(run.calls) > 1)
    with pytest.raises(Cancelled):
        Ladder(run).maps(Deep(2), images(2), "trunk", "occlusion", progress=told)
    assert len(seen) == 1


@pytest.fixture
def elsewhere(monkeypatch):
    """A network and inputs as if on another device: on the way to the CPU they are copied."""

    def cpu(tensor):
        return torch.ones(tensor.shape) if tensor.is_meta else tensor.detach().clone()

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    return Pooled(2), images(2).to("meta")


def tensors_of(network):
    return [*network.parameters(), *network.buffers()]


def places_of(network):
    return [value.data_ptr() for value in tensors_of(network)]


def test_last_comes_the_cpu_and_the_network_gets_its_own_weights_back(elsewhere):
    network, x = elsewhere
    objects, home, seen = [id(value) for value in tensors_of(network)], places_of(network), []

    def run(network, inputs, *rest, **options):
        at_home = [here == there for here, there in zip(places_of(network), home, strict=True)]
        seen.append((inputs.device.type, len(inputs), set(at_home)))
        if inputs.is_meta:
            raise out_of_memory()
        return cam.class_maps(network, inputs, *rest, **options)

    ladder = Ladder(run)
    found = ladder.maps(network, x, "features")
    assert seen[-3:] == [("meta", 1, {True}), ("cpu", 1, {False}), ("cpu", 1, {False})]
    assert ladder.steps == [CACHE, ONE, SAMPLE, CPU]
    assert [id(value) for value in tensors_of(network)] == objects
    assert places_of(network) == home
    assert found["grad-cam"].shape == (2, 4, 9, 13)
    assert all(each.is_meta for each in (found.logits, found["grad-cam"], found.biases["features"]))
    assert not found.classes.is_meta


def test_the_network_gets_its_own_weights_back_after_an_error_on_the_cpu(elsewhere):
    network, x = elsewhere
    home = places_of(network)

    def run(network, inputs, *rest, **options):
        raise out_of_memory() if inputs.is_meta else Cancelled()

    with pytest.raises(Cancelled):
        Ladder(run).maps(network, x, "features")
    assert places_of(network) == home


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("on_cpu", [True, False])
def test_cuda_that_really_runs_out(on_cpu):
    network, x = Deep(3).cuda(), images(3, 3).cuda()
    expected = cam.class_maps(network, x, "trunk")

    def run(network, inputs, *rest, **options):
        if inputs.is_cuda and (on_cpu or len(inputs) > 1):
            torch.empty(2**46, device="cuda")
        return cam.class_maps(network, inputs, *rest, **options)

    ladder = Ladder(run)
    found = ladder.maps(network, x, "trunk")
    assert ladder.steps[-1] == (CPU if on_cpu else SAMPLE)
    assert all(value.is_cuda for value in [*tensors_of(network), found.logits, found["grad-cam"]])
    assert_same(found, expected, 1e-4)


def test_a_need_beyond_what_is_free_is_foreseen(monkeypatch):
    network, x = Deep(3).eval(), images(3, 4)
    plain = cam.class_maps(network, x, "trunk")
    whole = ladder_module.predict_bytes(network, x, "trunk")
    one = ladder_module.predict_bytes(network, x[:1], "trunk", chunk=1)
    for free, expected in ((whole.total, ()), ((one.total + whole.total) // 4, ("one sample at a time",))):
        monkeypatch.setattr(ladder_module, "free_bytes", lambda _, free=free: free)
        ladder = Ladder()
        ladder.foresee(network, x, ["trunk"])
        maps = ladder.maps(network, x, "trunk")
        assert_agree(maps["grad-cam"], plain["grad-cam"])
        assert all(any(words in step for step in ladder.steps) for words in expected)
        assert bool(ladder.steps) == bool(expected)


def test_little_inputs_are_not_measured_beforehand(monkeypatch):
    def forbid(*_):
        raise AssertionError("predicted")

    monkeypatch.setattr(ladder_module, "predict_bytes", forbid)
    ladder = Ladder()
    ladder.foresee(Deep(2).eval(), images(2), ["trunk"])
    assert ladder.rung == 0


def test_what_does_not_fit_even_so_begins_as_low_as_exact_maps_allow(monkeypatch):
    monkeypatch.setattr(ladder_module, "free_bytes", lambda _: 1)
    ladder = Ladder()
    ladder.foresee(Deep(2).eval(), images(2), ["trunk", "middle"])
    maps = ladder.maps(Deep(2).eval(), images(2), ["trunk", "middle"])
    assert any("one sample at a time" in step for step in ladder.steps)
    assert not any("bfloat16" in step for step in ladder.steps)
    assert maps["grad-cam", "trunk"].shape[0] == 2
