"""Thumbnails in the background: the picture, the order, what is dropped, and the end."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from builders import write_dicom_series

from voxcam import io
from voxcam.errors import ReadError
from voxcam.io import scan
from voxcam.plugin.work import thumbnails as work
from voxcam.plugin.work.thumbnails import Thumbnails

pytestmark = pytest.mark.gui


@pytest.fixture
def thumbnails(qapp):
    thumbnails = Thumbnails()
    yield thumbnails
    thumbnails.close()
    assert thumbnails.wait(30)


@pytest.fixture
def made(thumbnails):
    """What came back: {key: picture}, in order."""
    made = {}
    thumbnails.made.connect(lambda key, picture: made.update({key: picture}))
    return made


@pytest.fixture
def gated(monkeypatch):
    """Pictures that are made one by one as the gate is opened; the keys of those begun."""
    gate, begun = threading.Semaphore(0), []

    def thumbnail(series, size):
        begun.append(series.key)
        gate.acquire(timeout=10)
        return np.zeros((4, 4), np.uint8)

    monkeypatch.setattr(io, "thumbnail", thumbnail, raising=False)
    return gate, begun


def some(*keys):
    return [SimpleNamespace(key=key, format="dicom", kind="image", shape=(4, 4, 4)) for key in keys]


def test_the_picture_is_of_the_series_own_pixels(thumbnails, made, qtbot, tmp_path):
    voxels = np.zeros((60, 40, 3), np.int16)
    voxels[45:, :10] = 1000  # along i to the right, j downwards: upper right
    write_dicom_series(
        tmp_path, voxels, np.diag([-1, -1, 2, 1.0]), WindowCenter=500, WindowWidth=1000, RescaleIntercept=0
    )
    series = scan(tmp_path).series[0]
    thumbnails.want([series])
    qtbot.waitUntil(lambda: bool(made), timeout=20_000)
    picture = made[series.key]
    assert picture.width() / picture.height() == pytest.approx(60 / 40, rel=0.02)
    grey = lambda across, down: picture.pixelColor(  # noqa: E731
        round(across * (picture.width() - 1)), round(down * (picture.height() - 1))
    ).red()
    assert grey(0.95, 0.05) > 200
    assert max(grey(0.05, 0.05), grey(0.05, 0.95), grey(0.95, 0.95)) < 50


def test_a_colour_picture_keeps_its_colours(thumbnails, made, qtbot, monkeypatch):
    pixels = np.zeros((5, 7, 3), np.uint8)
    pixels[:, 4:] = (200, 100, 50)
    monkeypatch.setattr(io, "thumbnail", lambda series, size: pixels, raising=False)
    thumbnails.want(some("a"))
    qtbot.waitUntil(lambda: bool(made), timeout=10_000)
    assert made["a"].pixelColor(6, 4).getRgb()[:3] == (200, 100, 50)
    assert made["a"].pixelColor(0, 0).getRgb()[:3] == (0, 0, 0)


def test_what_is_wanted_now_goes_before_what_was_wanted(thumbnails, made, qtbot, gated):
    gate, begun = gated
    thumbnails.want(some("a", "b", "c"))
    qtbot.waitUntil(lambda: begun == ["a"])
    thumbnails.want(some("a", "x", "b"))  # scrolled on: c is out of sight, a is being made
    for _ in range(4):
        gate.release()
    qtbot.waitUntil(lambda: len(made) == 3)
    assert thumbnails.wait(10)
    assert begun == ["a", "x", "b"]
    assert list(made) == ["a", "x", "b"]


def test_cancelled_only_the_one_under_way_comes_and_more_may_be_wanted(thumbnails, made, qtbot, gated):
    gate, begun = gated
    thumbnails.want(some("a", "b"))
    qtbot.waitUntil(lambda: begun == ["a"])
    thumbnails.cancel()
    gate.release()
    assert thumbnails.wait(10)
    qtbot.waitUntil(lambda: list(made) == ["a"])
    thumbnails.want(some("b"))
    gate.release()
    qtbot.waitUntil(lambda: list(made) == ["a", "b"])


@pytest.mark.parametrize("error", [ReadError("damaged"), ValueError("a bug")])
def test_one_that_fails_is_told_as_none_and_the_next_is_made(thumbnails, made, qtbot, monkeypatch, error):
    def thumbnail(series, size):
        if series.key == "bad":
            raise error
        return np.zeros((4, 4), np.uint8)

    monkeypatch.setattr(io, "thumbnail", thumbnail, raising=False)
    thumbnails.want(some("bad", "good"))
    qtbot.waitUntil(lambda: len(made) == 2)
    assert made["bad"] is None
    assert made["good"].width() == 4


def test_what_would_be_read_whole_gets_none_if_it_is_large(thumbnails, made, qtbot, monkeypatch, gated):
    gate, begun = gated
    for _ in range(5):
        gate.release()
    monkeypatch.setattr(work, "LARGEST_BYTES", 1000)
    kinds = {"file": ("nifti", "image"), "drawn": ("dicom", "segmentation"), "slices": ("dicom", "image")}
    for number, side in enumerate((10, 5)):
        thumbnails.want(
            SimpleNamespace(key=f"{name} {side}", format=form, kind=kind, shape=(side,) * 3)
            for name, (form, kind) in kinds.items()
        )
        qtbot.waitUntil(lambda number=number: len(made) == 3 * (number + 1))
    assert {key for key, picture in made.items() if picture is None} == {"file 10", "drawn 10"}
    assert begun == ["slices 10", "file 5", "drawn 5", "slices 5"]


def test_closed_it_tells_nothing_and_ends(thumbnails, made, qtbot, gated):
    gate, begun = gated
    thumbnails.want(some("a", "b"))
    qtbot.waitUntil(lambda: begun == ["a"])
    thumbnails.close()
    gate.release()
    assert thumbnails.wait(10)
    thumbnails.want(some("c"))
    qtbot.wait(50)
    assert made == {}
    assert begun == ["a"]


def test_the_thread_ends_when_nothing_is_wanted(thumbnails, made, qtbot, monkeypatch):
    monkeypatch.setattr(io, "thumbnail", lambda series, size: np.zeros((4, 4), np.uint8), raising=False)
    thumbnails.want(some("a"))
    qtbot.waitUntil(lambda: bool(made))
    assert thumbnails.wait(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "voxcam thumbnails"]
