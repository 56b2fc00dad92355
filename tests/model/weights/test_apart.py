"""The child that reads pickles may die, hang or flood: its parent answers in one line and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from io import FileIO
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.model.weights.payloads import weights, zip_of
from voxcam.errors import Cancelled, ClassifierError
from voxcam.model.weights import apart, load_weights, read_checkpoint, read_state
from voxcam.model.weights.apart import Limits, read_apart
from voxcam.model.weights.refusals import Refusal

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc, and limits memory")
unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(weights(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch):
    """The children started, all of which must be gone at the end."""
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(apart.subprocess, "Popen", start)
    yield started
    assert all(child.returncode is not None for child in started)
    if sys.platform.startswith("linux"):
        assert not any(Path(f"/proc/{child.pid}").exists() for child in started)


@pytest.fixture
def endless(tmp_path: Path):
    """A file that never ends nor goes on: what a child reads of it hangs for good."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    with FileIO(pipe) as stream:
        stream.seek = lambda *_: 0  # type: ignore[method-assign]
        yield stream
    os.close(held)


def _as(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child be another program."""
    monkeypatch.setattr(apart, "_COMMAND", (sys.executable, "-c", code))


HANGS = "import time; time.sleep(600)"


def test_a_hanging_child_is_given_up(file: Path, children: list, monkeypatch: pytest.MonkeyPatch) -> None:
    _as(HANGS, monkeypatch)
    with FileIO(file) as stream, pytest.raises(Refusal, match="took over 0 s to understand and was given up"):
        read_apart(stream, limits=Limits(seconds=0.3))
    assert len(children) == 1
    assert children[0].returncode == -signal.SIGKILL


def test_a_pickle_of_endless_work_is_given_up(tmp_path: Path, children: list) -> None:
    """The limit is seen to work on a real file: sixty million operations in a well-formed pickle."""
    (tmp_path / "slow.pt").write_bytes(zip_of(data=b"\x80\x02" + b"N0" * (30 << 20) + b"}."))
    with FileIO(tmp_path / "slow.pt") as stream, pytest.raises(Refusal, match="given up"):
        read_apart(stream, limits=Limits(seconds=-2.6))  # its size alone allows it three seconds
    assert children[0].returncode == -signal.SIGKILL


@linux
def test_the_child_ends_itself_when_its_parent_is_gone() -> None:
    endless = (
        "import sys, time; sys.argv = ['', '0.2', '1e9']; import voxcam.model.weights.child as c; "
        "c.answered = lambda file: time.sleep(600); c.main()"
    )
    child = subprocess.run([sys.executable, "-c", endless], stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert child.returncode == -signal.SIGALRM


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os.abort()", "killed the process that read it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed the process that read it"),
        ("raise SystemExit(3)", "killed the process that read it"),
        ("", "left its reader without an answer"),
        ("print('[')", "left its reader without an answer"),
        ("print('[]')", "left its reader without an answer"),
        ("print('{}')", "left its reader without an answer"),
        ('print(\'{"table": {"entries": [[1]], "notes": []}}\')', "left its reader without an answer"),
        ('print(\'{"table": {"entries": 3, "notes": []}}\')', "left its reader without an answer"),
        (
            """print('{"table": {"entries": [["a", "F32", 0, 1e99, 0, 0, [1], [1]]], "notes": []}}')""",
            "cannot be",
        ),
        (
            """print('{"table": {"entries": [["a", "F32", 0, 4096, 0, 0, [1024], [1]]], "notes": []}}')""",
            "goes on to byte 4,096",
        ),
        ("""print('{"refused": "is odd\\\\n\\\\u001b", "runs_code": false}')""", r"^model.pt is odd  $"),
    ],
)
def test_a_child_that_dies_or_lies_is_one_line(
    code: str, says: str, file: Path, children: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as(code, monkeypatch)
    with pytest.raises(ClassifierError, match=says) as error:
        read_checkpoint(file)
    assert str(error.value).isprintable()


def test_a_child_that_cannot_be_started_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_COMMAND", ("/nowhere/python",))
    with pytest.raises(ClassifierError, match="no process could be started"):
        read_checkpoint(file)


@linux
def test_a_pickle_that_floods_its_reader_is_refused(tmp_path: Path, children: list) -> None:
    (tmp_path / "flood.pt").write_bytes(zip_of(data=b"\x80\x02" + b"]" * (4 << 20) + b"."))
    with FileIO(tmp_path / "flood.pt") as stream, pytest.raises(Refusal, match="takes more memory"):
        read_apart(stream, limits=Limits(memory_bytes=100 << 20))


def test_cancelling_ends_the_wait_and_the_child(
    file: Path, children: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as(HANGS, monkeypatch)
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return bool(children) and len(asked) > 5

    with pytest.raises(Cancelled):
        read_checkpoint(file, cancelled=cancelled)
    assert children[0].returncode == -signal.SIGKILL
    gaps = sorted(later - sooner for sooner, later in pairwise(asked[1:]))
    assert gaps[len(gaps) // 2] < 0.2, "asked often enough to end a wait within that"


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_cancelled_before_it_begins(name: str, tmp_path: Path, children: list) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" * 1000)
    with pytest.raises(Cancelled):
        read_state(tmp_path / name, cancelled=lambda: True)
    assert not children


def test_cancelled_while_numbers_are_read(tmp_path: Path) -> None:
    torch.save({f"w{n}": torch.zeros(10) for n in range(100)}, tmp_path / "model.pt")
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 50

    with pytest.raises(Cancelled):
        read_state(tmp_path / "model.pt", cancelled=cancelled)


def test_an_interrupt_leaves_no_child(file: Path, children: list, monkeypatch: pytest.MonkeyPatch) -> None:
    _as(HANGS, monkeypatch)

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with FileIO(file) as stream, pytest.raises(KeyboardInterrupt):
        read_apart(stream, interrupted)


def test_nothing_is_left_in_the_temporary_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    seen: list[str] = []

    def looking() -> bool:
        seen.extend([path.name for path in folder.iterdir()])
        return False

    read_state(file, cancelled=looking)
    _as("raise SystemExit(3)", monkeypatch)
    with pytest.raises(ClassifierError):
        read_state(file, cancelled=looking)
    if os.name == "posix":
        assert not seen, "not even while it is read"
    assert not any(folder.iterdir())


def test_the_child_sees_no_path_and_no_shadowing_module(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: list
) -> None:
    """Threat M10: a module beside the user's data is not imported; it would be without -P."""
    for name in ("json", "pickletools", "zipfile", "signal", "voxcam"):
        (tmp_path / f"{name}.py").write_text("open('marker', 'w').close()")
    monkeypatch.chdir(tmp_path)
    assert read_state(file).keys() == weights().keys()
    assert not (tmp_path / "marker").exists()
    assert not any(str(tmp_path) in argument for argument in children[0].args)
    subprocess.run([sys.executable, "-m", "pickletools"], check=False, capture_output=True)
    assert (tmp_path / "marker").exists(), "the control"


def test_what_the_child_loads_is_light(file: Path) -> None:
    code = (
        "import sys; sys.argv = ['', '30', str(1 << 30)]\n"
        "import voxcam.model.weights.child as child\n"
        "child.main()\n"
        "assert not {'torch', 'numpy', 'monai'} & {*sys.modules}"
    )
    with file.open("rb") as stream:
        done = subprocess.run([sys.executable, "-c", code], stdin=stream, capture_output=True, check=True)
    assert [entry[0] for entry in json.loads(done.stdout)["table"]["entries"]] == list(weights())


def test_many_threads_read_at_once(file: Path, tmp_path: Path) -> None:
    networks = [torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3)) for _ in range(4)]
    threads = [threading.Thread(target=load_weights, args=(network, file)) for network in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for network in networks:
        assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in weights().items())
