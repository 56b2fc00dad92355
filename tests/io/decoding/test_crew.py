from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from coded_frames import coding_of, frame_of, grey, named
from mutants import mutants

from voxcam.io.decoding.codecs import decode
from voxcam.io.decoding.coding import KINDS, DecodeError
from voxcam.io.decoding.crew import Crew, crew

PIXELS = np.random.default_rng(0).integers(0, 4096, (64, 48)).astype(np.uint16)
CODE, CODING = imagecodecs.jpegls_encode(PIXELS), grey("4.80", PIXELS)
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture
def one():
    """A crew of one child."""
    crew = Crew(most=1, seconds=5)
    yield crew
    crew.close()


def test_fills_the_array_given(one):
    out = np.zeros((3, *PIXELS.shape), np.uint16)
    assert one.decode(CODE, CODING, out[1]).base is out
    np.testing.assert_array_equal(out, [np.zeros_like(PIXELS), PIXELS, np.zeros_like(PIXELS)])
    for wrong in (
        np.zeros((48, 64), np.uint16),
        np.zeros((64, 48), np.int16),
        np.zeros((48, 64), np.uint16).T,
    ):
        with pytest.raises(ValueError, match="contiguous"):
            one.decode(CODE, CODING, wrong)


def test_many_threads_share_few_children():
    names = ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "JPEG-LL.dcm"]
    work = [(frame_of(named(name)), coding_of(named(name))) for name in names] * 8
    crew = Crew(most=2)
    try:
        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(lambda job: crew.decode(*job), work))
        assert len(crew.pids()) == 2
    finally:
        crew.close()
    for pixels, job in zip(found, work, strict=True):
        np.testing.assert_array_equal(pixels, decode(*job))


def test_a_damaged_frame_costs_no_child(one):
    one.decode(CODE, CODING)
    before = one.pids()
    damaged = CODE[:40] + bytes(len(CODE) - 60) + CODE[-20:]
    with pytest.raises(DecodeError) as refused:
        one.decode(damaged, CODING)
    assert refused.value.kind == "damaged"
    np.testing.assert_array_equal(one.decode(CODE, CODING), PIXELS)
    assert one.pids() == before


@posix
def test_a_child_killed_at_its_work_is_replaced(one):
    one.decode(CODE, CODING)
    (pid,) = one.pids()
    os.kill(pid, signal.SIGSTOP)  # so that it is at work for as long as the test needs
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(DecodeError) as died:
        one.decode(CODE, CODING)
    killer.join()
    assert died.value.kind == "killed the decoder"
    np.testing.assert_array_equal(one.decode(CODE, CODING), PIXELS)
    assert one.pids() != [pid]


@posix
def test_a_child_that_died_idle_harms_no_frame(one):
    one.decode(CODE, CODING)
    (pid,) = one.pids()
    os.kill(pid, signal.SIGKILL)
    while one._free[0].alive:
        time.sleep(0.01)
    np.testing.assert_array_equal(one.decode(CODE, CODING), PIXELS)


@posix
def test_a_child_that_hangs_is_killed():
    crew = Crew(most=1, seconds=1)
    try:
        crew.decode(CODE, CODING)
        (pid,) = crew.pids()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DecodeError) as hung:
            crew.decode(CODE, CODING)
        assert hung.value.kind == "too slow"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        np.testing.assert_array_equal(crew.decode(CODE, CODING), PIXELS)
    finally:
        crew.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff" * 64,
        b"\0\0\0\x02" + b"\0" * 8 + b"{]",
        b"\0\0\0\x02" + b"\0" * 8 + b"[]",
        b"\0\0\0\x02" + b"\0" * 8 + b"{}",
        b'\0\0\0\x0b\0\0\0\0\0\0\0\x01{"kind":""}!',
    ],
)
def test_nonsense_for_an_answer_costs_the_child(one, answer, monkeypatch):
    program = f"import os, sys; os.read(0, 1); os.write(1, {answer!r}); sys.stdin.buffer.read()"
    with monkeypatch.context() as patch:
        patch.setattr("voxcam.io.decoding.member._COMMAND", (sys.executable, "-c", program))
        with pytest.raises(DecodeError, match="nonsense") as refused:
            one.decode(CODE, CODING)
    assert refused.value.kind == "killed the decoder"
    np.testing.assert_array_equal(one.decode(CODE, CODING), PIXELS)


def test_a_vast_frame_starts_no_child(one):
    with pytest.raises(DecodeError) as refused:
        one.decode(CODE, coding_of(named("MR_small_RLE.dcm"), rows=65_535, columns=65_535))
    assert refused.value.kind == "too large"
    assert one.pids() == []


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
def test_a_child_keeps_to_its_memory():
    program = (
        "from voxcam.io.decoding import child\n"
        "import numpy\n"
        "child.decode = lambda code, coding: numpy.ones(3 << 30, 'u1')\n"
        "child.main()\n"
    )
    crew = Crew(most=1, seconds=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxcam.io.decoding.member._COMMAND", (sys.executable, "-c", program))
        with pytest.raises(DecodeError) as refused:
            crew.decode(CODE, CODING)
    assert refused.value.kind == "too large"
    crew.close()


def test_a_child_ends_with_its_input_and_imports_little():
    program = "import sys, voxcam.io.decoding.child; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert not {"pydicom", "nibabel", "scipy", "torch", "PIL"} & set(done.stdout.split())
    child = [sys.executable, "-P", "-m", "voxcam.io.decoding.child"]
    assert subprocess.run(child, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode == 0


def test_close_ends_the_children_and_decode_begins_anew(one):
    one.decode(CODE, CODING)
    member = one._free[0]
    one.close()
    assert not member.alive
    assert one.pids() == []
    np.testing.assert_array_equal(one.decode(CODE, CODING), PIXELS)


def test_the_crew_of_the_process_is_one():
    assert crew() is crew()
    assert crew()._most == os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_children_of_its_own():
    program = (
        "import os, sys, pickle\n"
        "from voxcam.io.decoding.crew import crew\n"
        "code, coding = pickle.load(sys.stdin.buffer)\n"
        "first = crew().decode(code, coding); pids = set(crew().pids())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert not crew().pids()\n"
        "    assert (crew().decode(code, coding) == first).all() and not pids & set(crew().pids())\n"
        "    crew().close(); os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "assert (crew().decode(code, coding) == first).all() and pids == set(crew().pids())\n"
    )
    import pickle

    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps((CODE, CODING)), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


FUZZED = [
    "MR_small_RLE.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "JPEGLSNearLossless_16.dcm",
    "MR_small_jp2klossless.dcm",
]


@pytest.mark.parametrize("name", [*FUZZED, "htj2k"])
def test_mutants_end_as_pixels_or_as_one_line(name):
    if name == "htj2k":
        code, coding = imagecodecs.htj2k_encode(PIXELS, reversible=True), grey("4.201", PIXELS)
    else:
        code, coding = frame_of(named(name)), coding_of(named(name))
    for mutant in mutants(code, np.random.default_rng(4), 45):
        kind, message, pixels = ending(mutant, coding)
        assert kind in ("", *KINDS)
        assert "\n" not in message
        assert pixels is None or (pixels.shape, pixels.dtype) == (coding.shape, coding.dtype)


def ending(code, coding):
    """Kind, message and pixels that a frame ends as."""
    try:
        return "", "", crew().decode(code, coding)
    except DecodeError as refused:
        return refused.kind, str(refused), None
