from __future__ import annotations

import pytest

from voxcam.plugin.review.look import Look, Own, Running, duration


def test_what_is_left_is_said_once_it_is_no_guess():
    work = Running("explaining").at(0, 20, 100.0).at(1, 20, 100.5)
    assert work.words == "explaining: 1 of 20"
    work = work.at(4, 20, 104.0)
    assert work.left_s == pytest.approx(16.0)
    assert work.words == "explaining: 4 of 20, about 16 s left"


def test_another_count_begins_anew():
    work = Running("explaining").at(0, 8, 0.0).at(4, 8, 8.0).at(0, 100, 9.0)
    assert work.left_s is None
    assert work.at(50, 100, 19.0).left_s == pytest.approx(10.0)


def test_a_forecast_stands_beside_what_is_left():
    work = Running("explaining", forecast="512 passes").at(0, 4, 0.0).at(2, 4, 400.0)
    assert work.words == "explaining: 2 of 4, about 7 min left (512 passes)"


def test_durations_in_words():
    assert [duration(s) for s in (0.2, 4.4, 89, 95, 600)] == ["1 s", "4 s", "89 s", "2 min", "10 min"]


def test_a_class_has_its_own_or_all_classes_look():
    look = Look(threshold=0.1, opacity=0.7, own={"a": Own(0.5, 0.2)})
    assert (look.of("a"), look.of("b")) == (Own(0.5, 0.2), Own(0.1, 0.7))
