"""What is read equals what torch and safetensors read themselves, from every form they write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.model.weights.payloads import Calls, rezipped, weights
from voxcam.errors import ClassifierError
from voxcam.model.weights import digest, read_checkpoint, read_state

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def _same(state: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> bool:
    return list(state) == list(truth) and all(
        state[name].dtype == truth[name].dtype
        and state[name].shape == truth[name].shape
        and state[name].is_contiguous()
        and torch.equal(state[name], truth[name])
        for name in truth
    )


def _saved(state: object, file: Path, old: bool = False, protocol: int = 2) -> Path:
    torch.save(state, file, _use_new_zipfile_serialization=not old, pickle_protocol=protocol)
    return file


def _various() -> dict[str, torch.Tensor]:
    base = torch.arange(48.0)
    every = {
        str(dtype): torch.arange(1 if dtype == torch.bool else 7).to(dtype) for dtype in FLOATS + INTEGERS
    }
    tied = torch.randn(3, 4)
    return every | {
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "frozen": torch.nn.Parameter(torch.randn(2), requires_grad=False),
        "tied": tied,
        "tied again": tied,
        "transposed": torch.randn(3, 5).T,
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "volume": torch.randn(2, 3, 2, 4, 5),
        "slice": base[4:20].view(4, 4),
        "every third": base[1::3],
        "column": base.view(6, 8)[:, 2],
        "flags": torch.tensor([True, False, True]),
        "nämé.with dots/and slash": torch.ones(1),
    }


@pytest.mark.parametrize("old", [False, True])
def test_every_kind_of_tensor_arrives_as_torch_reads_it(old: bool, tmp_path: Path) -> None:
    file = _saved(_various(), tmp_path / "model.pth", old)
    truth = {name: tensor.detach() for name, tensor in torch.load(file, weights_only=True).items()}
    state = read_state(file)
    assert _same(state, truth)
    pointers = {tensor.untyped_storage().data_ptr() for tensor in state.values() if tensor.numel()}
    assert len(pointers) == len(state) - 1, "each its own memory, but for the empty one"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(old: bool, protocol: int, tmp_path: Path) -> None:
    if protocol == 0:  # torch writes it and cannot read it: the storages' ids are text
        file = _saved(weights(), tmp_path / "model.pt", old, 0)
        with pytest.raises(ClassifierError, match="damaged"):
            read_state(file)
        return
    file = _saved(OrderedDict(weights()), tmp_path / "model.pt", old, protocol)
    assert _same(read_state(file), weights())


def test_an_old_torch_and_a_python_2_file(tmp_path: Path) -> None:
    """`_rebuild_tensor` before torch 0.2, and texts as bytes with names given to OrderedDict at once."""
    tensor = torch.arange(6.0).view(2, 3)

    class Old:
        def __reduce__(self) -> object:
            return torch._utils._rebuild_tensor, (tensor.storage(), 0, torch.Size([2, 3]), (3, 1))

    file = _saved(Calls(OrderedDict, [["a", Old()]]), tmp_path / "old.pt")
    assert _same(read_state(file), {"a": tensor})


def test_storage_without_a_type(tmp_path: Path) -> None:
    """Newer dtypes are kept in untyped storages, described by `_rebuild_tensor_v3`."""
    tensor = torch.arange(5, dtype=torch.bfloat16)

    class New:
        def __reduce__(self) -> object:
            rest = (0, (5,), (1,), False, OrderedDict(), torch.bfloat16)
            return torch._utils._rebuild_tensor_v3, (tensor.untyped_storage(), *rest)

    file = _saved({"a": New()}, tmp_path / "new.pt")
    assert torch.equal(torch.load(file, weights_only=True)["a"], tensor)
    assert _same(read_state(file), {"a": tensor})


def test_checksums_left_out_are_no_damage(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        file = _saved(weights(), tmp_path / "model.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert _same(read_state(file), weights())


@pytest.mark.parametrize("old", [False, True])
def test_weights_of_a_gpu_come_to_the_cpu(old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:3")
    file = _saved(weights(), tmp_path / "model.pt", old)
    monkeypatch.undo()
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(file, weights_only=True)
    assert all(tensor.device.type == "cpu" for tensor in read_state(file).values())
    assert _same(read_state(file), weights())


def test_safetensors_arrive_as_its_library_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    state = {name: tensor.detach().clone().contiguous() for name, tensor in _various().items()}
    safetensors.torch.save_file(state, file, metadata={"format": "pt"})
    truth = safetensors.torch.load_file(file)
    found = read_state(file)
    assert _same({name: found[name] for name in truth}, truth)


def test_a_name_says_nothing_about_what_a_file_is(tmp_path: Path) -> None:
    safetensors.torch.save_file(weights(), tmp_path / "model.pt")
    _saved(weights(), tmp_path / "model.safetensors")
    assert set(read_state(tmp_path / "model.pt")) == set(weights())
    assert _same(read_state(tmp_path / "model.safetensors"), weights())


@given(
    shape=st.lists(st.integers(0, 4), min_size=0, max_size=5),
    order=st.randoms(use_true_random=False),
    dtype=st.sampled_from(FLOATS + INTEGERS),
    step=st.integers(1, 3),
    old=st.booleans(),
)
def test_any_view_arrives_as_torch_reads_it(tmp_path_factory, shape, order, dtype, step, old) -> None:
    axes = list(range(len(shape)))
    order.shuffle(axes)
    whole = torch.randint(0, 2, [n * step for n in shape] or [1]).to(dtype)
    view = whole[tuple(slice(None, None, step) for _ in shape)] if shape else whole[0]
    view = view.permute(axes) if shape else view
    file = tmp_path_factory.mktemp("views") / "model.pt"
    _saved({"view": view}, file, old)
    from voxcam.model.weights.numbers import read_numbers
    from voxcam.model.weights.pickled import read_pickled

    with file.open("rb", buffering=0) as stream:
        state = read_numbers(stream, read_pickled(stream))
    assert _same(state, torch.load(file, weights_only=True))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_not_finite_are_named(dtype: torch.dtype, odd: float, tmp_path: Path) -> None:
    state = {name: tensor.to(dtype) for name, tensor in weights().items()}
    state["1.running_var"][2] = odd
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    _saved(state, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        with pytest.raises(ClassifierError, match="not finite, in '1.running_var'"):
            read_state(tmp_path / name)


def _quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (_quantised(), "'b' quantised"),
        (torch.eye(3).to_sparse(), "'b' sparse"),
        (torch.eye(3).to_sparse_csr(), "'b' sparse"),
        (torch.zeros(2, device="meta"), "'b' on the meta device"),
        (torch.zeros(2, dtype=torch.complex64), "'b' as ComplexFloatStorage"),
        (torch.zeros(2, dtype=torch.complex64).conj(), "'b' as a lazy view"),
        (torch.zeros(2, dtype=torch.float8_e4m3fn), "'b' as float8_e4m3fn"),
        (torch.zeros(2, dtype=torch.uint16), "'b' as uint16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensors_without_plain_numbers_are_named(tensor: torch.Tensor, says: str, tmp_path: Path) -> None:
    file = _saved({"a": torch.zeros(1), "b": tensor}, tmp_path / "model.pt")
    with pytest.raises(ClassifierError, match=says):
        read_state(file)


def test_what_trainers_keep_beside_the_weights_is_no_matter(tmp_path: Path) -> None:
    """nnU-Net's histories of NumPy numbers, Lightning's settings: torch's own safe reading refuses them."""
    import argparse
    import datetime

    more = {
        "logging": {"dice": [np.float64(0.5), np.float32(0.25)], "array": np.arange(3)},
        "args": argparse.Namespace(lr=1e-3, out=Path("/somewhere")),
        "when": datetime.datetime(2026, 1, 2),
        "device": torch.device("cpu"),
        "precision": torch.float16,
        "set": {1, 2},
        "bytes": b"abc",
        "optimizer_state": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]},
    }
    for old in (False, True):
        file = _saved({"network_weights": weights()} | more, tmp_path / "checkpoint_final.pth", old)
        checkpoint = read_checkpoint(file)
        assert _same(checkpoint.state, weights())
        assert checkpoint.notes == ("the weights are those under 'network_weights'",)
    with pytest.raises(Exception, match="Weights only load failed"):
        torch.load(file, weights_only=True)


