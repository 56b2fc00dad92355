"""Values at a point, against voxels that were planted and evidence in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import affine_of
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, Volume
from voxcam.plugin.review.look import Look
from voxcam.plugin.review.reading import Reading
from voxcam.plugin.review.values import evidence_at, values_at


def test_the_voxel_is_the_one_whose_box_holds_the_point():
    voxels = np.random.default_rng(0).integers(-1000, 1000, (9, 8, 7)).astype(np.int16)
    volume = Volume(voxels, Geometry(voxels.shape, affine_of((10, -5, 20))), "CT", "HU")
    for index in ((0, 0, 0), (8, 7, 6), (4, 2, 3)):
        point = volume.geometry.to_world(np.array(index) + np.array([0.4, -0.4, 0.3]))
        found = values_at(Reading(volume), tuple(point))
        assert (found.index, found.value) == (index, voxels[index])
        assert found.value_words == f"{voxels[index]} HU"


def test_outside_there_is_no_value_and_it_is_said():
    volume = Volume(np.ones((4, 4, 4)), Geometry((4, 4, 4), np.eye(4)))
    found = values_at(Reading(volume), (-0.6, 1, 1))
    assert (found.index, found.value, found.value_words) == (None, None, "")
    assert found.voxel_words == "outside the scan"
    assert values_at(Reading(volume), (-0.4, 1, 1)).index == (0, 1, 1)


def test_the_place_is_told_in_the_letters_of_the_world():
    volume = Volume(np.ones((4, 4, 4)), Geometry((4, 4, 4), np.eye(4)))
    assert values_at(Reading(volume), (23.42, 10.2, 240)).where_words == "R 23.4  A 10.2  S 240.0 mm"
    assert values_at(Reading(volume), (-51.6, -32.8, -240)).where_words == "L 51.6  P 32.8  I 240.0 mm"
    assert values_at(Reading(volume), (-0.02, 0, 0)).where_words == "R 0.0  A 0.0  S 0.0 mm"
    plate = replace(volume, geometry=Geometry((4, 4, 4), np.eye(4), "detector"))
    assert values_at(Reading(plate), (2, 1, 0)).where_words == "x 2.0  y 1.0 mm on the detector"
    unknown = replace(volume, geometry=Geometry((4, 4, 4), np.eye(4), "unknown"))
    found = values_at(Reading(unknown), (2, 1, 0))
    assert (found.where_words, found.voxel_words) == ("no size stated", "voxel 2, 1, 0")


def test_evidence_is_linear_between_units_and_is_of_the_shown_classes(scan):
    ramp = np.broadcast_to(np.arange(48.0)[:, None, None], scan.shape).copy()
    explanation = explanation_of(scan, {"a": (0.9, ramp), "b": (0.3, 2 * ramp), "c": (0.1, ramp)})
    reading = Reading(scan).explained_by(explanation)
    point = tuple(scan.geometry.to_world((10.25, 8, 15)))
    found = values_at(reading, point)
    assert [(one.class_name, one.value) for one in found.evidence] == [("a", pytest.approx(10.25, abs=1e-5))]
    assert found.evidence[0].words == "a 10.2 logit units"
    both = replace(reading, look=replace(reading.look, shown=frozenset("ab")))
    assert [one.value for one in values_at(both, point).evidence] == pytest.approx([10.25, 20.5], abs=1e-4)
    cells = replace(reading, look=replace(reading.look, drawn="cells"))
    assert values_at(cells, point).evidence[0].value == 10
    hidden = replace(reading, look=replace(reading.look, hidden=True))
    assert values_at(hidden, point).evidence == ()


def test_evidence_agrees_with_what_is_drawn_on_the_studys_grid(scan, explained):
    reading = Reading(scan, look=Look()).explained_by(explained)
    heatmap = reading.heatmap("nodule")
    drawn = np.asarray(heatmap.on(scan.geometry).voxels)
    for index in ((10, 8, 15), (12, 9, 14), (40, 30, 2)):
        at = evidence_at(heatmap, tuple(scan.geometry.to_world(index)))
        assert at == pytest.approx(drawn[index], abs=1e-5)


def test_what_the_network_did_not_see_is_not_seen(scan, explained):
    reading = Reading(scan).explained_by(explained)
    heatmap = reading.heatmap("nodule")
    part = replace(heatmap.evidence, voxels=np.full(heatmap.evidence.shape, np.nan, np.float32))
    explanation = replace(
        explained, heatmaps=tuple(replace(one, evidence=part) for one in explained.heatmaps)
    )
    found = values_at(Reading(scan).explained_by(explanation), tuple(scan.geometry.centre_mm))
    assert [one.words for one in found.evidence] == ["nodule not seen"]


def test_a_moment_a_colour_a_gap_and_a_finding():
    moments = np.stack([np.full((4, 4, 4), value) for value in (1.5, 2.5)], axis=-1)
    volume = Volume(moments, Geometry((4, 4, 4), np.eye(4)), empty=(2,))
    assert [values_at(Reading(volume), (1, 1, 1), moment).value for moment in (0, 1)] == [1.5, 2.5]
    assert values_at(Reading(volume), (1, 1, 2)).value_words == "not measured"
    picture = np.zeros((4, 4, 1), COLOUR)
    picture[1, 2, 0] = (10, 20, 30)
    found = values_at(Reading(Volume(picture, Geometry((4, 4, 1), np.eye(4), "detector"))), (1, 2, 0))
    assert found.value_words == "RGB 10, 20, 30"
    assert found.voxel_words == "pixel 1, 2"
    labels = np.zeros((2, 2, 2), np.uint8)
    labels[1, 0, 0] = 3
    mask = Volume(labels, Geometry((2, 2, 2), np.diag([2.0, 2, 2, 1])), unit="label")
    reading = Reading(volume, mask)
    assert values_at(reading, (2.4, 0.4, 0)).finding_words == "in finding 3"
    assert values_at(reading, (0, 0, 0)).finding_words == ""
    assert values_at(Reading(volume), (0, 0, 0)).finding is None


def test_without_a_study_there_is_nothing_to_ask():
    with pytest.raises(ValueError, match="no study"):
        values_at(Reading(), (0, 0, 0))
