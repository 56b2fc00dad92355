"""Findings of a series, counted by weight."""

from __future__ import annotations

from tests.plugin.scanned import GAP, LOST, ODD, PLACE, series
from voxcam.plugin.review.badges import badges_of, texts_of
from voxcam.plugin.review.series_row import SeriesRow


def test_findings_that_stop_come_first_and_gaps_can_be_opened_all_the_same():
    row = SeriesRow(PLACE, series(1, findings=(ODD, GAP, ODD)))
    assert [(badge.stops, badge.count) for badge in row.badges] == [(True, 1), (False, 2)]
    assert row.badges[0].texts == ("2 slices are missing",)
    assert row.badges[1].texts == ("Slices <b>overlap</b>", "Slices <b>overlap</b>")
    assert row.can_be_opened
    stopped = SeriesRow(PLACE, series(1, findings=(GAP, LOST)))
    assert not stopped.can_be_opened
    assert stopped.details.startswith("cannot be opened")


def test_without_findings_there_is_no_badge():
    assert badges_of([]) == ()
    assert texts_of(badges_of([ODD, LOST])) == ["A file is damaged", "Slices <b>overlap</b>"]
