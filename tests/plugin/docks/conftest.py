from __future__ import annotations

import pytest

from tests.plugin.scanned import PLACE, series, study_of


@pytest.fixture
def tree(qtbot):
    """An empty series tree, shown."""
    from voxcam.plugin.docks.studies.series_tree import SeriesTree

    tree = SeriesTree()
    qtbot.addWidget(tree)
    tree.resize(260, 640)
    tree.show()
    qtbot.waitExposed(tree)
    return tree


@pytest.fixture
def three(tree):
    """A tree of one place with CT, MR and PT of one study."""
    tree.show_places({PLACE: study_of(series(1, "CT"), series(2, "MR", "T2 axial"), series(3, "PT"))})
    return tree
