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


def test_all_layers_at_the_bright_voxel(readout, scan, explained):
    reading = Reading(scan).explained_by(explained)
    reading = replace(reading, look=replace(reading.look, shown=frozenset({"nodule", "effusion"})))
    readout.show_point(reading, tuple(scan.geometry.to_world((10, 8, 15))))
    where, value, first, second = lines(readout)
    assert where == "R 25.0  A 13.0  S -35.0 mm"
    assert value == "900 HU   voxel 10, 8, 15"
    assert first == "nodule 3 logit units"
    assert second == "effusion 0 logit units"


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
    assert all(name in readout.evidence[0].toolTip() for name in names)
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
    assert lines(readout)[1:] == ["", "", ""]
