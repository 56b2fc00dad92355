"""Scanning in the background: what comes back, in which thread, and how it is stopped."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time

import pytest
from builders import noise, write_dicom_series

from voxcam import io
from voxcam.io import Study
from voxcam.plugin.work.scanner import Scanner

pytestmark = pytest.mark.gui


@pytest.fixture
def scanner(qapp):
    scanner = Scanner()
    yield scanner
    scanner.close()
    assert scanner.wait(30)


@pytest.fixture
def heard(scanner):
    """What the scanner said, in order, each with the thread it was said in."""
    heard, here = [], threading.get_ident

    def note(what):
        return lambda *said: heard.append((what, *said, here()))

    for what in ("found", "progressed", "failed", "ended"):
        getattr(scanner, what).connect(note(what))
    return heard


@pytest.fixture
def endless(monkeypatch):
    """A scan that goes on until it is stopped; set when it began, and when it ended."""
    began, ended = threading.Event(), threading.Event()

    def scan(place, progress):
        try:
            for done in range(100_000):
                progress(done, 100_000)
                began.set()
                time.sleep(0.002)
        finally:
            ended.set()

    monkeypatch.setattr(io, "scan", scan, raising=False)
    return began, ended


def test_places_are_scanned_one_after_the_other_and_told_in_the_windows_thread(
    scanner, heard, qtbot, tmp_path
):
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        write_dicom_series(place, noise((6, 5, 4)))
    with qtbot.waitSignal(scanner.ended, timeout=20_000):
        scanner.scan([*places, places[0]])
        assert scanner.scanning
    assert not scanner.scanning
    found = [said for said in heard if said[0] == "found"]
    assert [said[1] for said in found] == places
    assert all(len(said[2].series) == 1 and said[2].found == 4 for said in found)
    assert heard[-1][0] == "ended"
    assert {said[-1] for said in heard} == {threading.get_ident()}


def test_progress_counts_files(scanner, heard, qtbot, tmp_path, monkeypatch):
    def scan(place, progress):
        for done in range(50):
            progress(done + 1, 50)
            time.sleep(0.005)
        return Study((), (), 0, 0, 0, 0)

    monkeypatch.setattr(io, "scan", scan, raising=False)
    with qtbot.waitSignal(scanner.ended, timeout=20_000):
        scanner.scan([tmp_path])
    told = [said[1:3] for said in heard if said[0] == "progressed"]
    assert told == sorted(told)
    assert {total for _, total in told} == {50}
    # Not with every file: the window has other things to do.
    assert 2 <= len(told) < 25


def test_what_a_scan_put_aside_from_garbage_collection_is_back_when_it_ends(
    scanner, qtbot, tmp_path, monkeypatch
):
    aside = []

    def scan(place, progress):
        for done in range(20):
            progress(done + 1, 20)
            aside.append(gc.get_freeze_count())
            time.sleep(0.005)
        return Study((), (), 0, 0, 0, 0)

    monkeypatch.setattr(io, "scan", scan, raising=False)
    with qtbot.waitSignal(scanner.ended, timeout=20_000):
        scanner.scan([tmp_path])
    assert max(aside) > 1000
    assert gc.get_freeze_count() == 0


def test_a_place_that_fails_is_told_in_a_line_and_the_next_is_scanned(scanner, heard, qtbot, tmp_path):
    good, gone = tmp_path / "good", tmp_path / "secret-name"
    write_dicom_series(good, noise((6, 5, 4)))
    with qtbot.waitSignal(scanner.ended, timeout=20_000):
        scanner.scan([gone, good])
    failed = [said for said in heard if said[0] == "failed"]
    assert len(failed) == 1
    assert failed[0][2] == gone
    assert "secret-name" not in failed[0][1]
    assert "\n" not in failed[0][1]
    assert [said[1] for said in heard if said[0] == "found"] == [good]


def test_a_bug_is_one_line_too(scanner, heard, qtbot, tmp_path, monkeypatch):
    def scan(place, progress):
        raise ZeroDivisionError("Doe^Jane")

    monkeypatch.setattr(io, "scan", scan, raising=False)
    with qtbot.waitSignal(scanner.ended, timeout=20_000):
        scanner.scan([tmp_path])
    (line,) = [said[1] for said in heard if said[0] == "failed"]
    assert "Doe" not in line
    assert "ZeroDivisionError" in line


def test_cancelled_it_stops_at_once_and_the_rest_is_forgotten(scanner, heard, qtbot, tmp_path, endless):
    began, ended = endless
    scanner.scan([tmp_path / "a", tmp_path / "b"])
    assert began.wait(10)
    with qtbot.waitSignal(scanner.ended, timeout=5000):
        scanner.cancel()
    assert ended.wait(10)
    assert scanner.wait(10)
    qtbot.wait(50)
    assert [said[0] for said in heard].count("ended") == 1
    assert not any(said[0] in ("found", "failed") for said in heard)


def test_after_a_cancel_it_scans_again(scanner, heard, qtbot, tmp_path, endless, monkeypatch):
    began, _ = endless
    scanner.scan([tmp_path / "a"])
    assert began.wait(10)
    scanner.cancel()
    monkeypatch.setattr(io, "scan", lambda place, progress: Study((), (), 0, 0, 0, 0), raising=False)
    with qtbot.waitSignal(scanner.found, timeout=5000) as caught:
        scanner.scan([tmp_path / "b"])
    assert caught.args[0] == tmp_path / "b"
    qtbot.waitUntil(lambda: not scanner.scanning)
    assert "failed" not in [said[0] for said in heard]


def test_places_may_be_added_while_it_scans(scanner, heard, qtbot, tmp_path, monkeypatch):
    go_on = threading.Event()

    def scan(place, progress):
        go_on.wait(10)
        return Study((), (), 0, 0, 0, 0)

    monkeypatch.setattr(io, "scan", scan, raising=False)
    scanner.scan([tmp_path / "a"])
    for _ in range(2):
        scanner.scan([tmp_path / "b"])
    with qtbot.waitSignal(scanner.ended, timeout=10_000):
        go_on.set()
    assert [said[1].name for said in heard if said[0] == "found"] == ["a", "b"]
    assert [said[0] for said in heard].count("ended") == 1


def test_the_end_of_what_was_asked_before_is_not_the_end(scanner, heard, qtbot, tmp_path, endless):
    began, _ = endless
    scanner.scan([tmp_path / "a"])
    assert began.wait(10)
    # As if it had come to the end of its list just before this place was added.
    scanner._told.emit(scanner._round, None, None)
    qtbot.wait(20)
    assert "ended" not in [said[0] for said in heard]


def test_closed_it_says_nothing_more_and_ends(scanner, heard, qtbot, tmp_path, endless):
    began, ended = endless
    scanner.scan([tmp_path])
    assert began.wait(10)
    qtbot.wait(20)
    heard.clear()
    scanner.close()
    assert ended.wait(10)
    assert scanner.wait(10)
    scanner.scan([tmp_path])
    qtbot.wait(50)
    assert not scanner.scanning
    assert heard == []


def test_python_ends_cleanly_while_a_closed_scanner_still_runs(tmp_path):
    code = f"""
import threading, time
from pathlib import Path
from qtpy.QtCore import QCoreApplication
app = QCoreApplication([])
from voxcam import io
from voxcam.plugin.work.scanner import Scanner
began = threading.Event()
def scan(place, progress):
    for done in range(100000):
        progress(done, 100000)
        began.set()
        time.sleep(0.002)
io.scan = scan
scanner = Scanner()
scanner.scan([Path({str(tmp_path)!r})])
began.wait(10)
scanner.close()
del scanner
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
