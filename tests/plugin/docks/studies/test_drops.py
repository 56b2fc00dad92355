"""Paths dropped on any widget, on a part that has its own use for them, and what is no path."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QMimeData
from qtpy.QtWidgets import QWidget

from tests.plugin.docks.dropping import drag, drop
from voxcam.plugin.docks.studies.drops import accept_drops

pytestmark = pytest.mark.gui


def test_any_widget_can_take_drops_of_what_is_meant(qtbot, tmp_path):
    widget, taken = QWidget(), []
    qtbot.addWidget(widget)
    accept_drops(widget, taken.append, lambda paths: paths[0].suffix == ".dcm")
    assert not drop(widget, tmp_path / "picture.png")
    assert drop(widget, tmp_path / "a.dcm")
    assert taken == [[tmp_path / "a.dcm"]]
    mime = QMimeData()
    mime.setText("words")
    assert not drag(widget, mime)


def test_a_part_that_takes_drops_of_its_own_leaves_us_what_is_meant(qtbot, tmp_path):
    class Canvas(QWidget):
        def dragEnterEvent(self, event):  # noqa: N802
            event.accept()

        def dropEvent(self, event):  # noqa: N802
            kept.append(event.mimeData().urls()[0].toLocalFile())

    window, taken, kept = QWidget(), [], []
    qtbot.addWidget(window)
    canvas = Canvas(window)
    canvas.setAcceptDrops(True)
    accept_drops(window, taken.append, lambda paths: paths[0].suffix == ".dcm")
    assert drop(canvas, tmp_path / "a.dcm")
    assert drop(canvas, tmp_path / "picture.png")
    assert taken == [[tmp_path / "a.dcm"]]
    assert kept == [str(tmp_path / "picture.png")]
