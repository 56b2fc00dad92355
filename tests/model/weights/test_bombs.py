"""Files that claim more than they hold are refused before memory is taken."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.model.weights.payloads import Described, described_zip, rezipped, safetensors_of, weights, zip_of
from voxcam.errors import ClassifierError
from voxcam.model.weights import apart, read_state

resource = pytest.importorskip("resource", reason="measures memory as Unix does")
FOUR = struct.pack("<4f", 1, 2, 3, 4)
MOST_GROWTH_KB = 200 << 10


@pytest.fixture(autouse=True)
def no_memory_is_taken(monkeypatch: pytest.MonkeyPatch):
    """Neither here nor in the child, which has 64 MB to work with."""
    little = apart.Limits(memory_bytes=64 << 20)
    monkeypatch.setattr(apart, "Limits", lambda: little)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH_KB


def _refused(tmp_path: Path, content: bytes, says: str, name: str = "model.pt") -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClassifierError, match=says) as error:
        read_state(tmp_path / name)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_described_tensors_are_read_if_they_are_true(tmp_path: Path) -> None:
    """The control of this file's builder: torch reads it too."""
    content = described_zip({"a": Described(4, 0, (2, 2), (2, 1))}, FOUR)
    (tmp_path / "model.pt").write_bytes(content)
    truth = torch.load(tmp_path / "model.pt", weights_only=True)["a"]
    assert torch.equal(read_state(tmp_path / "model.pt")["a"], truth)


def test_a_tensor_of_a_trillion_numbers_in_a_small_file(tmp_path: Path) -> None:
    content = described_zip({"a": Described(4, 0, (10**6, 10**6), (0, 0))}, FOUR)
    assert len(content) < 2000
    assert torch.load(io.BytesIO(content), weights_only=True)["a"].numel() == 10**12, "the control"
    _refused(tmp_path, content, r"claims 1,000,000,000,000 numbers for 'a' where 1 are stored")


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (Described(2**40, 0, (4,), (1,)), "claims 1,099,511,627,776 numbers where 16 bytes"),
        (Described(-4, 0, (4,), (1,)), "claims -4 numbers"),
        (Described(4, 0, (5,), (1,)), "'a' needs 5 numbers, its block holds 4"),
        (Described(4, 1, (4,), (1,)), "'a' needs 5 numbers"),
        (Described(4, 2**70, (1,), (1,)), "place or shape that cannot be"),
        (Described(4, -1, (4,), (1,)), "place or shape that cannot be"),
        (Described(4, 0, (-1,), (1,)), "place or shape that cannot be"),
        (Described(4, 0, (2,), (-1,)), "place or shape that cannot be"),
        (Described(4, 0, (2**61, 2**61, 0), (0, 0, 0)), "shape that cannot be"),
        (Described(4, 0, (2, 2), (1,)), "2 axes"),
        (Described(4, 0, (1,) * 20, (1,) * 20), "20 axes"),
        (Described(4, 0, (2, 2), (2**60, 1)), "'a' needs 1,152,921,504,606,846,978 numbers"),
        (Described(4, 0, (4, 4), (1, 0)), "claims 16 numbers for 'a' where 4"),
        (Described(4, 0.5, (4,), (1,)), "place or shape that cannot be"),
        (Described(4, 0, ("2",), (1,)), "place or shape that cannot be|not described"),
        (Described("4", 0, (4,), (1,)), "not described"),
        (Described(True, 0, (1,), (1,)), "not described"),
    ],
)
def test_a_tensor_beyond_its_storage(tensor: Described, says: str, tmp_path: Path) -> None:
    _refused(tmp_path, described_zip({"a": tensor}, FOUR), says)


def test_many_names_of_one_block(tmp_path: Path) -> None:
    stored = bytes(4 << 20)
    state = {f"w{n}": Described(1 << 20, 0, (1 << 20,), (1,)) for n in range(200)}
    content = described_zip(state, stored)
    assert len(torch.load(io.BytesIO(content), weights_only=True)) == 200, "the control"
    _refused(tmp_path, content, r"claims 838,860,800 bytes of weights in a file of 4,2")


def test_a_deflated_zip(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "honest.pt")
    content = rezipped(tmp_path / "honest.pt", lambda name, content: content, zipfile.ZIP_DEFLATED)
    assert len(content) < 20_000
    _refused(tmp_path, content, "compressed zip")


def _field(content: bytes, name: bytes, at: int, width: int, value: int) -> bytes:
    """Return the zip with a field of the central header of a record changed."""
    header = content.rindex(b"PK\x01\x02", 0, content.rindex(name))
    changed = bytearray(content)
    changed[header + at : header + at + width] = value.to_bytes(width, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("at", "width", "value", "says"),
    [
        (20, 4, 2**31, "compressed"),  # compressed size alone
        (24, 4, 2**31, "compressed"),  # size alone
        (42, 4, 2**31, "no record|cannot be read"),  # where the record is
        (42, 4, 0, "checksum|overlap|damaged"),  # at another record
        (8, 2, 1, "encrypted"),
        (10, 2, 99, "compressed"),
        (16, 4, 1234, "checksum"),
    ],
)
def test_a_zip_that_lies_about_a_record(at: int, width: int, value: int, says: str, tmp_path: Path) -> None:
    honest = described_zip({"a": Described(4, 0, (4,), (1,))}, FOUR)
    _refused(tmp_path, _field(honest, b"archive/data/0", at, width, value), says)


def test_a_record_longer_than_the_file(tmp_path: Path) -> None:
    content = described_zip({"a": Described(4, 0, (4,), (1,))}, FOUR)
    content = _field(content, b"archive/data/0", 20, 4, 2**31)
    _refused(tmp_path, _field(content, b"archive/data/0", 24, 4, 2**31), "beyond the end of the file")


