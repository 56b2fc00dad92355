"""Bundles in zip archives: read like folders, and twenty archives that are refused."""

from __future__ import annotations

import gc
import stat
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from bundles import write_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.bundle.small_bundles import small_bundle
from voxcam.errors import ClassifierError
from voxcam.model.bundle import archive as archive_module
from voxcam.model.bundle import read_bundle
from voxcam.model.loading import load_classifier


def _zip(folder: Path, to: Path, top: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(to, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder)}")
    return to


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("top", ["", "bundle/"])
def test_an_archive_is_the_bundle_it_was_made_of(tmp_path: Path, folder: Path, top: str) -> None:
    place = _zip(folder, tmp_path / "bundle.zip", top)
    packed, plain = read_bundle(place), read_bundle(folder)
    assert packed.metadata == plain.metadata
    assert packed.preprocessing == plain.preprocessing
    assert packed.digests() == plain.digests()
    assert packed.code_digest() == plain.code_digest()
    assert packed.unchanged()
    image = torch.rand(1, 1, 16, 16, 16)
    outputs = [load_classifier(p, device="cpu").network(image) for p in (place, folder)]
    assert torch.equal(*outputs)


def test_the_copy_of_the_weights_is_private_and_goes_with_the_bundle(tmp_path: Path, folder: Path) -> None:
    bundle = read_bundle(_zip(folder, tmp_path / "bundle.zip"))
    private = bundle.weights.parent
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert [path.name for path in private.iterdir()] == ["model.safetensors"]
    del bundle
    gc.collect()
    assert not private.exists()


def test_macos_leftovers_do_not_matter(tmp_path: Path, folder: Path) -> None:
    place = _zip(folder, tmp_path / "bundle.zip", "bundle/")
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr("__MACOSX/bundle/configs/._metadata.json", b"\0\5\x16\7")
    assert read_bundle(place).name == "bundle"


