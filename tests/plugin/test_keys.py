"""Every key of the list does its thing once in a real window, on the picture and beside it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from voxcam.plugin.commands import ACTIONS
from voxcam.plugin.keys import KEYS, bind, grouped, keys_as_markdown, tip

OURS = {name: key for name, key in KEYS.items() if key.by == "room"}
SINGLES = [
    (name, n if key.each else None, one) for name, key in OURS.items() for n, one in enumerate(key.keys)
]
# Of the canvas, made in a way Qt has: "?" is typed with Shift.
TYPED = {"?": (Qt.Key_Question, Qt.ShiftModifier)}


def stroke(key):
    if key in TYPED:
        return TYPED[key]
    pressed = QKeySequence(key)[0]
    return pressed.key(), pressed.keyboardModifiers()


def press(widget, key):
    QTest.keyClick(widget, *stroke(key))


@pytest.fixture
def heard():
    return []


@pytest.fixture
def actions(heard):
    """Actions that give back something napari could call, as a command's may."""
    return {name: lambda *which, name=name: heard.append((name, *which)) or (lambda: 1 / 0) for name in OURS}


def wanted(name, which):
    return (name,) if which is None else (name, which)


# --- the list


def test_no_key_is_given_twice():
    every = [one for key in KEYS.values() for one in key.keys]
    assert len(every) == len(set(every))


def test_no_key_asks_for_what_nothing_does():
    """Three are the window's own; the rest are commands."""
    assert set(OURS) - set(ACTIONS) == {"cine", "window", "own_window"}


def test_the_sheet_groups_all_of_them_once():
    assert sorted(key.shown for keys in grouped().values() for key in keys) == sorted(
        key.shown for key in KEYS.values()
    )


def test_a_tooltip_names_the_key():
    assert tip("Run it", "run") == "Run it (Ctrl+Enter)"
    assert tip("Choose", "window") == "Choose (1 to 9)"
    assert tip("Help", "keys") == "Help (? or F1)"


def test_the_docs_get_every_key_with_its_words():
    table = keys_as_markdown()
    rows = [line for line in table.splitlines() if line.startswith("| <kbd>")]
    assert len(rows) == len(KEYS)
    assert "| <kbd>1</kbd> to <kbd>9</kbd> | Window of this number in the list |" in rows
    assert "| <kbd>Ctrl+0</kbd> | Fit the picture to the window (napari) |" in rows
    assert all(re.fullmatch(r"\|[^|]*\|[^|]*\|", line) for line in table.splitlines())


# --- a real window


@pytest.fixture
def window(make_napari_viewer, actions):
    viewer = make_napari_viewer(show=True)
    study = viewer.add_image(np.zeros((4, 5, 6), np.float32), name="study")
    bound = bind(viewer, actions)
    viewer.layers.selection.active = study
    yield viewer, bound
    bound.release()


def canvas_of(viewer, qtbot):
    window, native = viewer.window._qt_window, viewer.window._qt_viewer.canvas.native
    window.activateWindow()
    native.setFocus()
    qtbot.waitUntil(lambda: window.isActiveWindow() and native.hasFocus())
    return native


@pytest.mark.gui
def test_every_key_does_its_thing_once_while_the_study_is_selected(window, heard, qtbot):
    viewer, _ = window
    canvas = canvas_of(viewer, qtbot)
    assert isinstance(viewer.layers.selection.active, Image)
    for name, which, key in SINGLES:
        press(canvas, key)
        assert heard == [wanted(name, which)], key
        heard.clear()
    assert viewer.layers[0].mode == "pan_zoom", "2 would let the study be moved"
    assert viewer.dims.ndisplay == 2


@pytest.mark.gui
def test_every_key_does_its_thing_for_images_added_later_and_for_no_layer_at_all(window, heard, qtbot):
    viewer, _ = window
    later = viewer.add_image(np.zeros((4, 5, 6), np.float32), name="later")
    canvas = canvas_of(viewer, qtbot)
    for active in (later, None):
        viewer.layers.selection.active = active
        for name, which, key in SINGLES:
            press(canvas, key)
            assert heard == [wanted(name, which)], (active, key)
            heard.clear()


