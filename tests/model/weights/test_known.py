"""The register of models: first sight is remembered, other files refused, code trusted by its digest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxcam.errors import ClassifierError
from voxcam.model.weights import check_known, is_trusted, known, trust
from voxcam.model.weights.locking import locked

A, B, C = "a" * 64, "b" * 64, "c" * 64
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def _document(folder: Path) -> dict:
    return json.loads((folder / "models.json").read_text())


def test_first_sight_is_remembered_and_the_same_again_is_well(folder: Path) -> None:
    check_known("Lung nodules", A)
    check_known("Lung nodules", f"sha256:{A.upper()}")
    check_known("another", B)
    assert _document(folder) == {
        "format": 1,
        "known": {"Lung nodules": [f"sha256:{A}"], "another": [f"sha256:{B}"]},
        "trusted_code": [],
    }


def test_other_weights_under_a_known_name_are_refused_until_confirmed(folder: Path) -> None:
    check_known("Lung nodules", A)
    says = (
        f"weights of 'Lung nodules' are not those seen before: expected sha256:{A}, found sha256:{B}; if "
        f"that is meant, confirm with --accept-weights sha256:{B}"
    )
    for _ in range(2):
        with pytest.raises(ClassifierError) as error:
            check_known("Lung nodules", B)
        assert str(error.value) == says
    check_known("Lung nodules", B, accept=f"sha256:{B}")
    check_known("Lung nodules", B)
    check_known("Lung nodules", A)  # confirmed once, and still on some disk
    with pytest.raises(ClassifierError, match=f"expected sha256:{B}, found sha256:{C}"):
        check_known("Lung nodules", C)


def test_confirming_another_digest_than_the_one_found_is_refused(folder: Path) -> None:
    for seen in (False, True):
        with pytest.raises(ClassifierError, match=f"--accept-weights sha256:{C}; found sha256:{B}"):
            check_known("model", B, accept=C)
        if not seen:
            check_known("model", A)
    with pytest.raises(ClassifierError, match="is no digest"):
        check_known("model", A, accept="yes")
    with pytest.raises(ClassifierError, match="is no digest"):
        check_known("model", "")


def test_code_is_trusted_by_its_digest_alone(folder: Path) -> None:
    assert not is_trusted(A)
    assert not folder.exists(), "asking leaves nothing behind"
    trust(f"sha256:{A}")
    trust(A)
    assert is_trusted(A)
    assert is_trusted(f"SHA256:{A}")
    assert not is_trusted(B)
    assert _document(folder)["trusted_code"] == [f"sha256:{A}"]
    check_known("model", B)
    assert is_trusted(A), "one register for both"


def test_weights_seen_are_no_code_trusted(folder: Path) -> None:
    check_known("model", A)
    assert not is_trusted(A)


@posix
def test_it_is_for_the_user_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        check_known("model", A)
    finally:
        os.umask(before)
    assert (folder / "models.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["models.json", "models.lock"]


@posix
def test_a_register_that_others_may_write_is_not_believed(folder: Path) -> None:
    trust(A)
    (folder / "models.json").chmod(0o666)
    with pytest.raises(ClassifierError, match="others may write it"):
        is_trusted(A)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"format": 2, "known": {}, "trusted_code": []}',
        b'{"format": 1, "known": [], "trusted_code": []}',
        b'{"format": 1, "known": {"model": "sha256:aa"}, "trusted_code": []}',
        b'{"format": 1, "known": {"model": [3]}, "trusted_code": []}',
        b'{"format": 1, "known": {}, "trusted_code": ["x"]}',
        b'{"format": 1, "known": {}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_register_is_said_and_left_as_it_is(content: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / "models.json").write_bytes(content)
    (folder / "models.json").chmod(0o600)
    for ask in (lambda: check_known("model", A), lambda: is_trusted(A), lambda: trust(A)):
        with pytest.raises(
            ClassifierError, match=r"register of known models cannot be read .*models.json"
        ) as error:
            ask()
        assert "\n" not in str(error.value)
        assert str(folder) not in str(error.value)
    assert (folder / "models.json").read_bytes() == content


def test_a_place_that_cannot_be_written_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "file" / "below"))
    assert not is_trusted(A)
    for ask in (lambda: check_known("model", A), lambda: trust(A)):
        with pytest.raises(
            ClassifierError, match=r"cannot be written .*VOXCAM_MODELS=DIR.*VOXCAM_MODELS=off"
        ):
            ask()


def test_off_remembers_and_trusts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXCAM_MODELS", "OFF")
    check_known("model", A)
    check_known("model", B)
    trust(A)
    assert not is_trusted(A)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ClassifierError, match="--accept-weights"):
        check_known("model", A, accept=B)


def test_without_an_option_it_lies_in_the_users_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOXCAM_MODELS", raising=False)
    monkeypatch.setattr(known.platformdirs, "user_config_path", lambda name: tmp_path / name)
    check_known("model", A)
    assert (tmp_path / "voxcam" / "models.json").exists()


def test_a_write_that_fails_leaves_the_old_register(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_known("model", A)
    before = (folder / "models.json").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(known.os, "fsync", full)
    with pytest.raises(ClassifierError, match="no space left on device"):
        check_known("another", B)
    assert (folder / "models.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["models.json", "models.lock"]


def test_many_processes_write_it_and_nothing_is_lost(folder: Path) -> None:
    code = (
        "import sys; from voxcam.model.weights import check_known, trust\n"
        "for n in range(20):\n"
        "    check_known(f'model {sys.argv[1]} {n}', f'{int(sys.argv[1]) * 100 + n:064x}')\n"
        "    trust(f'{int(sys.argv[1]) * 100 + n:064x}')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    document = _document(folder)
    assert len(document["known"]) == len(document["trusted_code"]) == 80


def test_of_two_processes_that_see_a_name_first_one_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one wrote between our look and our turn."""
    reading = known._read
    looks: list[int] = []

    def look(place: Path) -> known.Register:
        looks.append(1)
        return known.Register() if len(looks) == 1 else reading(place)

    check_known("model", A)
    monkeypatch.setattr(known, "_read", look)
    with pytest.raises(ClassifierError, match="not those seen before"):
        check_known("model", B)
    assert len(looks) == 2
    assert _document(folder)["known"] == {"model": [f"sha256:{A}"]}


def test_a_lock_is_let_go_of_when_its_holder_dies_and_not_before(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from voxcam.model.weights.locking import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    import voxcam.model.weights.locking as locking

    patience, locking._MOST_SECONDS = locking._MOST_SECONDS, 0.1
    try:
        with pytest.raises(TimeoutError), locked(tmp_path / "lock"):
            pass
    finally:
        locking._MOST_SECONDS = patience
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(tmp_path / "lock"):
        pass


def test_a_strange_name_stays_on_one_line(folder: Path) -> None:
    name = "a\n\x1b[31m" + "x" * 1000
    check_known(name, A)
    check_known(name, A)
    with pytest.raises(ClassifierError) as error:
        check_known(name, B)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600
