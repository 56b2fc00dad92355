from __future__ import annotations

import errno
import os
import stat

import pytest

from voxcam.core.landing import free_place, whole_file, whole_folder
from voxcam.errors import ExportError


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(place, text="whole"):
    """Write a file at `place`, or in it if it is a folder."""
    (place / "a" / "b.txt" if place.is_dir() else place).parent.mkdir(exist_ok=True)
    (place / "a" / "b.txt" if place.is_dir() else place).write_text(text)


both = pytest.mark.parametrize("whole", [whole_file, whole_folder])


@both
def test_nothing_is_at_the_place_until_the_block_ends_well(tmp_path, whole):
    target = tmp_path / "deep" / "down" / "result.nii.gz"
    with whole(target) as beside:
        assert not target.exists()
        assert beside.parent == target.parent, "one file system, so that the rename is atomic"
        write(beside)
    assert target.exists()
    assert left_in(target.parent)[0] == "result.nii.gz"
    assert not beside.exists()
    assert (target / "a" / "b.txt" if target.is_dir() else target).read_text() == "whole"


@both
def test_the_place_may_be_told_as_text(tmp_path, whole):
    with whole(str(tmp_path / "result")) as beside:
        write(beside)
    assert (tmp_path / "result").exists()


@pytest.mark.parametrize("name", ["map.nii.gz", "figure.png", "plain", ".hidden", "a b.tar"])
def test_a_writer_sees_the_suffix_it_chooses_its_format_by(tmp_path, name):
    with whole_file(tmp_path / name) as beside:
        assert beside.suffixes == (tmp_path / name).suffixes
        beside.write_text("x")
    assert left_in(tmp_path) == [name]


@both
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_passes_through_and_leaves_nothing(tmp_path, whole, kind):
    with pytest.raises(kind), whole(tmp_path / "result") as beside:  # noqa: PT012 - the block is what is tested
        write(beside, "half")
        raise kind
    assert left_in(tmp_path) == []


@both
def test_an_export_error_from_the_block_keeps_its_own_words(tmp_path, whole):
    with pytest.raises(ExportError, match="^my own$"), whole(tmp_path / "result"):
        raise ExportError("my own")
    assert left_in(tmp_path) == []


@both
def test_a_failing_disk_is_an_export_error_without_a_path_and_leaves_nothing(tmp_path, whole):
    with pytest.raises(ExportError) as raised, whole(tmp_path / "result") as beside:  # noqa: PT012 - as above
        write(beside, "half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(beside))
    assert str(raised.value) == "the output cannot be written there: no space left on device"
    assert left_in(tmp_path) == []


@both
def test_an_os_error_without_a_reason_is_named_by_its_kind(tmp_path, whole):
    with (
        pytest.raises(ExportError, match="the output cannot be written there: oserror"),
        whole(tmp_path / "result"),
    ):
        raise OSError


@both
def test_a_failing_fsync_leaves_nothing(tmp_path, whole, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ExportError, match="input/output error"), whole(tmp_path / "result") as beside:
        write(beside)
    assert left_in(tmp_path) == []


@both
def test_every_file_is_on_disk_before_the_rename(tmp_path, whole, monkeypatch):
    synced = []
    sync = os.fsync

    def note(handle):
        synced.append((os.fstat(handle).st_ino, (tmp_path / "result").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with whole(tmp_path / "result") as beside:
        write(beside)
    written = tmp_path / "result" / "a" / "b.txt" if whole is whole_folder else tmp_path / "result"
    assert synced == [(written.stat().st_ino, False)]


@both
@pytest.mark.parametrize("there", ["file", "folder", "link", "dead link", "link to empty folder"])
def test_what_is_there_already_is_left_as_it_is_and_no_work_is_begun(tmp_path, whole, there):
    target = tmp_path / "result"
    if there == "file":
        target.write_text("mine")
    elif there == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif there == "link":
        (tmp_path / "other").write_text("mine")
        target.symlink_to(tmp_path / "other")
    elif there == "link to empty folder":
        (tmp_path / "other").mkdir()
        target.symlink_to(tmp_path / "other")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = left_in(tmp_path)
    with pytest.raises(ExportError, match="the output exists already") as raised, whole(target):
        pytest.fail("work was begun")
    assert str(tmp_path) not in str(raised.value)
    assert left_in(tmp_path) == before


def test_an_empty_folder_is_filled_but_no_file_takes_its_name(tmp_path):
    target = tmp_path / "result"
    target.mkdir()
    with pytest.raises(ExportError, match="exists already"), whole_file(target):
        pytest.fail("work was begun")
    with whole_folder(target) as beside:
        write(beside)
    assert left_in(tmp_path) == ["result", "result/a", "result/a/b.txt"]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "result"
    with pytest.raises(ExportError, match="exists already"), whole_file(target) as beside:  # noqa: PT012
        beside.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert left_in(tmp_path) == ["result"]


@pytest.mark.parametrize("came", ["file", "folder"])
def test_what_came_in_place_of_a_folder_meanwhile_is_not_replaced(tmp_path, came):
    target = tmp_path / "result"
    with pytest.raises(ExportError), whole_folder(target) as beside:  # noqa: PT012
        write(beside, "ours")
        if came == "folder":
            target.mkdir()
        (target / "mine.txt" if came == "folder" else target).write_text("theirs")
    assert (target / "mine.txt" if came == "folder" else target).read_text() == "theirs"
    assert not [name for name in left_in(tmp_path) if "landing" in name]


@both
def test_a_block_that_removed_its_own_place_is_an_export_error(tmp_path, whole):
    with pytest.raises(ExportError, match="no such file"), whole(tmp_path / "result") as beside:
        beside.rmdir() if beside.is_dir() else beside.unlink()
    assert left_in(tmp_path) == []


@both
def test_a_folder_in_the_way_that_is_a_file_is_an_export_error(tmp_path, whole):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ExportError, match="the output cannot be written there"),
        whole(tmp_path / "file" / "result"),
    ):
        pytest.fail("work was begun")


@both
def test_a_name_too_long_for_the_disk_is_an_export_error(tmp_path, whole):
    with pytest.raises(ExportError, match="file name too long"), whole(tmp_path / ("x" * 300)):
        pytest.fail("work was begun")
    with pytest.raises(ExportError, match="file name too long"):
        free_place(tmp_path / ("x" * 300))


@both
@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_an_export_error(tmp_path, whole):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ExportError, match="permission denied"), whole(tmp_path / "result"):
            pytest.fail("work was begun")
    finally:
        tmp_path.chmod(0o755)


@both
def test_a_refused_folder_is_an_export_error_whoever_runs_this(tmp_path, whole, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(ExportError) as raised, whole(tmp_path / "result"):
        pytest.fail("work was begun")
    assert str(raised.value) == "the output cannot be written there: permission denied"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@both
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o027])
def test_permissions_are_those_of_any_new_file_not_of_a_temporary_one(tmp_path, whole, umask):
    old = os.umask(umask)
    try:
        with whole(tmp_path / "result") as beside:
            write(beside)
        assert os.umask(umask) == umask, "the umask itself is left as it was"
        usual = tmp_path / "usual"
        usual.mkdir() if whole is whole_folder else usual.write_text("")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_free_place_is_nothing_or_an_empty_folder(tmp_path):
    free_place(tmp_path / "nothing")
    free_place(str(tmp_path))
    (tmp_path / "file").write_text("")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(ExportError, match="the output exists already and is left as it is"):
            free_place(taken)
    assert left_in(tmp_path) == ["file"]