@pytest.mark.gui
def test_a_layer_that_is_drawn_on_keeps_its_own_keys(window, heard, qtbot):
    viewer, _ = window
    drawn = viewer.add_labels(np.zeros((4, 5, 6), np.uint8))
    viewer.layers.selection.active = drawn
    assert isinstance(drawn, Labels)
    canvas = canvas_of(viewer, qtbot)
    press(canvas, "2")
    assert drawn.mode == "paint"
    assert heard == []
    press(canvas, "J")
    assert heard == [("hottest",)]


@pytest.mark.gui
def test_in_a_dock_every_key_does_its_thing_once_whatever_has_the_focus(window, heard, qtbot):
    viewer, bound = window
    dock = QWidget()
    column = QVBoxLayout(dock)
    tree, box = QTreeWidget(), QComboBox()
    for letter in "axial coronal evidence".split():
        tree.addTopLevelItem(QTreeWidgetItem([letter]))
        box.addItem(letter)
    column.addWidget(tree)
    column.addWidget(box)
    bound.in_dock(dock)
    viewer.window.add_dock_widget(dock, name="dock", area="right")
    qtbot.waitExposed(viewer.window._qt_window)
    viewer.window._qt_window.activateWindow()
    for widget in (tree, box):
        widget.setFocus()
        qtbot.waitUntil(widget.hasFocus)
        for name, which, key in SINGLES:
            press(widget, key)
            assert heard == [wanted(name, which)], (widget, key)
            heard.clear()
    assert box.currentText() == "axial", "no letter was taken for a search in the list"


@pytest.mark.gui
def test_where_text_is_typed_letters_stay_text_and_keys_left_out_stay_the_docks(window, heard, qtbot):
    viewer, bound = window
    dock = QWidget()
    column = QVBoxLayout(dock)
    line, tree = QLineEdit(), QTreeWidget()
    column.addWidget(line)
    column.addWidget(tree)
    bound.in_dock(dock, but=("M", "0"))
    viewer.window.add_dock_widget(dock, name="dock", area="right")
    viewer.window._qt_window.activateWindow()
    line.setFocus()
    qtbot.waitUntil(line.hasFocus)
    QTest.keyClicks(line, "ace12?")
    assert line.text() == "ace12?"
    assert heard == []
    press(line, "Ctrl+Enter")
    assert heard == [("run",)]
    heard.clear()
    shortcuts = {key for key in ("M", "0", "A") for s in dock.children() if _is_shortcut(s, key)}
    assert shortcuts == {"A"}


def _is_shortcut(child, key):
    return hasattr(child, "key") and hasattr(child, "activated") and child.key() == QKeySequence(key)


@pytest.mark.gui
def test_no_key_is_one_of_napari_s_menus(window):
    """A shortcut of a menu goes first, or neither is done: both are bound to the window."""
    viewer, _ = window
    taken = {}

    def walk(menu):
        for action in menu.actions():
            for shortcut in action.shortcuts():
                taken[shortcut.toString()] = action.text()
            if action.menu():
                walk(action.menu())

    for action in viewer.window._qt_window.menuBar().actions():
        if action.menu():
            action.menu().aboutToShow.emit()
            walk(action.menu())
    assert "Ctrl+Shift+P" in taken
    assert {QKeySequence(one).toString() for _, _, one in SINGLES} & set(taken) == set()


@pytest.mark.gui
def test_released_keys_do_nothing_more(window, heard, qtbot):
    viewer, bound = window
    bound.release()
    canvas = canvas_of(viewer, qtbot)
    for _, _, key in SINGLES:
        if key not in ("1", "2"):
            press(canvas, key)
    assert heard == []
