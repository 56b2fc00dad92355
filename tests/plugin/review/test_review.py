"""Studies that are open, the classifier, how evidence is looked at: what each verb changes and tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phantoms import explanation_of

from tests.plugin.review.reviewed import another, heard
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.plugin.review.reading import Origin, Reading


def test_another_study_takes_the_evidence_away(review, scan, explained):
    review.adopt(explained)
    review.open(scan)
    assert review.explanation is None
    assert review.rows == ()
    assert review.visible == ()


def test_hiding_everything_keeps_what_was_chosen(review, explained):
    review.adopt(explained)
    review.show_class("effusion")
    review.set_look(hidden=True)
    assert review.visible == ()
    review.set_look(hidden=False)
    assert review.visible == ("nodule", "effusion")


def test_turning_a_class_on_shows_it_though_all_was_hidden(review, explained):
    review.adopt(explained)
    review.set_look(hidden=True)
    review.show_class("effusion")
    assert review.visible == ("nodule", "effusion")


def test_a_second_explanation_keeps_method_and_classes_looked_at(review, scan, explained):
    review.adopt(explained)
    review.set_look(method="layer-cam", shown=frozenset({"effusion"}), threshold=0.3)
    review.adopt(
        explanation_of(scan, {"effusion": (0.2, np.ones(scan.shape)), "nodule": (0.4, np.ones(scan.shape))})
    )
    assert review.look.method == "layer-cam"
    assert review.visible == ("effusion",)
    assert review.look.threshold == 0.3


def test_a_layer_that_was_not_computed_waits_for_the_next_run(review, scan, explained):
    review.adopt(explained)
    lines = heard(review)
    review.show_layer("layer1")
    assert review.look.layer == "layer3"
    assert review.asked_layer == "layer1"
    assert lines == [("No maps at layer1 yet: press Run.", False)]
    ones = {"nodule": (0.9, np.ones(scan.shape))}
    review.adopt(explanation_of(scan, ones, layer="layer1"))
    assert review.look.layer == "layer1"


def test_a_method_that_was_not_computed_waits_for_the_next_run(review, scan, explained):
    review.adopt(explained)
    assert "occlusion" not in review.methods_to_run
    review.show_method("layer-cam")
    assert review.look.method == "layer-cam"
    lines = heard(review)
    review.show_method("occlusion")
    assert review.look.method == "layer-cam"
    assert lines[0][0].startswith("No maps by occlusion yet: press Run")
    assert review.methods_to_run[-1] == "occlusion"
    ones = {"nodule": (0.9, np.ones(scan.shape))}
    review.adopt(explanation_of(scan, ones, methods=("grad-cam", "occlusion")))
    assert review.look.method == "occlusion"


def test_colours_differ_between_classes_and_can_be_chosen(review, explained):
    review.adopt(explained)
    assert len({row.colours for row in review.rows}) == 3
    review.colour("nodule", "signed")
    style = review.style("nodule")
    assert style.low == -style.high
    with pytest.raises(ValueError, match="no colours"):
        review.colour("nodule", "rainbow")


def test_the_window_is_told(review):
    told = []
    review.window_changed.connect(lambda: told.append(review.window))
    review.set_window(Window(-600, 1500, "lung"))
    assert told == [Window(-600, 1500, "lung")]


def test_a_study_is_shown_again_as_it_was_left(review, scan, explained):
    review.adopt(explained)
    review.set_window(Window(-600, 1500, "lung"))
    review.show_class("effusion")
    review.go_to((3.0, 4.0, -50.0))
    first = review.reading
    review.open(another())
    assert (review.explanation, review.rows, review.visible) == (None, (), ())
    review.show(first)
    assert review.reading is first
    assert review.visible == ("nodule", "effusion")
    assert review.window == Window(-600, 1500, "lung")
    assert review.point_mm == (3.0, 4.0, -50.0)


def test_a_series_that_is_open_is_not_opened_twice(review, scan):
    origin = Origin(Path("a"), "key", "CT")
    review.open(another(), origin=origin)
    review.open(another((5, 5, 5)), origin=origin)
    assert len(review.readings) == 2
    assert review.opened("key") is review.reading
    assert review.volume.shape == (5, 5, 5)
    assert review.opened("unknown") is None


def test_closing_the_study_on_the_screen_shows_the_one_before(review, scan):
    first = review.reading
    review.open(another())
    review.close(review.reading)
    assert review.reading is first
    review.close(first)
    assert (review.volume, review.readings) == (None, ())
    assert review.missing == "Before a run: open a scan."


def test_closing_another_study_changes_nothing_on_the_screen_nor_the_run(review, scan, explained):
    first = review.reading
    review.open(another())
    ticket = review.start()
    review.close(first)
    assert review.volume.modality == "MR"
    assert review.wants(ticket)


def test_only_an_open_study_can_be_shown(review):
    with pytest.raises(ValueError, match="not open"):
        review.show(Reading(another()))


def test_peaks_are_stepped_through_round_and_round(review, scan):
    values = np.zeros(scan.shape)
    places = [(10, 8, 15), (30, 30, 4), (40, 10, 10)]
    for height, place in zip((3, 2, 1), places, strict=True):
        values[place] = height
    review.adopt(explanation_of(scan, {"nodule": (0.9, values)}))
    lines = heard(review)
    seen = [review.step_peak("nodule", by).point_mm for by in (0, 1, 1, 1, -1)]
    assert np.allclose(seen, [scan.geometry.to_world(places[n]) for n in (0, 1, 2, 0, 2)])
    assert lines[1] == ("nodule: peak 2 of 3, 2 logit units.", False)
    assert np.allclose(review.point_mm, seen[-1])


def test_a_class_of_its_own_is_not_touched_by_what_is_set_for_all(review, explained):
    review.adopt(explained)
    review.adjust("nodule", opacity=0.3)
    review.adjust(None, threshold=0.2, opacity=0.9)
    assert (review.style("nodule").threshold, review.style("nodule").opacity) == (0.0, 0.3)
    assert (review.style("effusion").threshold, review.style("effusion").opacity) == (0.2, 0.9)
    review.adjust_alike("nodule")
    assert review.style("nodule").opacity == 0.9


def labels(volume, away_mm=0.0):
    affine = np.array(volume.affine)
    affine[0, 3] += away_mm
    drawn = np.zeros(volume.shape, np.uint8)
    drawn[10:20, 10:20, 5:9] = 3
    return Volume(drawn, Geometry(volume.shape, affine), unit="label")


def test_labels_of_the_study_on_the_screen_are_outlined_on_it(review, scan):
    told = []
    review.mask_changed.connect(lambda: told.append(review.mask))
    mask = labels(scan)
    assert review.finish_reading(review.start_reading(), [(mask, None)])
    assert told == [mask]
    assert review.volume is scan
    assert review.running is None


def test_labels_of_another_place_are_a_study_of_their_own(review, scan):
    far = labels(scan, away_mm=400)
    assert review.finish_reading(review.start_reading(), [(far, None)])
    assert review.volume is far
    assert review.mask is None
