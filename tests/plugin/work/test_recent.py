"""The models chosen last are remembered in order, whole or not at all, and never where that is off."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from voxcam.plugin.work import recent as module
from voxcam.plugin.work.recent import MOST, forget, recent, remember


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "config"
    monkeypatch.setenv("VOXCAM_MODELS", str(place))
    return place


def test_the_newest_is_first_and_each_is_there_once(folder, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two.zip"
    for model in (one, two, one):
        remember(model)
    assert recent() == (one, two)
    assert forget(one) == (two,) == recent()


def test_a_relative_path_is_remembered_as_it_lies(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remember(Path("models/../nodule"))
    assert recent() == (tmp_path / "nodule",)


def test_a_link_keeps_its_own_name(folder, tmp_path):
    (tmp_path / "v2").mkdir()
    link = tmp_path / "newest"
    try:
        link.symlink_to(tmp_path / "v2")
    except OSError:
        pytest.skip("no links here")
    assert remember(link) == (link,)


def test_no_more_than_a_dozen_are_kept(folder, tmp_path):
    for n in range(MOST + 5):
        remember(tmp_path / str(n))
    assert [int(model.name) for model in recent()] == list(range(MOST + 4, 4, -1))


def test_only_paths_of_models_are_written_for_their_owner_alone(folder, tmp_path):
    remember(tmp_path / "one")
    (file,) = folder.iterdir()
    assert json.loads(file.read_text()) == {"format": 1, "models": [str(tmp_path / "one")]}
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_off_means_off(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXCAM_MODELS", "Off")
    monkeypatch.setattr(module.platformdirs, "user_config_path", lambda name: tmp_path)
    assert remember(tmp_path / "one") == ()
    assert recent() == ()
    assert list(tmp_path.iterdir()) == []


def test_without_a_word_it_is_the_users_own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("VOXCAM_MODELS", raising=False)
    monkeypatch.setattr(module.platformdirs, "user_config_path", lambda name: tmp_path / name)
    remember(tmp_path / "one")
    assert [file.name for file in (tmp_path / "voxcam").iterdir()] == ["recent_models.json"]


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "models": []}',
        '{"format": 1}',
        '{"format": 1, "models": "/a"}',
        "\x00" * 9,
    ],
)
def test_a_damaged_list_is_empty_and_is_written_anew(folder, tmp_path, damage):
    folder.mkdir()
    (folder / "recent_models.json").write_text(damage)
    assert recent() == ()
    assert remember(tmp_path / "one") == (tmp_path / "one",) == recent()


def test_entries_that_are_no_whole_paths_are_left_out(folder, tmp_path):
    folder.mkdir()
    document = {"format": 1, "models": ["relative", 3, None, str(tmp_path / "one")]}
    (folder / "recent_models.json").write_text(json.dumps(document))
    assert recent() == (tmp_path / "one",)


def test_a_write_that_fails_leaves_the_list_as_it_was_and_says_nothing(folder, tmp_path, monkeypatch):
    remember(tmp_path / "one")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    remember(tmp_path / "two")
    assert recent() == (tmp_path / "one",)
    assert [file.name for file in folder.iterdir()] == ["recent_models.json"]


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "file" / "below"))
    assert recent() == ()
    remember(tmp_path / "one")
    assert recent() == ()
