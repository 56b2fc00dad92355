"""Networks are built from a list of ours, weights loaded as numbers alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D, random_weights
from safetensors.torch import save_file

from voxcam.errors import ClassifierError
from voxcam.model.networks import NETWORKS, build_network, input_channels, load_weights, spatial_rank


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
        "text.pt": "damaged",
        "list.pt": "no state dict",
        "pickle.pt": "state dict|damaged",
    }.items():
        with pytest.raises(ClassifierError, match=says) as error:
            load_weights(network, tmp_path / name)
        assert "\n" not in str(error.value)


def test_arguments_that_do_not_fit_are_one_clear_line() -> None:
    with pytest.raises(ClassifierError, match="DenseNet cannot be built"):
        build_network(DENSENET_3D | {"no_such_argument": 1})
    with pytest.raises(ClassifierError, match="_target_"):
        build_network("DenseNet")


def test_rank_and_channels_are_told_by_the_first_convolution() -> None:
    assert spatial_rank(build_network(DENSENET_2D)) == 2
    assert spatial_rank(build_network(DENSENET_3D)) == 3
    assert input_channels(build_network(DENSENET_3D | {"in_channels": 4})) == 4
    with pytest.raises(ClassifierError, match="no 2D or 3D convolution"):
        spatial_rank(torch.nn.Linear(2, 2))


def test_every_network_on_the_list_exists_in_monai_and_is_a_classifier() -> None:
    from monai.networks import nets

    arguments = {
        "Classifier": {"in_shape": (1, 32, 32), "classes": 2, "channels": (4, 8), "strides": (2, 2)},
        "EfficientNetBN": {
            "model_name": "efficientnet-b0",
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 2,
        },
        "ResNet": {
            "block": "basic",
            "layers": [1, 1, 1, 1],
            "block_inplanes": [4, 8, 16, 32],
            "spatial_dims": 2,
            "n_input_channels": 1,
            "num_classes": 2,
        },
    }
    for name in NETWORKS:
        assert hasattr(nets, name), name
    for name, given in arguments.items():
        network = build_network({"_target_": name} | given)
        assert not network.training
        with torch.no_grad():
            output = network(torch.zeros(1, 1, 32, 32))
        logits = output[0] if isinstance(output, tuple) else output
        assert logits.shape == (1, 2), name
