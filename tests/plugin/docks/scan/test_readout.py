"""The block of values: what it says, and that it stays where and as large as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.core.volume import Axis
from voxcam.plugin.docks.scan.readout import Readout
from voxcam.plugin.review.reading import Reading

pytestmark = pytest.mark.gui


@pytest.fixture
def readout(qtbot):
    readout = Readout()
    qtbot.addWidget(readout)
    readout.resize(300, readout.sizeHint().height())
    readout.show()
    return readout


def lines(readout):
    return [label.text() for label in readout._labels]


def shown(readout):
    return [text for text in lines(readout) if text]


def test_all_layers_at_the_bright_voxel(readout, scan, explained):
    reading = Reading(scan).explained_by(explained)
    reading = replace(reading, look=replace(reading.look, shown=frozenset({"nodule", "effusion"})))
    readout.show_point(reading, tuple(scan.geometry.to_world((10, 8, 15))))
    assert shown(readout) == [
        "R 25.0  A 13.0  I 35.0 mm",
        "900 HU   voxel 10, 8, 15",
        "nodule 3 logit units",
        "effusion 0 logit units",
    ]


def of_many(scan, count):
    """A reading with so many classes on the screen, whose evidence is 1, 2, 3, ..."""
    names = {f"class of the name {n}": (0.9 - n / 20, np.full(scan.shape, 1.0 + n)) for n in range(count)}
    reading = Reading(scan).explained_by(explanation_of(scan, names))
    return replace(reading, look=replace(reading.look, shown=frozenset(names)))


def test_each_of_four_classes_is_whole_to_its_number_at_the_width_of_the_dock(readout, scan):
    readout.show_point(of_many(scan, 4), tuple(scan.geometry.centre_mm))
    classes = [label for label in readout.evidence if label.isVisible() and label.text()]
    assert [label.text().rsplit(" ", 1)[1] for label in classes] == ["1", "2", "3", "4"]
    for label in classes:
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
        assert readout.rect().contains(label.mapTo(readout, label.rect().bottomRight()))


def test_more_than_six_are_counted_and_all_are_in_the_tooltip(readout, scan):
    readout.show_point(of_many(scan, 6), tuple(scan.geometry.centre_mm))
    assert readout.evidence[5].text().endswith(" 6")
    readout.show_point(of_many(scan, 9), tuple(scan.geometry.centre_mm))
    assert readout.evidence[5].text() == "+ 4"
    assert readout.toolTip().splitlines()[8] == "class of the name 8 9 logit units"


def test_labels_of_the_readers_own_layers_stand_beside_the_classes(readout, scan, explained):
    reading = Reading(scan).explained_by(explained)
    readout.show_point(reading, tuple(scan.geometry.to_world((10, 8, 15))), 0, [("lobes", 3)])
    assert shown(readout)[2:] == ["nodule 3 logit units", "lobes 3"]


def test_the_same_place_is_told_anew_when_it_is_looked_at_otherwise(readout, scan, explained):
    reading = Reading(scan).explained_by(explained)
    readout.show_again(reading)
    assert shown(readout) == ["values under the mouse"]
    readout.show_point(reading, tuple(scan.geometry.to_world((10, 8, 15))))
    readout.show_again(replace(reading, look=replace(reading.look, hidden=True)))
    assert shown(readout) == ["R 25.0  A 13.0  I 35.0 mm", "900 HU   voxel 10, 8, 15"]


def test_it_never_changes_its_size(readout, scan):
    before = readout.sizeHint(), readout.minimumSizeHint()
    names = {f"a class with a rather long name, number {n}": (0.5, np.ones(scan.shape)) for n in range(9)}
    many = explanation_of(scan, names)
    reading = Reading(scan).explained_by(many)
    reading = replace(reading, look=replace(reading.look, shown=frozenset(names)))
    for point in (tuple(scan.geometry.centre_mm), (9e3, 0.0, 0.0), None):
        readout.show_point(reading, point)
        assert (readout.sizeHint(), readout.minimumSizeHint()) == before
    readout.show_point(reading, tuple(scan.geometry.centre_mm))
    assert all(name in readout.toolTip() for name in names)
    assert readout.minimumSizeHint().width() < 100


def test_the_moment_is_named(readout, scan):
    moments = np.stack([np.full(scan.shape, value, np.int16) for value in (5, 25)], axis=-1)
    volume = replace(scan, voxels=moments, fourth=Axis("time", "s", (0.0, 2.5)))
    readout.show_point(Reading(volume), tuple(scan.geometry.to_world((1, 2, 3))), 1)
    assert lines(readout)[1] == "25 HU   voxel 1, 2, 3   time 2.5 s (2 of 2)"


def test_beside_the_scan_and_without_one(readout, scan):
    readout.show_point(Reading(scan), (9e3, 0.0, 0.0))
    assert lines(readout)[1] == "outside the scan"
    readout.show_point(Reading(), (0.0, 0.0, 0.0))
    assert lines(readout)[0] == "values under the mouse"
    readout.show_point(Reading(scan), None)
    assert shown(readout) == ["values under the mouse"]