def test_the_digest_is_of_the_file_the_numbers_come_from(tmp_path: Path) -> None:
    file = _saved(weights(), tmp_path / "model.pt")
    checkpoint = read_checkpoint(file)
    assert checkpoint.digest == digest(file)
    for expected in (checkpoint.digest, f"sha256:{checkpoint.digest.upper()}"):
        assert _same(read_checkpoint(file, expected).state, weights())
    _saved({"other": torch.zeros(1)}, file)
    with pytest.raises(ClassifierError, match=f"not the file expected: sha256:{checkpoint.digest}; found"):
        read_checkpoint(file, checkpoint.digest)
    with pytest.raises(ClassifierError, match="is no digest"):
        read_checkpoint(file, "sha256:12")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1000)}, tmp_path / "model.safetensors")
    asked: list[int] = []

    def rewriting() -> bool:  # asked once for the digest, once for the numbers
        asked.append(os.utime(tmp_path / "model.safetensors", ns=(len(asked), len(asked))))
        return False

    with pytest.raises(ClassifierError, match="changed while it was read"):
        read_checkpoint(tmp_path / "model.safetensors", cancelled=rewriting)

    def cutting() -> bool:
        asked.append(os.truncate(tmp_path / "model.safetensors", 3000 if asked else 4072))
        return False

    asked.clear()
    with pytest.raises(ClassifierError, match=r"shorter|cut short"):
        read_checkpoint(tmp_path / "model.safetensors", cancelled=cutting)


def test_importing_it_loads_neither_torch_nor_monai() -> None:
    code = "import sys, voxcam.model.weights.child; print({'torch', 'monai'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_old_name_of_a_record_folder_does_not_matter(tmp_path: Path) -> None:
    """The folder in the zip carries the file's first name; renaming the file changes nothing."""
    file = _saved(weights(), tmp_path / "first.pt")
    file.rename(tmp_path / "second.bin")
    assert _same(read_state(tmp_path / "second.bin"), weights())
    (tmp_path / "third.ckpt").write_bytes(rezipped(tmp_path / "second.bin", lambda name, content: content))
    assert _same(read_state(tmp_path / "third.ckpt"), weights())
