"""Preferences come from napari's settings, and are the defaults where those are none or make no sense."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import napari.settings
import pytest
from npe2 import PluginManifest

from voxcam.plugin.preferences import CHOICES, SECTIONS, Preferences, follow_preferences, preferences

MANIFEST = PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml")
DEFAULT = Preferences()


def settings_of(monkeypatch, **sections):
    settings = SimpleNamespace(**{name: SimpleNamespace(**entries) for name, entries in sections.items()})
    monkeypatch.setattr(napari.settings, "get_plugin_settings", lambda name: settings, raising=False)


def test_manifest_and_code_agree_on_every_one_its_choices_and_its_default():
    stated = {
        (section, name): entry
        for section, configuration in MANIFEST.contributions.configurations.items()
        for name, entry in configuration.properties.items()
    }
    assert {(SECTIONS[field.name], field.name) for field in fields(Preferences)} == set(stated)
    for (_, name), entry in stated.items():
        assert entry.default == getattr(DEFAULT, name), name
        if entry.enum:
            assert tuple(entry.enum) == CHOICES[name]
        else:
            assert entry.type == "boolean"
        assert entry.title
        assert entry.description.endswith(".")


def test_what_is_set_is_taken(monkeypatch):
    settings_of(
        monkeypatch,
        inference={"device": "cpu", "method": "layer-cam"},
        display={"convention": "neurological", "colours": "viridis", "drawn": "cells", "layered": True},
    )
    found = preferences()
    assert found == Preferences("cpu", "layer-cam", "neurological", "viridis", "cells", True, True)
    assert found.neurological


def test_what_is_no_choice_is_the_default(monkeypatch):
    settings_of(
        monkeypatch, inference={"device": "tpu", "method": 3}, display={"layered": "yes", "drawn": None}
    )
    assert preferences() == DEFAULT
    assert not DEFAULT.neurological


def test_an_older_napari_has_defaults(monkeypatch):
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    assert preferences() == DEFAULT


def test_without_napari_and_without_the_plugin_there_are_defaults(monkeypatch):
    def unknown(name):
        raise KeyError(name)

    monkeypatch.setattr(napari.settings, "get_plugin_settings", unknown, raising=False)
    assert preferences() == DEFAULT
    monkeypatch.setitem(sys.modules, "napari.settings", None)
    assert preferences() == DEFAULT


def test_a_change_in_napari_s_dialog_is_told_as_long_as_its_listener_lives():
    pytest.importorskip("napari", minversion="0.9")
    try:
        settings = napari.settings.get_plugin_settings("voxcam")
    except KeyError:
        pytest.skip("VoxCAM is not installed as a plugin")

    class Listener:
        def __init__(self):
            self.told = []

        def hear(self, found):
            self.told.append(found)

    listener = Listener()
    told = listener.told
    before = settings.display.drawn
    follow_preferences(listener.hear)
    try:
        settings.display.drawn = "contours"
        assert told[-1].drawn == "contours"
        count = len(told)
        del listener
        settings.display.drawn = "cells"
        assert len(told) == count
    finally:
        settings.display.drawn = before
