"""Threats M2 and M3: damaged files end in one line, or in the very same numbers; the digest catches all."""

from __future__ import annotations

import io
import os
import tempfile
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from mutants import mutants

from tests.model.weights.payloads import weights
from voxcam.errors import ClassifierError
from voxcam.model.weights import digest, read_checkpoint
from voxcam.model.weights.numbers import read_numbers
from voxcam.model.weights.pickled import read_pickled
from voxcam.model.weights.refusals import Refusal
from voxcam.model.weights.safetensors_header import read_safetensors


def _saved(old: bool = False) -> bytes:
    stream = io.BytesIO()
    trained = {"epoch": 3, "state_dict": weights(), "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}
    torch.save(trained, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


SEEDS = {"zip": _saved(), "legacy": _saved(old=True), "safetensors": safetensors.torch.save(weights())}
READERS = {"zip": read_pickled, "legacy": read_pickled, "safetensors": read_safetensors}


@pytest.fixture(scope="module")
def file():
    handle, name = tempfile.mkstemp()
    os.close(handle)
    with FileIO(name, "r+") as stream:
        yield stream
    Path(name).unlink()


def _read(file: FileIO, kind: str, content: bytes) -> dict[str, torch.Tensor] | None:
    """Return what the inner reader makes of it, None if it is refused; anything else is a failure."""
    file.seek(0)
    file.truncate()
    file.write(content)
    try:
        return read_numbers(file, READERS[kind](file))
    except Refusal as refusal:
        line = str(refusal.of("model.pt"))
    assert line.isprintable()
    return None


def _same(state: dict[str, torch.Tensor]) -> bool:
    truth = weights()
    return list(state) == list(truth) and all(torch.equal(state[name], truth[name]) for name in truth)


@pytest.mark.parametrize("kind", SEEDS)
def test_the_seeds_are_read(kind: str, file: FileIO) -> None:
    state = _read(file, kind, SEEDS[kind])
    assert state is not None
    assert {name: tensor.tolist() for name, tensor in state.items()} == {
        name: tensor.tolist() for name, tensor in weights().items()
    }


@pytest.mark.parametrize("kind", SEEDS)
def test_a_thousand_flipped_bits(kind: str, file: FileIO) -> None:
    seed, rng = SEEDS[kind], np.random.default_rng(1)
    accepted = different = 0
    for at, bit in zip(rng.integers(0, len(seed), 1000), rng.integers(0, 8, 1000), strict=True):
        mutant = bytearray(seed)
        mutant[at] ^= 1 << bit
        state = _read(file, kind, bytes(mutant))
        accepted += state is not None
        different += state is not None and not _same(state)
    if kind == "zip":
        assert not different, "the zip's checksums tell damage from padding"
    else:
        assert different, "the control: nothing but the digest tells here"
    assert accepted < 1000


@pytest.mark.parametrize("kind", SEEDS)
def test_a_thousand_damaged_files(kind: str, file: FileIO) -> None:
    accepted = [
        state
        for mutant in mutants(SEEDS[kind], np.random.default_rng(2), 1000)
        if (state := _read(file, kind, mutant)) is not None
    ]
    assert len(accepted) < 900
    if kind == "zip":
        assert all(map(_same, accepted))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_every_byte_of_the_pickle_replaced(kind: str, file: FileIO) -> None:
    """Checksums left out, as torch may: then the pickle's own reader meets every damage."""
    seed = SEEDS[kind]
    if kind == "zip":
        import zipfile

        with zipfile.ZipFile(io.BytesIO(seed)) as archive:
            for member in archive.infolist():
                seed = seed.replace(member.CRC.to_bytes(4, "little"), bytes(4))
    begin = seed.index(b"\x80\x02}q")
    end = seed.index(b"optimizer")
    rng = np.random.default_rng(3)
    outcomes = set()
    for at in range(begin, end):
        mutant = bytearray(seed)
        mutant[at] = int(rng.integers(0, 256))
        outcomes.add(_read(file, kind, bytes(mutant)) is None)
    assert outcomes == {True, False}


@pytest.mark.parametrize("kind", SEEDS)
def test_every_length_it_can_be_cut_to(kind: str, file: FileIO) -> None:
    seed = SEEDS[kind]
    lengths = [*range(0, len(seed), 7), *range(len(seed) - 100, len(seed))]
    assert all(_read(file, kind, seed[:length]) is None for length in lengths)


def test_the_digest_catches_every_flipped_bit(tmp_path: Path) -> None:
    seed, rng = SEEDS["safetensors"], np.random.default_rng(4)
    path = tmp_path / "model.safetensors"
    path.write_bytes(seed)
    expected = digest(path)
    assert read_checkpoint(path, expected).digest == expected
    for at, bit in zip(rng.integers(0, len(seed), 1000), rng.integers(0, 8, 1000), strict=True):
        mutant = bytearray(seed)
        mutant[at] ^= 1 << bit
        path.write_bytes(mutant)
        with pytest.raises(ClassifierError, match="not the file expected"):
            read_checkpoint(path, expected)
