"""Each command asks the desk of the viewer in use, or says in one notification what is missing for it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import napari
import napari.utils.notifications
import pytest

from voxcam.plugin import commands
from voxcam.plugin.commands import ACTIONS, actions_of
from voxcam.plugin.keys import KEYS
from voxcam.plugin.review.look import DRAWN
from voxcam.plugin.review.review import Review

COMMANDS = {
    name: function
    for name, function in vars(commands).items()
    if inspect.isfunction(function) and not name.startswith("_") and function.__module__ == commands.__name__
}
# What a command of the palette asks of the desk.
ASKED = {
    "run": ("run",),
    "cancel": ("cancel",),
    "hide": ("hide_evidence",),
    "hottest": ("step_peak", 0),
    "next_peak": ("step_peak", 1),
    "previous_peak": ("step_peak", -1),
    "axial": ("show_plane", 0),
    "coronal": ("show_plane", 1),
    "sagittal": ("show_plane", 2),
    "radiological": ("set_convention", False),
    "neurological": ("set_convention", True),
    "smooth": ("set_drawn", "smooth"),
    "cells": ("set_drawn", "cells"),
    "contours": ("set_drawn", "contours"),
    "depth": ("set_depth", None),
    "export_figure": ("export_figure",),
    "browser": ("show_browser",),
    "planes": ("show_planes",),
    "plot": ("show_plot",),
    "keys": ("show_keys",),
}


class Desk:
    def __init__(self, review):
        self.review, self.asked = review, []

    def __getattr__(self, name):
        return lambda *what: self.asked.append((name, *what))


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(napari.utils.notifications, "show_info", lines.append)
    return lines


@pytest.fixture
def desk(monkeypatch, said):
    found, viewer = Desk(Review()), SimpleNamespace()
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    monkeypatch.setattr("voxcam.plugin.desk.desk_of", lambda asked: found if asked is viewer else None)
    return found


@pytest.fixture
def ready(desk, scan, explained, tmp_path):
    """A desk at which everything can be asked, but for cancelling."""
    desk.review.open(scan)
    desk.review.choose(tmp_path)
    desk.review.adopt(explained)
    return desk


def test_every_command_asks_the_desk_for_its_own_thing(ready, said):
    assert set(COMMANDS) - {"actions_of", "open_room"} == set(ASKED)
    for name, asked in ASKED.items():
        if name == "cancel":
            ready.review.start()
        COMMANDS[name]()
        assert ready.asked == [asked], name
        ready.asked.clear()
    assert said == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", "Before a run: open a scan and choose a classifier."),
        ("cancel", "Nothing is running."),
        ("hottest", "Open a scan first."),
        ("axial", "Open a scan first."),
        ("planes", "Open a scan first."),
        ("export_figure", "Open a scan first."),
    ],
)
def test_in_an_empty_room_it_says_once_what_is_missing(desk, said, name, words):
    COMMANDS[name]()
    assert said == [words]
    assert desk.asked == []


def test_without_evidence_it_says_so(desk, said, scan, explained):
    desk.review.open(scan)
    COMMANDS["hide"]()
    desk.review.adopt(replace(explained, heatmaps=()))
    COMMANDS["hide"]()
    assert said == [
        "There is no evidence yet: run the classifier first.",
        "There is no heatmap: scores alone were found.",
    ]
    assert desk.asked == []


def test_a_second_run_is_not_asked_for(ready, said):
    ready.review.start()
    COMMANDS["run"]()
    assert said == ["A run is under way."]
    assert ready.asked == []


def test_what_needs_nothing_is_done_in_an_empty_room(desk, said):
    for name in ("radiological", "neurological", "browser", "keys", "smooth"):
        COMMANDS[name]()
    assert [asked[0] for asked in desk.asked] == [
        "set_convention",
        "set_convention",
        "show_browser",
        "show_keys",
        "set_drawn",
    ]
    assert said == []


def test_without_a_window_it_says_so(monkeypatch, said):
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    for name in ("open_room", "run"):
        COMMANDS[name]()
    assert said == ["Open a napari window first."] * 2


def test_the_way_of_drawing_goes_round(ready):
    act = actions_of(ready)["next_drawn"]
    for drawn in DRAWN:
        ready.review.set_look(drawn=drawn)
        act()
    assert ready.asked == [("set_drawn", name) for name in (*DRAWN[1:], DRAWN[0])]


def test_a_class_is_turned_on_and_off_by_its_row_and_one_without_a_map_is_left(ready):
    toggle, review = actions_of(ready)["toggle_class"], ready.review
    assert [row.name for row in review.rows] == ["nodule", "effusion", "clear"]
    before = review.look.shown
    toggle(1)
    assert review.look.shown == before ^ {"effusion"}
    toggle(1)
    assert review.look.shown == before
    toggle(8)
    assert review.look.shown == before


def test_every_key_of_a_command_has_its_action(desk):
    assert set(ASKED) <= set(actions_of(desk)) == set(ACTIONS)
    assert set(ACTIONS) - set(KEYS) == {"radiological", "neurological", *DRAWN}


def test_importing_them_imports_nothing_heavy():
    code = (
        "import sys, voxcam.plugin.commands, voxcam.plugin.keys; "
        "print({name.partition('.')[0] for name in sys.modules} & "
        "{'torch', 'monai', 'napari', 'qtpy', 'PySide6', 'PyQt6', 'numpy', 'scipy'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.gui
def test_the_palette_opens_a_room_and_speaks_to_it(make_napari_viewer, scan, said, qtbot):
    """By napari's own registry of commands, as the palette and the menus do."""
    from napari._app_model import get_app_model
    from napari.plugins._npe2 import _npe2_manifest_to_actions
    from npe2 import PluginManifest

    from voxcam.plugin.desk import desk_of

    viewer = make_napari_viewer(show=True)
    app, manifest = get_app_model(), PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml")
    actions, _ = _npe2_manifest_to_actions(manifest)
    unregister = app.register_actions([action for action in actions if action.id not in app.commands])
    try:
        assert {f"voxcam.{name}" for name in (*ASKED, "open_room")} <= {action.id for action in actions}
        app.commands.execute_command("voxcam.open_room").result()
        room = desk_of(viewer)
        assert "VoxCAM" in viewer.window.dock_widgets
        app.commands.execute_command("voxcam.sagittal").result()
        assert said == ["Open a scan first."]
        room.review.open(scan)
        app.commands.execute_command("voxcam.neurological").result()
        assert room.review.neurological
        app.commands.execute_command("voxcam.sagittal").result()
        assert viewer.dims.order[0] == 2
        app.commands.execute_command("voxcam.open_room").result()
        assert len([name for name in viewer.window.dock_widgets if name.startswith("VoxCAM")]) == 1
    finally:
        unregister()
        room.runner.close()
        assert room.runner.wait(20)
