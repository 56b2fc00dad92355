"""All of a state dict goes into a network or none of it; torch's own strict loading is the truth."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import DENSENET_3D, random_weights
from torch import nn

from voxcam.errors import ClassifierError
from voxcam.model.networks import build_network
from voxcam.model.weights import fit_weights, load_weights


def _network() -> nn.Sequential:
    network = nn.Sequential(
        OrderedDict(first=nn.Conv2d(1, 4, 3), norm=nn.BatchNorm2d(4), last=nn.Linear(4, 2))
    )
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    return network.eval()


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor + 5
        for name, tensor in _network().state_dict().items()
    }


def _holds(network: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(network.state_dict()[name], state[name]) for name in network.state_dict())


def _renamed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in _state().items()}


def test_a_plain_state_dict_goes_in_without_a_note() -> None:
    network, truth = _network(), _network()
    truth.load_state_dict(_state(), strict=True)
    assert fit_weights(network, _state()) == ()
    assert _holds(network, truth.state_dict())


OPTIMIZER = {
    "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2)}},
    "param_groups": [{"lr": 0.1}],
}
PLAIN: dict[str, Any] = {
    "state_dict": {"epoch": 2, "optimizer_states": [OPTIMIZER], "pytorch-lightning_version": "2.5"},
    "model_state_dict": {"optimizer_state_dict": OPTIMIZER, "loss": 0.1},
    "network_weights": {
        "optimizer_state": OPTIMIZER,
        "trainer_name": "nnUNetTrainer",
        "init_args": {"fold": 0},
    },
    "model": {"optimizer": OPTIMIZER, "lr_scheduler": {"last_epoch": 3}, "epoch": 3},
    "network": {"optimizer": OPTIMIZER},
    "net": {"acc": 91.2, "epoch": 200},
    "module": {"ds_version": "0.15"},
}


@pytest.mark.parametrize("key", PLAIN)
def test_trainers_dictionaries_are_looked_into(key: str, tmp_path: Path) -> None:
    network = _network()
    assert fit_weights(network, {key: _state()} | PLAIN[key]) == (f"the weights are those under {key!r}",)
    assert _holds(network, _state())
    torch.save({key: _state()} | PLAIN[key], tmp_path / "trained.ckpt")
    network = _network()
    assert load_weights(network, tmp_path / "trained.ckpt") == (f"the weights are those under {key!r}",)
    assert _holds(network, _state())


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "net.", "network.", "_orig_mod.", "module._orig_mod.model."]
)
def test_a_prefix_of_every_name_is_taken_off_and_said(prefix: str) -> None:
    network = _network()
    notes = fit_weights(network, _renamed(prefix))
    assert [note.split("'")[1] for note in notes] == [part + "." for part in prefix.split(".")[:-1]]
    assert _holds(network, _state())


def test_a_prefix_the_network_has_itself_stays() -> None:
    network = nn.Sequential(OrderedDict(model=_network()))
    assert fit_weights(network, _renamed("model.")) == ()
    assert _holds(network, _renamed("model."))
    assert fit_weights(network, _renamed("module.model.")) == (
        "'module.' was taken off the front of every name",
    )


@pytest.mark.parametrize("prefix", ["encoder.", "MODEL.", "module"])
def test_a_prefix_that_is_not_known_is_not_guessed_at(prefix: str) -> None:
    network = _network()
    with pytest.raises(
        ClassifierError, match=f"it has no 'first.weight'; the nearest it has is '{prefix}first.w"
    ):
        fit_weights(network, _renamed(prefix))
    assert not any(parameter.any() for parameter in network.parameters())


def test_averaged_weights_are_left_alone_and_said() -> None:
    network, averaged = _network(), {name: tensor + 1 for name, tensor in _state().items()}
    notes = fit_weights(network, {"model": _state(), "model_ema": averaged})
    assert notes == (
        "the weights are those under 'model'",
        "averaged weights under 'model_ema' were left alone",
    )
    assert _holds(network, _state())
    inside = _renamed("model.") | {f"ema_model.{name}": tensor for name, tensor in averaged.items()}
    notes = fit_weights(network, {"state_dict": inside})
    assert "averaged weights under 'ema_model.' were left alone" in notes
    assert _holds(network, _state())


def test_averaged_weights_alone_are_taken_and_said() -> None:
    network = _network()
    notes = fit_weights(network, {"state_dict_ema": _state(), "optimizer": OPTIMIZER})
    assert notes == ("the weights are averaged ones, under 'state_dict_ema': there are no others",)
    assert _holds(network, _state())


def test_an_averaged_model_of_torch() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(_network())
    averaged.load_state_dict(_renamed("module.") | {"n_averaged": torch.tensor(7)})
    network = _network()
    notes = fit_weights(network, averaged.state_dict())
    assert notes == (
        "the weights are an average over training",
        "'module.' was taken off the front of every name",
    )
    assert _holds(network, _state())


def test_a_compiled_and_a_parallel_network() -> None:
    trained = _network()
    trained.load_state_dict(_state())
    for wrapped in (nn.DataParallel(trained), torch.compile(trained)):
        network = _network()
        assert fit_weights(network, wrapped.state_dict()) != ()
        assert _holds(network, _state())


def _without(name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in _state().items() if key != name}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (
            _without("last.bias"),
            r"it has no 'last.bias'; the nearest it has is 'first.bias' \(1 of 9 .* 0 too many",
        ),
        (
            _state() | {"fc.bias": torch.zeros(2)},
            "it has 'fc.bias', which the network has not; the nearest .* is",
        ),
        (
            _without("last.bias") | {"last.bais": torch.zeros(2)},
            r"no 'last.bias'; the nearest it has is 'last.bais' \(1 of 9 entries missing, 1 too many\)",
        ),
        (
            {"module." + name: tensor for name, tensor in _without("last.bias").items()},
            r"no 'last.bias'; .*'first.bias' \(1 of 9 entries missing, 0",
        ),
        (_state() | {"last.weight": torch.zeros(3, 4)}, "'last.weight' is 3 x 4, the network has 2 x 4"),
        (_state() | {"last.bias": torch.tensor(1.0)}, "'last.bias' is one number, the network has 2"),
        (
            _state() | {"last.bias": torch.zeros(2, dtype=torch.int64)},
            "'last.bias' is int64, the network has float32",
        ),
        (_state() | {"norm.num_batches_tracked": torch.tensor(1.5)}, "is float32, the network has int64"),
        (
            _state() | {"last.bias": torch.full([2], 1e300, dtype=torch.float64)},
            "'last.bias' holds numbers that are not finite as float32",
        ),
        (
            _state() | {"last.bias": torch.full([2], torch.nan)},
            "'last.bias' holds numbers that are not finite",
        ),
        (
            _state() | {"last.bias": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)},
            "'last.bias' is qint8, the network has float32",
        ),
        ({"a\nb": torch.zeros(1)}, "does not fit the network"),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(state: dict[str, torch.Tensor], says: str) -> None:
    network = _network()
    with pytest.raises(ClassifierError, match=says) as error:
        fit_weights(network, state)
    assert str(error.value).isprintable()
    assert not any(parameter.any() for parameter in network.parameters()), "never partly"


@pytest.mark.parametrize(
    ("checkpoint", "says"),
    [
        ({}, "no state dict: it is an empty dictionary"),
        (OPTIMIZER, "state of an optimizer and no weights"),
        (
            {"optimizer_state_dict": OPTIMIZER, "scheduler": {"last_epoch": 1}},
            "state of an optimizer and no weights",
        ),
        ({"epoch": 3, "loss": 0.1}, r"it has 'epoch', 'loss'"),
        ({"generator": _state(), "discriminator": _state()}, "it has 'generator', 'discriminator'"),
        ({"model": _state(), "network": _state()}, r"several state dicts \('model', 'network'\)"),
        ({"ema": _state(), "swa_model": _state()}, "it has 'ema', 'swa_model'"),
        (_state() | {"epoch": 3}, "'epoch' in it is an int, not a tensor"),
        ({3: torch.zeros(1)}, "3 among its names is no text"),
        ({"model": {"model": {"model": {"model": {"model": {"epoch": 3}}}}}}, "go too deep"),
        ({"state_dict": {"model": {"epoch": 1}}}, "it has 'epoch'"),
        ({"model": None, "state_dict": []}, "it has 'model', 'state_dict'"),
        ([torch.zeros(1)], "no state dict but a list"),
    ],
)
def test_a_checkpoint_without_one_state_dict_is_one_line(checkpoint: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=says):
        fit_weights(_network(), checkpoint)
    torch.save(checkpoint, tmp_path / "model.pt")
    with pytest.raises(ClassifierError, match=says):
        load_weights(_network(), tmp_path / "model.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_the_networks_own(dtype: torch.dtype) -> None:
    network = _network()
    state = {n: tensor.to(dtype) if tensor.is_floating_point() else tensor for n, tensor in _state().items()}
    (note,) = fit_weights(network, state)
    assert note == f"{str(dtype)[6:]} became float32"
    assert _holds(network, {name: tensor.to(_state()[name].dtype) for name, tensor in state.items()})
    assert network.state_dict()["norm.num_batches_tracked"].dtype == torch.int64


def test_counters_that_old_files_lack_stay_as_they_were() -> None:
    network = _network()
    notes = fit_weights(network, _without("norm.num_batches_tracked"))
    assert notes == ("'num_batches_tracked' is missing 1 times and stays as it was",)
    assert _holds(network, _state() | {"norm.num_batches_tracked": torch.tensor(0)})


def test_a_network_is_left_as_it_was_but_for_its_weights() -> None:
    network = _network()
    network.first.weight.requires_grad_(False)
    parameters = {name: id(parameter) for name, parameter in network.named_parameters()}
    fit_weights(network, _state())
    assert not network.training
    assert not network.first.weight.requires_grad
    assert network.last.weight.requires_grad
    assert {name: id(parameter) for name, parameter in network.named_parameters()} == parameters


def test_a_monai_network_from_what_monai_saves(tmp_path: Path) -> None:
    """MONAI's own CheckpointSaver writes {"network": state dict, "optimizer": ...}."""
    network, truth = build_network(DENSENET_3D), build_network(DENSENET_3D)
    truth.load_state_dict(random_weights(DENSENET_3D))
    optimizer = torch.optim.Adam(truth.parameters())
    torch.save({"network": truth.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "best.pt")
    assert load_weights(network, tmp_path / "best.pt") == ("the weights are those under 'network'",)
    image = torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(network(image), truth(image))
