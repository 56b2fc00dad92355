"""Weights are read as numbers alone; anything else is one clear line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D, random_weights
from safetensors.torch import save_file

from voxcam.errors import ClassifierError
from voxcam.model.networks import build_network
from voxcam.model.weights import load_weights


@pytest.fixture
def network() -> torch.nn.Module:
    return build_network(DENSENET_3D)


def test_weights_arrive_unchanged_from_safetensors_and_from_pt(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    state = random_weights(DENSENET_3D)
    save_file(state, tmp_path / "model.safetensors")
    torch.save({"state_dict": state}, tmp_path / "model.pt")
    for name in ("model.safetensors", "model.pt"):
        load_weights(network, tmp_path / name)
        assert all(torch.equal(network.state_dict()[key], state[key]) for key in state)


def test_a_pickle_with_a_payload_is_refused_and_does_not_run(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "marker",))

    torch.save({"state_dict": Payload()}, tmp_path / "model.pt")
    with pytest.raises(ClassifierError, match="more than weights"):
        load_weights(network, tmp_path / "model.pt")
    assert not (tmp_path / "marker").exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert (tmp_path / "marker").exists(), "the control: the payload is live"


def test_damaged_and_foreign_weights_are_one_clear_line(network: torch.nn.Module, tmp_path: Path) -> None:
    state = random_weights(DENSENET_3D)
    save_file(state, tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:2000])
    save_file(random_weights(DENSENET_2D), tmp_path / "other.safetensors")
    first = next(iter(state))
    save_file(state | {first: state[first] * torch.nan}, tmp_path / "nan.safetensors")
    (tmp_path / "text.pt").write_text("<html>")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": 1}))
    for name, says in {
        "cut.safetensors": "damaged",
        "other.safetensors": "does not fit",
        "nan.safetensors": "not finite",
        "text.pt": "web page",
        "list.pt": "no state dict",
        "pickle.pt": "state dict|damaged",
    }.items():
        with pytest.raises(ClassifierError, match=says) as error:
            load_weights(network, tmp_path / name)
        assert "\n" not in str(error.value)
