"""How far a scan is, in words and on the bar."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QObject, Qt, Signal

from voxcam.plugin.docks.studies.scan_progress import ScanProgress

pytestmark = pytest.mark.gui


class Asking(QObject):
    cancel_asked = Signal()


@pytest.fixture
def asking():
    return Asking()


@pytest.fixture
def progress(qtbot, asking):
    progress = ScanProgress(asking.cancel_asked)
    qtbot.addWidget(progress)
    return progress


def test_files_are_met_first_and_then_done(progress):
    assert not progress.isVisible()
    progress.show_files(0, 1350)
    assert progress.words.text() == "1,350 files met"
    assert progress.bar.maximum() == 0  # Qt's bar of something without an end
    progress.show_files(412, 2000)
    assert progress.words.text() == "412 of 2,000 files"
    assert (progress.bar.value(), progress.bar.maximum()) == (412, 2000)
    progress.show_files(1, 1)
    assert progress.words.text() == "1 of 1 file"


def test_its_button_asks_for_the_end(progress, asking, qtbot):
    progress.show_files(1, 2)
    with qtbot.waitSignal(asking.cancel_asked):
        qtbot.mouseClick(progress.cancel, Qt.LeftButton)
