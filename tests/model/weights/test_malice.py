"""Threat M1: no file runs code, in whatever container; each payload is shown to be live by a naive reader."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.model.weights.payloads import PAYLOADS, Calls, tar_of, weights, zip_of
from voxcam.errors import UntrustedCodeError
from voxcam.model.weights import load_weights, read_checkpoint
from voxcam.model.weights.child import answered

PROTOCOLS = range(6)


def _zip(content: Any, protocol: int) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, pickle_protocol=protocol)
    return stream.getvalue()


def _legacy(content: Any, protocol: int) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def _tar(content: Any, protocol: int) -> bytes:
    empty = pickle.dumps(0, protocol)
    tensors = storages = empty + pickle.dumps([], protocol)
    return tar_of(storages=storages, tensors=tensors, pickle=pickle.dumps(content, protocol))


def _plain(content: Any, protocol: int) -> bytes:
    return pickle.dumps(content, protocol)


def _naive(file: Path) -> Any:
    return torch.load(file, weights_only=False)


CONTAINERS: dict[str, Callable[[Any, int], bytes]] = {
    "zip": _zip,
    "zip, in a state dict": lambda payload, protocol: _zip(weights() | {"x": payload}, max(protocol, 1)),
    "zip, beside a state dict": lambda payload, protocol: _zip(
        {"state_dict": weights(), "hyper_parameters": [payload]}, max(protocol, 1)
    ),
    "zip in a zip": lambda payload, protocol: zip_of(
        data=_plain(payload, protocol), data__0=_zip(payload, 2)
    ),
    "legacy": _legacy,
    "legacy, in a state dict": lambda payload, protocol: _legacy(
        weights() | {"x": payload}, max(protocol, 1)
    ),
    "tar": _tar,
    "plain pickle": _plain,
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_does_not_run_whatever_it_is_wrapped_in(name: str, container: str, tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "model.pt"
    for protocol in PROTOCOLS:
        file.write_bytes(CONTAINERS[container](PAYLOADS[name](marker), protocol))
        with FileIO(file) as stream:
            answer = answered(stream)  # what the child does, here
        assert answer.get("runs_code") is True, (protocol, answer)
        assert not marker.exists(), protocol


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_child_leaves_it_alone_too_and_the_payload_is_live(name: str, tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "model.pt"
    torch.save({"state_dict": weights(), "more": PAYLOADS[name](marker)}, file)
    with pytest.raises(UntrustedCodeError, match=r"^model.pt holds more than weights: .*run code") as error:
        read_checkpoint(file)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert not marker.exists()
    _naive(file)
    assert marker.exists(), "the control: the payload is live"


@pytest.mark.parametrize("container", ["zip", "zip, in a state dict", "legacy", "plain pickle"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_the_containers_are_live(container: str, protocol: int, tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "model.pt"
    file.write_bytes(CONTAINERS[container](PAYLOADS["builtins.exec"](marker), protocol))
    naive = pickle.loads if container == "plain pickle" else _naive
    naive(file.read_bytes() if container == "plain pickle" else file)
    assert marker.exists()


def test_the_tar_container_is_live(tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "model.pt"
    file.write_bytes(_tar(PAYLOADS["builtins.exec"](marker), 2))
    _naive(file)
    assert marker.exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_pickled_network_is_named_as_one(old: bool, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
    torch.save(network, file, _use_new_zipfile_serialization=not old)
    with pytest.raises(
        UntrustedCodeError, match=r"whole pickled network \(torch.nn.modules.container.Sequential"
    ):
        load_weights(network, file)
    torch.save({"model": network, "epoch": 3}, file, _use_new_zipfile_serialization=not old)
    with pytest.raises(UntrustedCodeError, match="run code .*Sequential"):
        load_weights(network, file)


def test_a_name_that_is_allowed_is_not_called_either(tmp_path: Path) -> None:
    """torch.load with weights_only=True would make a bytearray of that size."""
    file = tmp_path / "model.pt"
    torch.save({"state_dict": weights(), "more": Calls(bytearray, 10**15)}, file)
    assert read_checkpoint(file).state.keys() == weights().keys()
    with pytest.raises(MemoryError):
        torch.load(file, weights_only=True)
