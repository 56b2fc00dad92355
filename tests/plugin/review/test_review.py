from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.core.answer import Answer
from voxcam.core.windows import Window
from voxcam.plugin.review.review import Review


@pytest.fixture
def review(scan):
    review = Review()
    review.open(scan)
    review.choose(Path("bundle"))
    return review


def heard(review):
    lines = []
    review.said.connect(lambda line, wrong: lines.append((line, wrong)))
    return lines


def test_a_run_needs_a_scan_and_a_classifier():
    review = Review()
    lines = heard(review)
    assert review.start() is None
    assert lines == [("Before a run: open a scan and choose a classifier.", True)]


def test_only_one_run_at_a_time(review):
    assert review.start() is not None
    assert review.start() is None


def test_the_result_of_a_run_is_shown(review, explained):
    ticket = review.start()
    review.progress(ticket, 3, 8)
    assert review.running.words == "explaining: 3 of 8"
    assert review.finish(ticket, explained)
    assert review.running is None
    assert review.visible == ("nodule",)
    assert (review.look.method, review.look.layer) == ("grad-cam", "layer3")


def test_how_long_a_run_will_take_stands_beside_how_far_it_is(review):
    ticket = review.start()
    review.forecast(ticket, "occlusion: 512 passes, about 40 s on cpu")
    review.progress(ticket, 3, 8)
    assert review.running.words == "explaining: 3 of 8 (occlusion: 512 passes, about 40 s on cpu)"
    review.forecast(ticket + 1, "of another run")
    assert "another" not in review.running.words


def test_a_result_for_another_study_is_dropped(review, scan, explained):
    ticket = review.start()
    review.open(scan)
    assert not review.wants(ticket)
    assert not review.finish(ticket, explained)
    assert review.explanation is None
    assert review.running is None


def test_a_late_result_does_not_end_the_run_that_came_after_it(review, scan, explained):
    late = review.start()
    review.open(scan)
    current = review.start()
    assert not review.finish(late, explained)
    review.fail(late, "too late")
    assert review.wants(current)


def test_a_result_by_a_classifier_no_longer_chosen_is_dropped(review, explained):
    ticket = review.start()
    review.choose(Path("another"))
    assert not review.finish(ticket, explained)
    assert review.explanation is None


def test_a_cancelled_run_changes_nothing_and_says_so(review, explained):
    lines = heard(review)
    ticket = review.start()
    review.cancel()
    assert review.running.words == "stopping after this step"
    assert not review.wants(ticket)
    review.fail(ticket)
    assert review.running is None
    assert lines == [("Stopped: nothing was changed.", False)]


def test_a_failed_run_says_why_and_keeps_what_was_there(review, explained):
    review.adopt(explained)
    lines = heard(review)
    review.fail(review.start(), "the scan does not fit")
    assert lines == [("the scan does not fit", True)]
    assert review.explanation is explained


def test_another_study_takes_the_evidence_away(review, scan, explained):
    review.adopt(explained)
    review.open(scan)
    assert review.explanation is None
    assert review.rows == ()
    assert review.visible == ()


def test_rows_are_sorted_by_probability_and_say_when_there_is_nothing(review, explained):
    review.adopt(explained)
    assert [row.name for row in review.rows] == ["nodule", "effusion", "clear"]
    assert [row.evidence for row in review.rows][1:] == ["up to 0.5 logit units", "no positive evidence"]
    assert [row.empty for row in review.rows] == [False, False, True]


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


def test_a_method_that_failed_is_not_asked_again(review, explained):
    review.adopt(explained)
    review.show_method("legrad")
    review.fail(review.start(), "the network has no attention")
    assert "legrad" not in review.methods_to_run


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


def test_colours_differ_between_classes_and_can_be_chosen(review, explained):
    review.adopt(explained)
    assert len({row.colours for row in review.rows}) == 3
    review.colour("nodule", "signed")
    style = review.style("nodule")
    assert style.low == -style.high
    with pytest.raises(ValueError, match="no colours"):
        review.colour("nodule", "rainbow")


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


def test_the_window_is_told(review):
    told = []
    review.window_changed.connect(lambda: told.append(review.window))
    review.set_window(Window(-600, 1500, "lung"))
    assert told == [Window(-600, 1500, "lung")]


def test_reading_a_scan_ends_a_run(review, scan, explained):
    run = review.start()
    reading = review.start_reading()
    assert not review.finish(run, explained)
    assert review.finish_reading(reading, [(scan, None)])


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
