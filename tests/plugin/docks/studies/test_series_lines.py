"""Rows of the series tree as they are drawn: pixels of real widgets."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QColor, QHelpEvent, QImage, QPainter
from qtpy.QtWidgets import QApplication, QStyleOptionViewItem, QToolTip

from tests.plugin.docks.seen import count_of, index_of, picture_of, pixels_of
from tests.plugin.scanned import GAP, ODD, PLACE, series, study_of
from voxcam.plugin.docks.theme import colours

pytestmark = pytest.mark.gui


def ink_of(tree, key):
    """How much ink the title of a row takes, on the theme's ground."""
    ground, text = (
        np.array(QColor(getattr(colours(), name)).getRgb()[:3]) for name in ("background", "text")
    )
    image = QImage(300, 60, QImage.Format_RGB888)
    image.fill(QColor(*ground.tolist()))
    option = QStyleOptionViewItem()
    option.rect = image.rect()
    painter = QPainter(image)
    tree.lines.paint(painter, option, index_of(tree, key))
    painter.end()
    title = pixels_of(image)[:22, 70:]
    return (np.abs(title - ground).sum(-1) / np.abs(text - ground).sum()).sum()


def test_badges_say_by_colour_whether_a_series_is_stopped(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, findings=(ODD,)), series(2, findings=(GAP,)), series(3))})
    qtbot.wait(20)
    drawn = {key: picture_of(tree, index_of(tree, key)) for key in ("key1", "key2", "key3")}
    warns = {key: count_of(pixels, colours().warning) >= 20 for key, pixels in drawn.items()}
    stops = {key: count_of(pixels, colours().error) >= 20 for key, pixels in drawn.items()}
    assert warns == {"key1": True, "key2": False, "key3": False}
    assert stops == {"key1": False, "key2": True, "key3": False}


def test_what_is_open_has_a_ring_and_what_is_on_the_screen_a_disc(three, qtbot):
    three.show_marks({"key1": "shown", "key2": "open"})
    qtbot.wait(20)
    drawn = [picture_of(three, index_of(three, f"key{n}")) for n in (1, 2, 3)]
    disc, ring, nothing = (count_of(pixels, colours().good) for pixels in drawn)
    assert disc > ring > nothing == 0


def test_the_one_on_the_screen_is_in_bold(tree, qtbot):
    tree.show_places({PLACE: study_of(series(1, "CT", "Thorax"), series(2, "CT", "Thorax"))})
    tree.show_marks({"key1": "shown", "key2": "open"})
    qtbot.wait(20)
    assert ink_of(tree, "key1") > 1.15 * ink_of(tree, "key2")


def test_the_tooltip_tells_all_a_line_each_and_takes_no_markup(tree, qtbot, monkeypatch):
    tree.show_places({PLACE: study_of(series(1, "CT", "Thorax", findings=(ODD, GAP)), series(2))})
    told = []
    monkeypatch.setattr(QToolTip, "showText", lambda at, text, *more: told.append(text))
    at = tree.visualRect(index_of(tree, "key1")).center()
    QApplication.sendEvent(tree.viewport(), QHelpEvent(QEvent.ToolTip, at, tree.viewport().mapToGlobal(at)))
    lines = told[0].partition(">")[2].removesuffix("</p>").split("<br>")
    assert lines == [
        "CT Thorax",
        "3 images",
        "512 × 512 × 3",
        "0.7 × 0.7 × 1.25 mm",
        "2 slices are missing",
        "Slices &lt;b&gt;overlap&lt;/b&gt;",
    ]