def test_records_that_overlap(tmp_path: Path) -> None:
    """The quoted zip bomb: many entries of the directory share one block."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(100_000))
        one = archive.filelist[-1]
        for n in range(1, 100):
            twin = zipfile.ZipInfo(f"archive/data/{n}")
            twin.header_offset, twin.CRC = one.header_offset, one.CRC
            twin.file_size = twin.compress_size = one.file_size
            archive.filelist.append(twin)
        archive._didModify = True
    _refused(tmp_path, stream.getvalue(), "overlap")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    stream = io.BytesIO(described_zip({"a": Described(4, 0, (4,), (1,))}, FOUR))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("archive/data/0", FOUR)
    _refused(tmp_path, stream.getvalue(), "twice")


def test_a_storage_that_is_not_there_and_a_big_endian_file(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "honest.pt")
    missing = zip_of(data=zipfile.ZipFile(tmp_path / "honest.pt").read("honest/data.pkl"))
    _refused(tmp_path, missing, "its zip has no data/0")
    big = rezipped(tmp_path / "honest.pt", lambda name, old: b"big" if name.endswith("byteorder") else old)
    _refused(tmp_path, big, "big-endian")


def test_a_legacy_file_that_is_cut_or_lies(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "old.pt").read_bytes()
    for cut in range(20, len(whole), 150):
        _refused(tmp_path, whole[:cut], "damaged|cut short")
    _refused(tmp_path, whole[:-4], "cut short")
    count = struct.pack("<q", 27)  # of the convolution's weights
    assert whole.count(count) == 1
    _refused(tmp_path, whole.replace(count, struct.pack("<q", 2**40)), "holds 1,099,511,627,776 numbers")


WEIGHT = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def _with(**changes: object) -> dict[str, object]:
    return {"a": WEIGHT | changes}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (safetensors_of({"a": WEIGHT}, FOUR, claims=2**63), "header claims"),
        (safetensors_of({"a": WEIGHT}, FOUR, claims=100_000_001), "header claims 100,000,001"),
        (safetensors_of({"a": WEIGHT}, FOUR, claims=len(str(WEIGHT)) + 200), "header claims"),
        (safetensors_of({"a": WEIGHT}, FOUR, claims=20), "not JSON"),
        (safetensors_of({"a": WEIGHT}, FOUR[:-1]), "cut short or lies: 'a'"),
        (safetensors_of({"a": WEIGHT}, FOUR + b"PK"), "2 bytes behind the last weight"),
        (safetensors_of({"a": WEIGHT, "b": WEIGHT}, FOUR), "'b' overlaps"),
        (safetensors_of({"a": WEIGHT | {"data_offsets": [4, 20]}}, FOUR + FOUR[:4]), "'a' leaves a hole"),
        (safetensors_of(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},' * 1 + b'"a":{}}'), "twice"),
        (safetensors_of(b'{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'), "twice"),
        (safetensors_of(_with(dtype="F8_E4M3"), FOUR), "'a' as F8_E4M3: expected one of F64, F32"),
        (safetensors_of(_with(dtype=["F32"]), FOUR), "'a' as"),
        (safetensors_of(_with(data_offsets=[0, 10**15]), FOUR), "does not fit its shape"),
        (safetensors_of(_with(data_offsets=[0, 4 * 10**15], shape=[10**15]), FOUR), "cut short or lies"),
        (safetensors_of(_with(data_offsets=[16, 0]), FOUR), "cannot be"),
        (safetensors_of(_with(data_offsets=[-16, 0]), FOUR), "cannot be"),
        (safetensors_of(_with(data_offsets=[0.0, 16.0]), FOUR), "cannot be"),
        (safetensors_of(_with(data_offsets=[0, 16, 32]), FOUR), "not described as"),
        (safetensors_of(_with(shape=[10**6, 10**6]), FOUR), "does not fit its shape"),
        (safetensors_of(_with(shape=[2**64, 0], data_offsets=[0, 0])), "cannot be"),
        (safetensors_of(_with(shape=[2**61, 2**61, 0], data_offsets=[0, 0])), "cannot be"),
        (safetensors_of(_with(shape=[1] * 1000), FOUR), "1000 axes"),
        (safetensors_of(_with(shape="22"), FOUR), "not described as|cannot be"),
        (safetensors_of(_with(shape=[True, 4]), FOUR), "cannot be"),
        (safetensors_of({"a": 3}, FOUR), "not described as"),
        (safetensors_of({"a": {"dtype": "F32"}}, FOUR), "not described as"),
        (safetensors_of({}), "holds no weights"),
        (safetensors_of({"__metadata__": {"format": "pt"}}), "holds no weights"),
        (safetensors_of(b'{"a":' * 20_000 + b"1" + b"}" * 20_000), "not JSON"),
        (safetensors_of(b'{"\xff":{}}'), "not JSON"),
        (
            safetensors_of(b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}'),
            "not JSON",
        ),
    ],
    ids=range(31),
)
def test_a_safetensors_header_that_lies(content: bytes, says: str, tmp_path: Path) -> None:
    _refused(tmp_path, content, says, "model.safetensors")


def test_the_builder_of_safetensors_is_true(tmp_path: Path) -> None:
    content = safetensors_of({"a": WEIGHT}, FOUR)
    (tmp_path / "model.safetensors").write_bytes(content)
    truth = safetensors.torch.load(content)["a"]
    assert torch.equal(read_state(tmp_path / "model.safetensors")["a"], truth)
