"""What can be seen and heard of a widget: rows of the series tree, pixels, signals."""

from __future__ import annotations

import numpy as np
from qtpy.QtGui import QColor, QImage

from voxcam.plugin.docks.studies.series_rows import ROW
from voxcam.plugin.review.series_row import SeriesRow


def heard(signal):
    """A list that takes what the signal says from now on."""
    said = []
    signal.connect(lambda *what: said.append(what))
    return said


def listed(tree, parent=None):
    """What is in the tree, as nested lists of titles."""
    model = tree.model()
    parent = model.index(-1, -1) if parent is None else parent
    rows = [model.index(number, 0, parent) for number in range(model.rowCount(parent))]
    return [(row.data(), listed(tree, row)) if model.rowCount(row) else row.data() for row in rows]


def index_of(tree, key):
    """Where an unfolded series stands in the tree."""
    index = tree.model().index(0, 0)
    while not (isinstance(index.data(ROW), SeriesRow) and index.data(ROW).key == key):
        index = tree.indexBelow(index)
    return index


def picture_of(tree, index):
    """The pixels of a row as drawn: (rows, columns, 3)."""
    return pixels_of(tree.viewport().grab(tree.visualRect(index)).toImage())


def pixels_of(image):
    image = image.convertToFormat(QImage.Format_RGB888)
    bits = image.constBits()
    if not isinstance(bits, memoryview):  # PyQt
        bits = bits.asarray(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    return rows.reshape(image.height(), image.width(), 3).astype(int)


def count_of(pixels, colour):
    """How many pixels are of a colour."""
    return int((np.abs(pixels - np.array(QColor(colour).getRgb()[:3])).max(-1) <= 3).sum())
