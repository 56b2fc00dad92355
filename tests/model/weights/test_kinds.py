"""Threat M5: what is not read is refused by what it is, each with its own line and way out."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.model.weights.payloads import tar_of, weights
from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.weights import read_state


def _torchscript(file: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(1, 1, 1)), file)


def _traced(file: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), file)


def _exported(file: Path) -> None:
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, file.with_suffix(".pt2"))
    file.with_suffix(".pt2").rename(file)


def _package(file: Path) -> None:
    from torch.package import PackageExporter

    with PackageExporter(file) as exporter:
        exporter.save_source_string("code", "print('hello')")


def _onnx(file: Path) -> None:
    # ir_version 8, producer_name "pytorch", producer_version "2.0", and the beginning of a graph.
    file.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x032.0:\x10" + bytes(200))


def _keras(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")


def _joblib(file: Path) -> None:
    named = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
    file.write_bytes(b"\x80\x04\x95" + bytes([60, 0, 0, 0, 0, 0, 0, 0]) + named + b")\x81.")


def _npz(file: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3), b=np.ones(2))
    file.write_bytes(stream.getvalue())


def _npy(file: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    file.write_bytes(stream.getvalue())


def _zip(file: Path, *names: str) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")


def _gzip(file: Path) -> None:
    import gzip

    file.write_bytes(gzip.compress(b"abc" * 100))


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
HTML = "\n<!DOCTYPE html>\n<html><body>Sign in</body></html>"
# What is written, what the message says, whether it is because code would run.
KINDS: dict[str, tuple[Any, str, bool]] = {
    "TorchScript": (
        _torchscript,
        r"TorchScript is code: trust it by digest \(--trust-code sha256:\.\.\.\), or save the state dict as "
        "model.safetensors",
        True,
    ),
    "TorchScript, traced": (_traced, "TorchScript is code", True),
    "torch.export": (_exported, "torch.export", True),
    "torch.package": (_package, "torch.package", True),
    "tar": (
        lambda file: file.write_bytes(tar_of(storages=b"", tensors=b"", pickle=b"")),
        "tar archive",
        True,
    ),
    "joblib": (_joblib, "joblib", True),
    "ONNX": (_onnx, "ONNX", False),
    "HDF5": (lambda file: file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500)), "HDF5", False),
    "Keras": (_keras, "Keras", False),
    "npz": (_npz, ".npz", False),
    "npy": (_npy, ".npy", False),
    "bundle": (
        lambda file: _zip(file, "b/configs/metadata.json", "b/models/model.pt"),
        "zipped MONAI",
        False,
    ),
    "zip": (lambda file: _zip(file, "a/readme.txt"), "one data.pkl, found none", False),
    "two checkpoints": (lambda file: _zip(file, "a/data.pkl", "b/data.pkl"), "one data.pkl, found 2", False),
    "empty zip": (lambda file: _zip(file), "one data.pkl, found none", False),
    "gzip": (_gzip, "compressed by gzip: unpack", False),
    "web page": (lambda file: file.write_text(HTML), "web page", False),
    "git-lfs": (lambda file: file.write_text(LFS), "git-lfs pointer.*git lfs pull", False),
    "empty": (lambda file: file.write_bytes(b""), "is empty", False),
    "folder": (lambda file: file.mkdir(), "is a folder", False),
    "missing": (lambda file: None, "no such file", False),
    "text": (lambda file: file.write_text("I am text, not weights."), "no kind of weights", False),
    "noise": (lambda file: file.write_bytes(bytes(range(255, 0, -1))), "no kind of weights", False),
    "one byte": (lambda file: file.write_bytes(b"P"), "no kind of weights", False),
    "executable": (lambda file: file.write_bytes(b"\x7fELF" + bytes(100)), "no kind of weights", False),
}
if hasattr(os, "mkfifo"):
    KINDS["pipe"] = (lambda file: os.mkfifo(file), "no plain file", False)
    KINDS["device"] = (lambda file: file.symlink_to("/dev/zero"), "no plain file", False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_each_kind_has_its_own_line(kind: str, name: str, tmp_path: Path) -> None:
    write, says, runs_code = KINDS[kind]
    write(tmp_path / name)
    with pytest.raises(ClassifierError, match=says) as error:
        read_state(tmp_path / name)
    assert isinstance(error.value, UntrustedCodeError) is runs_code
    assert str(error.value).startswith(f"{name} ")
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], weights()], ids=["dict", "list", "state dict"])
def test_a_plain_pickle_of_any_protocol_is_named(protocol: int, content: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(UntrustedCodeError, match="plain pickle"):
        read_state(file)


@pytest.mark.parametrize("record", ["constants.pkl", "code/__torch__.py", "bytecode.pkl"])
def test_one_record_of_torchscript_is_enough(record: str, tmp_path: Path) -> None:
    """torch.load hands such a file to torch.jit.load, whatever else is in it."""
    file = tmp_path / "model.pt"
    torch.save(weights(), file)
    read_state(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"model/{record}", "")
    with pytest.raises(UntrustedCodeError, match="TorchScript"):
        read_state(file)


def test_a_file_without_leave_to_read_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcam.model.weights import checkpoints

    def refused(place: Path) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    monkeypatch.setattr(checkpoints, "FileIO", refused)
    with pytest.raises(ClassifierError, match=r"^model.pt cannot be read: permission denied$"):
        read_state(tmp_path / "model.pt")


def test_a_name_of_a_file_cannot_break_the_line(tmp_path: Path) -> None:
    file = tmp_path / "a\n\x1b[31mb.pt"
    file.write_bytes(b"")
    with pytest.raises(ClassifierError) as error:
        read_state(file)
    assert str(error.value).isprintable()
