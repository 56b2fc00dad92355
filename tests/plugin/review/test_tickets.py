"""Who may bring a result: runs, readings and figures under way, late ones, unwanted ones, failed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.review.reviewed import another, heard
from voxcam.plugin.review.reading import Origin
from voxcam.plugin.review.review import Review
from voxcam.plugin.review.tickets import Tickets


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


def test_a_result_is_dropped_when_another_open_study_is_shown(review, scan, explained):
    first = review.reading
    review.open(another())
    ticket = review.start()
    review.show(first)
    assert not review.finish(ticket, explained)
    assert all(reading.explanation is None for reading in review.readings)


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


def test_a_method_that_failed_is_not_asked_again(review, explained):
    review.adopt(explained)
    review.show_method("legrad")
    review.fail(review.start(), "the network has no attention")
    assert "legrad" not in review.methods_to_run


def test_reading_a_scan_ends_a_run(review, scan, explained):
    run = review.start()
    reading = review.start_reading()
    assert not review.finish(run, explained)
    assert review.finish_reading(reading, [(scan, None)])


def test_a_reading_that_was_cancelled_opens_nothing(review, scan):
    lines = heard(review)
    ticket = review.start_reading()
    review.cancel()
    assert not review.finish_reading(ticket, [(another(), Origin(Path("a"), "key", "MR"))])
    assert review.volume is scan
    assert lines == [("Stopped: nothing was changed.", False)]


def test_a_figure_is_said_to_be_saved_though_it_was_cancelled(review):
    lines = heard(review)
    ticket = review.start_writing()
    assert review.running.words == "drawing the figure ..."
    review.cancel()
    review.finish_writing(ticket, "figure.png")
    assert review.running is None
    assert lines == [("Saved figure.png.", False)]


def test_a_figure_that_is_late_does_not_end_the_run_that_came_after_it(review):
    late = review.start_writing()
    current = review.start_reading()
    review.finish_writing(late, "figure.png")
    assert review.wants(current)


@pytest.mark.parametrize(
    ("ask", "signal"), [("ask_trust", "trust_asked"), ("ask_about_weights", "weights_asked")]
)
def test_a_question_ends_the_run_and_is_asked_only_while_it_is_wanted(review, ask, signal):
    asked, question = [], object()
    getattr(review, signal).connect(asked.append)
    getattr(review, ask)(review.start(), question)
    assert asked == [question]
    assert review.running is None
    late = review.start()
    review.cancel()
    getattr(review, ask)(late, question)
    assert asked == [question]
    assert review.running is None


def test_every_step_of_a_run_is_told(review):
    told = []
    review.running_changed.connect(lambda: told.append(review.running and review.running.words))
    ticket = review.start()
    review.progress(ticket, 1, 2)
    review.cancel()
    review.progress(ticket, 2, 2)
    review.fail(ticket)
    assert told == ["explaining ...", "explaining: 1 of 2", "stopping after this step", None]


def test_tickets_alone_know_no_study():
    with pytest.raises(TypeError, match="abstract"):
        Tickets()
