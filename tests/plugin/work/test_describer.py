"""Models are looked at in a thread, and only the newest question is answered."""

from __future__ import annotations

import threading

import pytest
from bundles import write_bundle

from voxcam.model.fitness import fit_of
from voxcam.plugin.work import describer as module
from voxcam.plugin.work.bundles import Description, describe
from voxcam.plugin.work.describer import Describer
from voxcam.plugin.work.recent import remember


@pytest.fixture
def describer(qapp):
    found = Describer()
    yield found
    found.close()


def test_a_description_comes_from_another_thread(describer, tmp_path, qtbot, monkeypatch):
    model, threads = write_bundle(tmp_path / "tiny"), []
    monkeypatch.setattr(
        module, "describe", lambda place: threads.append(threading.current_thread()) or describe(place)
    )
    with qtbot.waitSignal(describer.described, timeout=10_000) as told:
        describer.describe(model)
    assert told.args[0].line == "2 classes, CT, version 1.2.3"
    assert threads != [threading.main_thread()]


def test_a_slow_answer_to_an_older_question_is_dropped(describer, tmp_path, qtbot, monkeypatch):
    release, asked = threading.Event(), []

    def slow(place):
        asked.append(place.name)
        if place.name == "slow":
            release.wait(10)
        return Description(place)

    monkeypatch.setattr(module, "describe", slow)
    told = []
    describer.described.connect(lambda found: told.append(found.place.name))
    describer.describe(tmp_path / "slow")
    describer.describe(tmp_path / "quick")
    qtbot.waitUntil(lambda: told == ["quick"], timeout=5_000)
    release.set()
    qtbot.wait(100)
    assert sorted(asked) == ["quick", "slow"]
    assert told == ["quick"]


def test_no_model_takes_back_the_question(describer, tmp_path, qtbot, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(module, "describe", lambda place: release.wait(10) and Description(place))
    told = []
    describer.described.connect(told.append)
    describer.describe(tmp_path)
    describer.describe(None)
    release.set()
    qtbot.wait(100)
    assert told == []


def test_the_fit_is_that_of_the_scan_s_own_values(describer, scan, tmp_path, qtbot):
    stated = {"input_unit": "HU", "input_range": [0, 100], "input_spacing_mm": [1, 1, 1]}
    model = describe(write_bundle(tmp_path / "tiny", stated=stated))
    with qtbot.waitSignal(describer.fitted, timeout=10_000) as told:
        describer.fit(model, scan)
    assert told.args[0] == fit_of(model.statement, scan, look=True)
    assert any("0 to 100 HU" in words for words in told.args[0].warnings), "its voxels were looked at"


@pytest.mark.parametrize("missing", ["model", "statement", "scan"])
def test_without_model_or_scan_nothing_is_known_at_once(describer, scan, tmp_path, missing, qtbot):
    told = []
    describer.fitted.connect(told.append)
    model = None if missing == "model" else describe(write_bundle(tmp_path / "tiny"))
    if missing == "statement":
        model = Description(tmp_path, wrong="broken")
    describer.fit(model, None if missing == "scan" else scan)
    assert told == [None]


def test_what_there_is_to_choose_from_is_told(describer, tmp_path, qtbot, monkeypatch):
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "config"))
    remember(tmp_path / "gone")
    with qtbot.waitSignal(describer.offered, timeout=10_000) as told:
        describer.offer()
    assert (told.args[0][0].title, told.args[0][0].there) == ("gone", False)
    assert len(told.args[0]) == 3


def test_a_bug_is_logged_and_told_as_not_known(describer, scan, tmp_path, qtbot, monkeypatch, caplog):
    model = describe(write_bundle(tmp_path / "tiny"))
    monkeypatch.setattr("voxcam.model.fitness.fit_of", lambda *asked, **how: 1 / 0)
    with qtbot.waitSignal(describer.fitted, timeout=10_000) as told:
        describer.fit(model, scan)
    assert told.args == [None]
    assert "looking at a model failed" in caplog.text


def test_a_closed_one_tells_nothing(describer, tmp_path, qtbot, monkeypatch):
    release, told = threading.Event(), []
    monkeypatch.setattr(module, "describe", lambda place: release.wait(10) and Description(place))
    describer.described.connect(told.append)
    describer.describe(tmp_path)
    describer.close()
    release.set()
    qtbot.wait(100)
    assert told == []
