"""One dry run shows what is wrong with a network, in one line, and leaves everything as it was."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.model.networks.sections import CASES, SIZE, outputs_of, section, small_section
from voxcam.errors import ClassifierError
from voxcam.model.contract import OUTPUTS_LIMIT, check_contract, workable_shape
from voxcam.model.networks import build_network
from voxcam.model.opaque import Opaque

SHAPE = (1, 1, 16, 16)


class Toy(nn.Module):
    """A classifier of two classes that keeps the contract; the others break it in one point."""

    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, self.outputs)
        self.register_buffer("seen", torch.zeros(()))

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.conv(x)).relu().mean((2, 3)))
        return logits

    def forward(self, x: Tensor) -> Any:
        return self.logits(x)


class LabelsVoxels(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.conv(x)


class Flat(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x)[0]


class OfNaN(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x / x.std())


class OfInfinity(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x) + torch.inf


class OfNoClass(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x)[:, :0]


class OfTooMany(Toy):
    outputs = OUTPUTS_LIMIT + 1


class OfADictionary(Toy):
    def forward(self, x: Tensor) -> Any:
        return {"logits": self.logits(x), "features": x}


class OfStages(Toy):
    def forward(self, x: Tensor) -> Any:
        return [self.conv(x), self.logits(x)]


class OfNothing(Toy):
    def forward(self, x: Tensor) -> Any:
        return None


class OfWholeNumbers(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x).long()


class OfAnotherBatch(Toy):
    def forward(self, x: Tensor) -> Any:
        return torch.cat([self.logits(x)] * 2)


class EditsItsInput(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(x.relu_())  # of zeros the values stay


class EditsItsInputUnseen(Toy):
    def forward(self, x: Tensor) -> Any:
        x.data += 1
        return self.logits(x)


class LearnsInEvaluation(Toy):
    def forward(self, x: Tensor) -> Any:
        self.head.weight.data += 1
        return self.logits(x)


class Counts(Toy):
    def forward(self, x: Tensor) -> Any:
        self.seen += 1
        return self.logits(x)


class ReplacesANumber(Toy):
    def forward(self, x: Tensor) -> Any:
        self.seen = torch.ones(())
        return self.logits(x)


class Grows(Toy):
    def forward(self, x: Tensor) -> Any:
        self.late = nn.Identity()
        return self.logits(x)


class Hooks(Toy):
    def forward(self, x: Tensor) -> Any:
        self.conv.register_forward_hook(lambda _module, _inputs, output: output + 1)
        return self.logits(x)


class TurnsToTraining(Toy):
    def forward(self, x: Tensor) -> Any:
        self.conv.train()
        return self.logits(x)


class SetsTheDefault(Toy):
    def forward(self, x: Tensor) -> Any:
        torch.set_default_dtype(torch.float64)
        return self.logits(x)


class SetsGradients(Toy):
    def forward(self, x: Tensor) -> Any:
        torch.set_grad_enabled(True)
        return self.logits(x)


class SetsThreads(Toy):
    def forward(self, x: Tensor) -> Any:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return self.logits(x)


class Draws(Toy):
    def forward(self, x: Tensor) -> Any:
        return self.logits(nn.functional.dropout(x + 1, training=True))


class Reseeds(Toy):
    def forward(self, x: Tensor) -> Any:
        torch.manual_seed(12345)
        return self.logits(x)


class Throws(Toy):
    def forward(self, x: Tensor) -> Any:
        torch.set_default_dtype(torch.float64)
        raise KeyError("no such\nkey")


BROKEN: dict[type[Toy], str] = {
    LabelsVoxels: r"shape \(1, 4, 8, 8\); it labels voxels",
    Flat: r"expected logits \(n, classes\), found an output of shape \(2,\)",
    OfNaN: "NaN or infinity",
    OfInfinity: "NaN or infinity",
    OfNoClass: "at least one class",
    OfTooMany: "at most 100,000 outputs, found 100,001",
    OfADictionary: "dictionary with 'logits', 'features'",
    OfStages: r"found an output of shape \(1, 4, 8, 8\)",
    OfNothing: "found a NoneType",
    OfWholeNumbers: "floating point, found int64",
    OfAnotherBatch: "logits of one input",
    EditsItsInput: "changed its own input",
    EditsItsInputUnseen: "changed its own input",
    LearnsInEvaluation: "changed its own 'head.weight'",
    Counts: "changed its own 'seen'",
    ReplacesANumber: "changed which numbers it holds",
    Grows: "changed which layers it has",
    Hooks: "changed its own hooks",
    TurnsToTraining: "changed its mode to training",
    SetsTheDefault: "torch's default number format",
    SetsGradients: "torch's grad mode",
    SetsThreads: "the number of torch's threads",
    Draws: "torch's random numbers",
    Reseeds: "torch's seed",
    Throws: "KeyError: 'no such",
}


def found(network: nn.Module) -> list[Any]:
    """Return everything that a pass might have changed, as values to compare."""
    return [
        {name: tensor.clone() for name, tensor in network.state_dict().items()},
        [(name, module.training, len(module._forward_hooks)) for name, module in network.named_modules()],
        [parameter.grad for parameter in network.parameters()],
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state(),
        random.getstate(),
    ]


def same(before: list[Any], after: list[Any]) -> bool:
    weights = all(torch.equal(tensor, after[0][name]) for name, tensor in before[0].items())
    return (
        weights and torch.equal(before[6], after[6]) and before[1:6] == after[1:6] and before[7] == after[7]
    )


def test_a_network_that_keeps_the_contract() -> None:
    contract = check_contract(Toy(), SHAPE, 2)
    assert (contract.outputs, contract.example_shape, contract.notes) == (2, SHAPE, ())
    assert contract.layers == ("conv", "norm")
    assert check_contract(Toy(), SHAPE).outputs == 2


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_what_breaks_it_is_named_in_one_line(kind: type[Toy]) -> None:
    network = kind()
    before = found(network)
    with pytest.raises(ClassifierError, match=BROKEN[kind]) as caught:
        check_contract(network, SHAPE, kind.outputs)
    assert len(str(caught.value).splitlines()) == 1
    assert same(before, found(network))


@pytest.mark.parametrize("training", [True, False])
def test_it_is_left_as_found(training: bool) -> None:
    network = Toy().train(training)
    network.norm.eval()
    hook = network.conv.register_forward_hook(lambda *_: None)
    before = found(network)
    check_contract(network, SHAPE, 2)
    assert same(before, found(network))
    assert network.conv._forward_hooks
    hook.remove()


def test_logits_first_in_a_tuple_are_taken_with_a_note() -> None:
    class OfATuple(Toy):
        def forward(self, x: Tensor) -> Any:
            return self.logits(x), self.conv(x), x

    assert check_contract(OfATuple(), SHAPE, 2).notes == (
        "puts out 2 more beside the logits, which are left alone",
    )


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.Sigmoid(), nn.Tanh()])
def test_outputs_that_are_no_logits_are_noted(last: nn.Module) -> None:
    class Squashed(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Sequential(nn.Linear(4, 2), last)  # type: ignore[assignment]

    (note,) = check_contract(Squashed(), SHAPE, 2).notes
    assert type(last).__name__ in note


def test_classes_are_as_many_as_outputs() -> None:
    with pytest.raises(ClassifierError, match="puts out 2 numbers, the bundle names 3 classes"):
        check_contract(Toy(), SHAPE, 3)


def test_channels_are_those_it_reads() -> None:
    with pytest.raises(ClassifierError, match="an input of 1 channels, found 3"):
        check_contract(Toy(), (1, 3, 16, 16), 2)
    with pytest.raises(ClassifierError, match="an input of 4 channels, found 1"):
        check_contract(build_network(small_section("resnet10", 3, channels=4)), (1, 1, 16, 16, 16), 3)


@pytest.mark.parametrize(
    ("name", "rank", "least"), [("DenseNet", 2, 29), ("SENet", 2, 3), ("EfficientNetBN", 2, 32)]
)
def test_a_small_input_is_told_the_least_that_runs(name: str, rank: int, least: int) -> None:
    network = build_network(small_section(name, rank))
    with pytest.raises(ClassifierError, match=f"at least {least} voxels an axis, found {least - 1} x "):
        check_contract(network, (1, 1, *[least - 1] * rank), 3)
    assert check_contract(network, (1, 1, *[least] * rank), 3).outputs == 3


@pytest.mark.parametrize("name", ["ViT", "Classifier"])
def test_a_network_bound_to_a_size_says_which(name: str) -> None:
    network = build_network(small_section(name, 2))
    with pytest.raises(ClassifierError, match="expected an input of 32 x 32 voxels, found 64 x 64"):
        check_contract(network, (1, 1, 64, 64), 3)


def test_an_example_is_a_batch_of_one_image_of_a_size_that_can_be_held() -> None:
    for shape in ((1, 16, 16), (1, 1, 0, 16), (1, 1, -1, 16), ()):
        with pytest.raises(ClassifierError, match="expected an example"):
            check_contract(Toy(), shape, 2)
    with pytest.raises(ClassifierError, match="at most"):
        check_contract(Toy(), (1, 1, 2**20, 2**20), 2)


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_every_network_of_the_catalogue_keeps_it(name: str, rank: int) -> None:
    network = build_network(small_section(name, rank))
    space = workable_shape(network, rank, 1, (SIZE,) * rank)
    contract = check_contract(network, (1, 1, *space), outputs_of(name))
    assert contract.layers
    assert contract.outputs == outputs_of(name)


def test_a_workable_size_is_the_stated_one_or_the_one_it_is_bound_to_or_the_first_that_runs() -> None:
    vit = build_network(small_section("ViT", 3) | {"img_size": [32, 16, 48]})
    assert workable_shape(vit, 3, 1, None) == (32, 16, 48)
    assert workable_shape(vit, 3, 1, (64, 64)) == (32, 16, 48)
    assert workable_shape(vit, 3, 1, (16, 16, 16)) == (16, 16, 16)
    dense = build_network(small_section("DenseNet", 3))
    assert workable_shape(dense, 3, 1, None) == (64, 64, 64)

    class Particular(Toy):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.size = size

        def forward(self, x: Tensor) -> Any:
            if x.shape[-1] != self.size:
                raise RuntimeError(f"expected {self.size}")
            return self.logits(x)

    assert workable_shape(Particular(224), 2, 1, None) == (224, 224)
    with pytest.raises(ClassifierError, match="none of 64, 96, 128, 224 voxels an axis runs") as caught:
        workable_shape(Particular(100), 2, 1, None)
    assert "\n" not in str(caught.value)


def test_a_network_without_layers_to_look_at_keeps_it_too() -> None:
    scripted = torch.jit.trace(Toy().eval(), torch.zeros(SHAPE))  # type: ignore[no-untyped-call]
    assert check_contract(Opaque(scripted, "TorchScript"), SHAPE, 2).layers == ()
    counting = torch.jit.trace(Counts().eval(), torch.zeros(SHAPE))  # type: ignore[no-untyped-call]
    seen = counting.seen.clone()
    with pytest.raises(ClassifierError, match="changed its own 'seen'"):
        check_contract(Opaque(counting, "TorchScript"), SHAPE, 2)
    assert counting.seen == seen
    with pytest.raises(ClassifierError, match="changed its own input"):
        check_contract(Opaque(lambda x: x.add_(1).mean((2, 3)), "a function"), SHAPE, 1)


def test_an_error_of_torchscript_shows_no_path() -> None:
    traced = torch.jit.trace(Toy().eval(), torch.zeros(SHAPE))  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError) as torchs:
        traced(torch.zeros(1, 3, 16, 16))
    assert __file__ in str(torchs.value) or "/torch/" in str(torchs.value)  # positive control
    with pytest.raises(ClassifierError, match="an input of 1 channels, found 3"):
        check_contract(Opaque(traced, "TorchScript"), (1, 3, 16, 16), 2)
    with pytest.raises(ClassifierError, match="does not run") as caught:
        check_contract(Opaque(traced, "TorchScript"), (1, 3, 16, 16, 16), 2)
    assert "/" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_another_thread_may_draw_meanwhile() -> None:
    class Beside(Toy):
        def forward(self, x: Tensor) -> Any:
            import threading

            thread = threading.Thread(target=lambda: torch.rand(3))
            thread.start()
            thread.join()
            return self.logits(x)

    assert check_contract(Beside(), SHAPE, 2).outputs == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DenseNet121", "resnet18", "SEResNet50"])
def test_full_size_networks_keep_it(name: str) -> None:
    network = build_network(section(name, 3))
    assert check_contract(network, (1, 1, 64, 64, 64), 3).outputs == 3
