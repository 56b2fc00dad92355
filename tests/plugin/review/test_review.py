from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.core.answer import Answer
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.plugin.review.reading import Origin, Reading
from voxcam.plugin.review.review import METHODS, Review


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


# --- several open studies


def another(shape=(9, 8, 7)):
    return Volume(np.zeros(shape, np.int16), Geometry(shape, np.eye(4)), "MR")


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


def test_studies_looked_at_long_ago_are_let_go_when_memory_is_short(monkeypatch):
    from voxcam.plugin.review import review as module

    review = Review()
    size = np.zeros((9, 8, 7), np.int16).nbytes
    monkeypatch.setattr(module, "KEPT_BYTES", 3 * size)
    volumes = [another() for _ in range(4)]
    for volume in volumes[:3]:
        review.open(volume)
    review.show(review.readings[0])  # looked at again: the second is now the oldest
    review.open(volumes[3])
    assert [one.volume for one in review.readings] == [volumes[2], volumes[0], volumes[3]]


def test_a_result_is_dropped_when_another_open_study_is_shown(review, scan, explained):
    first = review.reading
    review.open(another())
    ticket = review.start()
    review.show(first)
    assert not review.finish(ticket, explained)
    assert all(reading.explanation is None for reading in review.readings)


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
