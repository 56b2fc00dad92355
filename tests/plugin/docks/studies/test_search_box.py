"""The keys of the search box."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from tests.plugin.docks.seen import heard
from voxcam.plugin.docks.studies.search_box import SearchBox

pytestmark = pytest.mark.gui


@pytest.fixture
def box(qtbot):
    box = SearchBox()
    qtbot.addWidget(box)
    box.show()
    qtbot.waitExposed(box)
    return box


def test_esc_clears_first_and_then_goes_on(box, qtbot):
    left = heard(box.left)
    qtbot.keyClicks(box, "mr")
    qtbot.keyClick(box, Qt.Key_Escape)
    assert (box.text(), len(left)) == ("", 0)
    qtbot.keyClick(box, Qt.Key_Escape)
    assert len(left) == 1


@pytest.mark.parametrize("key", [Qt.Key_Return, Qt.Key_Enter, Qt.Key_Down])
def test_enter_and_down_go_on_and_keep_the_words(box, qtbot, key):
    left = heard(box.left)
    qtbot.keyClicks(box, "mr")
    qtbot.keyClick(box, key)
    assert (box.text(), len(left)) == ("mr", 1)
