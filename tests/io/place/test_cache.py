from __future__ import annotations

import multiprocessing
import os
import stat
import sys
import tempfile
import time
from pathlib import Path

import platformdirs
import pytest

from voxcam.io.place import cache as module
from voxcam.io.place.cache import HeaderCache

VERSION = "7"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))
    # When all that the test writes has settled.
    begin_scans_at(monkeypatch, time.time_ns() + 3600 * 10**9)
    return tmp_path / "cache" / "scans"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "DOE^JANE"
    (place / "a").mkdir(parents=True)
    for name in ("1.dcm", "a/1.dcm", "a/é.dcm"):
        (place / name).write_bytes(b"content of " + name.encode())
    return place


def begin_scans_at(monkeypatch: pytest.MonkeyPatch, moment_ns: int) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: moment_ns)


def settled(place: Path) -> int:
    """The moment of the last change of a file of the place, in ns."""
    return max(path.stat().st_ctime_ns for path in files_of(place))


def files_of(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def texts_of(place: Path) -> dict[Path, str]:
    return {
        path: f'{{"name": "{number}",\n"é": "\\ud800"}}\ud800' for number, path in enumerate(files_of(place))
    }


def scan(place: Path, version: str = VERSION) -> dict[Path, str | None]:
    """Remember every file of a place, and return what was remembered before."""
    cache = HeaderCache.of(place, version)
    before = {}
    for path, text in texts_of(place).items():
        before[path] = cache.get(path, path.stat())
        if before[path] is None:
            cache.put(path, path.stat(), text)
    cache.save()
    return before


def nothing(place: Path) -> dict[Path, None]:
    return dict.fromkeys(files_of(place))


def test_a_scan_is_remembered_by_the_next(place: Path):
    assert scan(place) == nothing(place)
    assert scan(place) == texts_of(place)
    assert scan(place) == texts_of(place)


def test_a_place_is_the_same_by_any_path_to_it(place: Path, monkeypatch: pytest.MonkeyPatch):
    scan(place)
    link = place.parent / "link"
    link.symlink_to(place)
    monkeypatch.chdir(place)
    for root in (link, Path(), place / ".." / place.name, place):
        cache = HeaderCache.of(root, VERSION)
        assert (
            cache.get(root / "a" / "1.dcm", (root / "a" / "1.dcm").stat())
            == texts_of(place)[place / "a/1.dcm"]
        )


def test_one_file_is_a_place(place: Path):
    file = place / "1.dcm"
    cache = HeaderCache.of(file, VERSION)
    cache.put(file, file.stat(), "text")
    cache.save()
    assert HeaderCache.of(file, VERSION).get(file, file.stat()) == "text"


def change_keeping_size_and_mtime(path: Path) -> None:
    before = path.stat()
    time.sleep(0.02)  # past the clock's tick
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replace_by_rename(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


@pytest.mark.parametrize("change", [change_keeping_size_and_mtime, replace_by_rename, touch, grow])
def test_a_changed_file_is_noticed(place: Path, change):
    scan(place)
    change(place / "a" / "1.dcm")
    assert scan(place) == {**texts_of(place), place / "a/1.dcm": None}


@pytest.mark.parametrize("field", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev"])
def test_each_part_of_the_status_counts(place: Path, field: str):
    scan(place)
    path = place / "1.dcm"
    status = path.stat()
    fields = ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
    other = type("Status", (), {name: getattr(status, name) + (name == field) for name in fields})
    cache = HeaderCache.of(place, VERSION)
    assert cache.get(path, other) is None
    assert cache.get(path, status) is not None


def test_files_that_changed_places_are_noticed(place: Path):
    scan(place)
    (place / "1.dcm").rename(place / "0.dcm")
    assert scan(place)[place / "0.dcm"] is None


@pytest.mark.parametrize(("age_s", "kept"), [(-3600, False), (0, False), (1.999, False), (2, True)])
def test_what_was_written_just_before_the_scan_is_not_remembered(
    place: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, kept: bool
):
    begin_scans_at(monkeypatch, settled(place) + int(age_s * 1e9))
    scan(place)
    begin_scans_at(monkeypatch, settled(place) + 60 * 10**9)
    assert scan(place) == (texts_of(place) if kept else nothing(place))


def test_age_counts_from_the_beginning_of_the_scan(place: Path, monkeypatch: pytest.MonkeyPatch):
    begin_scans_at(monkeypatch, settled(place) + 10**9)
    cache = HeaderCache.of(place, VERSION)
    begin_scans_at(monkeypatch, settled(place) + 60 * 10**9)
    cache.put(place / "1.dcm", (place / "1.dcm").stat(), "text")
    cache.save()
    assert scan(place) == nothing(place)


def test_what_is_gone_is_forgotten(place: Path, folder: Path):
    scan(place)
    status = (place / "1.dcm").stat()
    large = sum(file.stat().st_size for file in folder.glob("*.scan"))
    (place / "1.dcm").unlink()
    scan(place)
    assert sum(file.stat().st_size for file in folder.glob("*.scan")) < large
    assert HeaderCache.of(place, VERSION).get(place / "1.dcm", status) is None


def test_another_version_remembers_nothing(place: Path, monkeypatch: pytest.MonkeyPatch):
    scan(place)
    assert scan(place, "8") == nothing(place)
    assert scan(place, "8") == texts_of(place)
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    assert scan(place, "8") == nothing(place)


def test_a_damaged_file_is_dropped_whichever_byte_it_is(place: Path, folder: Path):
    scan(place)
    [file] = folder.glob("*.scan")
    sound = file.read_bytes()
    path, status = place / "1.dcm", (place / "1.dcm").stat()
    for at in range(len(sound)):
        for damaged in (sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :], sound[:at]):
            file.write_bytes(damaged)
            assert HeaderCache.of(place, VERSION).get(path, status) is None
    file.write_bytes(sound)
    assert scan(place) == texts_of(place)


@pytest.mark.parametrize("salt", [b"", b"short", bytes(32), bytes(33)])
def test_a_damaged_salt_loses_the_memory_only(place: Path, folder: Path, salt: bytes):
    scan(place)
    (folder / "salt").write_bytes(salt)
    assert scan(place) == nothing(place)
    assert scan(place) == texts_of(place)


def test_names_cannot_be_read_and_only_the_user_may_read(place: Path, folder: Path):
    scan(place)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        held = file.name.encode() + file.read_bytes()
        for name in (b"JANE", b".dcm", str(place).encode()):
            assert name not in held


def test_each_user_hashes_by_a_salt_of_their_own(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    scan(place)
    monkeypatch.setenv("VOXCAM_CACHE", str(folder.parent.parent / "other"))
    scan(place)
    others = folder.parent.parent / "other" / "scans"
    assert {file.name for file in folder.glob("*.scan")}.isdisjoint(
        file.name for file in others.glob("*.scan")
    )


def test_a_folder_open_to_others_is_closed(place: Path, folder: Path):
    folder.mkdir(parents=True, mode=0o755)
    scan(place)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner here")
def test_a_folder_of_another_user_is_not_used(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    folder.mkdir(parents=True)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    scan(place)
    assert list(folder.iterdir()) == []


def test_it_can_be_turned_off(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(folder.parent))
    monkeypatch.setenv("VOXCAM_CACHE", "off")
    scan(place)
    assert scan(place) == nothing(place)
    assert not folder.exists()
    monkeypatch.delenv("VOXCAM_CACHE")
    scan(place)
    assert scan(place) == texts_of(place)
    assert folder.exists()


@pytest.mark.parametrize("broken", ["taken by a file", "no such device"])
def test_a_place_that_cannot_be_made_means_no_memory(place: Path, folder: Path, monkeypatch, broken: str):
    if broken == "taken by a file":
        folder.parent.write_bytes(b"")
    else:
        monkeypatch.setenv("VOXCAM_CACHE", os.devnull)
    assert scan(place) == nothing(place)
    assert scan(place) == nothing(place)


def test_a_read_only_folder_is_read_only(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    scan(place)
    (place / "new").write_bytes(b"new")

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for owner, name in (
        (tempfile, "mkstemp"),
        (os, "utime"),
        (Path, "unlink"),
        (Path, "chmod"),
        (Path, "replace"),
    ):
        monkeypatch.setattr(owner, name, refused)
    for _ in range(2):
        assert scan(place) == {**texts_of(place), place / "new": None}


def test_a_full_disk_keeps_the_memory_before(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    scan(place)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (place / "new").write_bytes(b"new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        scan(place)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_places_used_longest_ago_go_first(place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    roots = [place / "a", place, place / "1.dcm"]
    for root in roots:
        cache = HeaderCache.of(root, VERSION)
        cache.put(place / "1.dcm", (place / "1.dcm").stat(), "text" * 1000)
        cache.save()
        time.sleep(0.02)
    HeaderCache.of(roots[0], VERSION).save()  # seen nothing: writes less
    cache = HeaderCache.of(roots[1], VERSION)
    assert cache.get(place / "1.dcm", (place / "1.dcm").stat())
    time.sleep(0.02)
    cache.save()  # unchanged, but used
    old = folder / "killed.part"
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    monkeypatch.setattr(module, "_MOST_BYTES", 5000)
    HeaderCache.of(roots[0], VERSION).save()
    held = [bool(HeaderCache.of(root, VERSION)._remembered) for root in roots]
    assert held == [False, True, False]
    assert not old.exists()
    assert sum(file.stat().st_size for file in folder.glob("*.scan")) <= 5000


def test_a_place_larger_than_the_cap_is_not_remembered(place: Path, folder: Path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 50)
    scan(place)
    assert list(folder.glob("*.scan")) == []


def save_often(place: Path, letter: str) -> None:
    path = place / "1.dcm"
    for number in range(60):
        cache = HeaderCache.of(place, VERSION)
        cache.put(path, path.stat(), letter * (1 + number * 5000))
        cache.save()


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_processes_that_save_at_once_never_tear_a_file(place: Path, folder: Path):
    path = place / "1.dcm"
    scan(place)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=save_often, args=(place, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    read = set()
    while any(writer.is_alive() for writer in writers):
        text = HeaderCache.of(place, VERSION).get(path, path.stat())
        assert text == texts_of(place)[path] or (len(set(text)) == 1 and len(text) % 5000 == 1)
        read.add(text)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(read) > 3
    assert sorted(file.suffix for file in folder.iterdir()) == ["", ".scan"]