def _member(name: str, **fields: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def _with(place: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(place, "a") as archive, pytest.MonkeyPatch.context():
        for member, data in members:
            archive.writestr(member, data)
    return place


def _patched(place: Path, old: bytes, new: bytes) -> Path:
    data = place.read_bytes()
    assert old in data
    place.write_bytes(data.replace(old, new))
    return place


def _flagged(place: Path, bit: int) -> Path:
    """Set a general purpose bit of every entry of the directory and every header."""
    data = bytearray(place.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= bit
            at = data.find(mark, at + 4)
    place.write_bytes(data)
    return place


def _overlapping(place: Path) -> Path:
    """Let all entries of the directory point at the header of the first."""
    data = bytearray(place.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<L", data, at + 42, 0)
        at = data.find(b"PK\x01\x02", at + 4)
    place.write_bytes(data)
    return place


LINK = (stat.S_IFLNK | 0o777) << 16
HOSTILE = {
    "slip": (lambda p: _with(p, ("../../evil.py", b"x")), "leads out of the archive"),
    "absolute": (lambda p: _with(p, ("/etc/evil", b"x")), "leads out of the archive"),
    "drive": (lambda p: _with(p, ("C:/evil", b"x")), "leads out of the archive"),
    "backslash": (lambda p: _with(p, ("configs\\..\\evil", b"x")), "leads out of the archive"),
    "name with a zero byte": (
        lambda p: _patched(_with(p, ("models/zero_here", b"x")), b"zero_here", b"zero\0here"),
        "leads out of the archive",
    ),
    "link": (lambda p: _with(p, (_member("models/l", external_attr=LINK), b"/etc/passwd")), "is a link"),
    "device": (
        lambda p: _with(p, (_member("models/d", external_attr=(stat.S_IFCHR | 0o666) << 16), b"")),
        "or no file",
    ),
    "case": (lambda p: _with(p, ("Configs/Inference.json", b"{}")), "by case alone"),
    "same name by another spelling": (
        lambda p: _with(p, ("docs/e\u0301", b"x"), ("docs/\u00e9", b"x")),
        "has the name of another",
    ),
    "encrypted": (lambda p: _flagged(p, 0x01), "is encrypted"),
    "overlap": (_overlapping, "overlaps"),
    "another name in its own header": (
        lambda p: p.write_bytes(p.read_bytes().replace(b"configs/meta", b"configs/mela", 1)) and p,
        "is damaged",
    ),
    "cut": (lambda p: _patched(p, p.read_bytes()[-40:], b""), "found a file"),
    "two bundles": (
        lambda p: _with(p, ("other/configs/metadata.json", b"{}")),
        "one bundle in the archive, found 2",
    ),
    "a damaged member": (lambda p: _patched(p, b'"name": "bundle"', b'"name": "bumble"'), "is damaged"),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_archive_is_one_line(tmp_path: Path, folder: Path, what: str) -> None:
    change, match = HOSTILE[what]
    place = change(_zip(folder, tmp_path / "bundle.zip", method=zipfile.ZIP_STORED))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ClassifierError, match=match) as refused:
        read_bundle(place)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert "evil" not in str(refused.value)  # the member's number, not its name
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_comes_twice_is_refused(tmp_path: Path, folder: Path) -> None:
    place = _zip(folder, tmp_path / "bundle.zip")
    with pytest.warns(UserWarning, match="Duplicate name"):
        _with(place, ("configs/inference.json", b"{}"))
    with pytest.raises(ClassifierError, match="member 4 of the bundle's archive has the name of another"):
        read_bundle(place)


def test_an_archive_without_metadata_is_no_bundle(tmp_path: Path, folder: Path) -> None:
    (folder / "configs" / "metadata.json").unlink()
    with pytest.raises(ClassifierError, match="no configs/metadata.json"):
        read_bundle(_zip(folder, tmp_path / "bundle.zip"))
    deep = write_bundle(tmp_path / "deep")
    with pytest.raises(ClassifierError, match="at its top or in one folder"):
        read_bundle(_zip(deep, tmp_path / "deep.zip", "one/two/"))


def test_another_method_of_packing_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ClassifierError, match="another method than deflate"):
        read_bundle(_zip(folder, tmp_path / "bundle.zip", method=zipfile.ZIP_LZMA))


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, folder: Path) -> None:
    """200 MB of zeros in 200 kB: stated honestly, and stated as small."""
    (folder / "models" / "model.safetensors").unlink()
    place = _zip(folder, tmp_path / "bundle.zip")
    with (
        zipfile.ZipFile(place, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("models/model.pt", "w") as s,
    ):
        for _ in range(200):
            s.write(bytes(2**20))
    with pytest.raises(ClassifierError, match="zip bomb"):
        read_bundle(place)
    data = bytearray(place.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 1000)
    place.write_bytes(data)
    with pytest.raises(ClassifierError, match="damaged"):  # cut at what is stated, its checksum is wrong
        read_bundle(place)


def test_bytes_are_counted_as_they_come_out(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _zip(folder, tmp_path / "bundle.zip")
    bundle = read_bundle(place)
    size = (folder / "models" / "model.safetensors").stat().st_size
    monkeypatch.setattr(bundle.files, "_left", size)
    assert bundle.files.sha256("models/model.safetensors") == read_bundle(folder).weights_sha256
    monkeypatch.setattr(bundle.files, "_left", size - 1)
    with pytest.raises(ClassifierError, match="zip bomb"):
        bundle.files.sha256("models/model.safetensors")


def test_too_many_members_are_refused_before_they_are_listed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "FILES", 2)
    with pytest.raises(ClassifierError, match="more than 2 files"):
        read_bundle(_zip(folder, tmp_path / "bundle.zip"))


def test_an_archive_of_something_else_is_no_bundle(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")  # torch saves zip archives
    with pytest.raises(ClassifierError, match="no MONAI bundle"):
        read_bundle(tmp_path / "model.pt")


DAMAGE = st.tuples(st.integers(0, 10_000), st.integers(0, 255), st.booleans())


@given(changes=st.lists(DAMAGE, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_one_line_or_none_at_all(tmp_path: Path, changes: list[tuple[int, int, bool]]) -> None:
    """Bytes are changed or left out anywhere: what is read then is what was packed."""
    small = small_bundle(tmp_path / "small", {"network_def": {"_target_": "DenseNet"}})
    place = _zip(small, tmp_path / "small.zip")
    data = bytearray(place.read_bytes())
    for at, value, is_left_out in changes:
        data[at % len(data) : at % len(data) + 1] = b"" if is_left_out else bytes([value])
    place.write_bytes(data)
    said = ""
    try:
        bundle = read_bundle(place)
        assert bundle.network == {"_target_": "DenseNet"}
        assert bundle.weights.read_bytes() == b"weights"
        bundle.code_digest()
    except ClassifierError as error:
        said = str(error)
    assert "\n" not in said
