"""What is said of a study: rows of classes, ranges, notes, and the class that speaks loudest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.core.answer import Answer
from voxcam.core.volume import Volume
from voxcam.plugin.review.review import METHODS, Review


def test_rows_are_sorted_by_probability_and_say_when_there_is_nothing(review, explained):
    review.adopt(explained)
    assert [row.name for row in review.rows] == ["nodule", "effusion", "clear"]
    assert [row.evidence for row in review.rows][1:] == ["up to 0.5 logit units", "no positive evidence"]
    assert [row.empty for row in review.rows] == [False, False, True]


def test_classes_share_one_range_unless_told(review, explained):
    review.adopt(explained)
    top = explained.heatmap("nodule").largest
    assert review.style("effusion").high == pytest.approx(top)
    review.set_look(shared_range=False)
    assert review.style("effusion").high == pytest.approx(explained.heatmap("effusion").largest)
    assert review.style("clear").high == 1.0


def test_the_range_follows_the_method(review, explained):
    review.adopt(explained)
    review.set_look(method="layer-cam")
    assert review.style("nodule").high == pytest.approx(explained.heatmap("nodule", "layer-cam").largest)


def test_maps_of_the_network_as_a_whole_are_shown_at_any_layer(review, scan):
    both = explanation_of(scan, {"nodule": (0.9, np.ones(scan.shape))}, methods=("grad-cam",))
    whole = explanation_of(scan, {"nodule": (0.9, 2 * np.ones(scan.shape))}, ("occlusion",), "network")
    review.adopt(replace(both, heatmaps=both.heatmaps + whole.heatmaps))
    review.show_method("occlusion")
    assert review.heatmap("nodule").method == "occlusion"
    assert review.rows[0].explained
    assert review.style("nodule").high == pytest.approx(2)


def test_a_note_says_which_methods_are_one_map_and_what_memory_cost(review, explained):
    review.adopt(explained)
    assert review.reading.note == ""
    same = {"one_map": {"layer3": ["grad-cam", "hires-cam", "xgrad-cam"]}}
    review.adopt(replace(explained, provenance=same))
    assert review.reading.note == "At this layer grad-cam, hires-cam and xgrad-cam are one and the same map."
    review.adopt(replace(explained, provenance={"memory": ["too little memory: one sample at a time"]}))
    assert review.reading.note == "Too little memory: one sample at a time."


def test_the_hottest_class_is_the_one_with_the_highest_evidence(review, explained):
    review.adopt(explained)
    assert review.reading.hottest(["effusion", "clear"]).class_name == "effusion"
    assert review.reading.hottest(["clear"]) is None
    review.set_look(hidden=True)
    assert review.reading.hottest().class_name == "nodule"


def test_an_explanation_without_heatmaps_shows_its_scores_and_why(review, scan, explained):
    why = {"warnings": ["no heatmap can be placed: a step cannot be followed"]}
    review.adopt(replace(explained, heatmaps=(), provenance=why))
    first = review.rows[0]
    assert (first.name, first.score, first.explained) == ("nodule", "0.90", False)
    assert [row.evidence for row in review.rows] == ["not explained"] * 3
    assert review.visible == ()
    assert review.reading.note == "No heatmap can be placed: a step cannot be followed."
    assert review.style("nodule").high == 1.0


def test_a_value_has_no_bar_and_the_spread_of_an_ensemble_is_told(scan, explained):
    review = Review()
    review.open(scan)
    age = replace(
        explained,
        scores={"age": 63.2},
        logits={"age": 63.2},
        heatmaps=(replace(explained.heatmaps[0], class_name="age"),),
        answer=Answer("regression", unit="years"),
        spread={"age": 2.5},
        provenance={"warnings": ["voxels are 8 mm along k, the model was trained on 1 to 5 mm"]},
    )
    review.adopt(age)
    (row,) = review.rows
    assert (row.score, row.share) == ("63.2 years", None)
    assert row.evidence.endswith("; score ± 2")
    assert review.reading.note == "Voxels are 8 mm along k, the model was trained on 1 to 5 mm."


def test_thresholds_and_calls_are_in_the_rows(scan, explained):
    review = Review()
    review.open(scan)
    review.adopt(replace(explained, answer=Answer("sigmoid", thresholds={"nodule": 0.5, "effusion": 0.4})))
    rows = {row.name: row for row in review.rows}
    assert [rows[name].called for name in ("nodule", "effusion", "clear")] == [True, False, False]
    assert rows["clear"].threshold is None


def test_rows_of_hundreds_of_classes_by_several_methods_look_at_each_map_once(scan):
    """Each class finds its map in a table, not by a walk through all maps of all classes."""
    classes = {f"class {n}": (n / 400, np.full((2, 2, 2), n, np.float32)) for n in range(400)}
    coarse = Volume(np.zeros((2, 2, 2), np.float32), scan.geometry.coarsened((2, 2, 2)))
    review = Review()
    review.open(scan)
    review.adopt(replace(explanation_of(coarse, classes, METHODS), volume=scan))
    assert [row.largest for row in review.rows] == sorted(range(400), reverse=True)
