"""Outputs are read as they are meant, and a study's answer comes from its windows by a named rule."""

from __future__ import annotations

import numpy as np
import pytest

from voxcam.core.answer import ACTIVATIONS, AGGREGATES, Answer

LOGITS = np.array([[1.0, 4.0], [2.0, 4.5], [-1.0, 0.0]], dtype=np.float32)


def _sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def test_softmax_sigmoid_ordinal_and_values() -> None:
    assert Answer("softmax").scores(LOGITS)[0, 1] == pytest.approx(_sigmoid(3))
    assert Answer("sigmoid").scores(LOGITS)[0, 1] == pytest.approx(_sigmoid(4))
    assert Answer("ordinal").scores(LOGITS)[2, 0] == pytest.approx(_sigmoid(-1))
    assert np.array_equal(Answer("regression", unit="years").scores(LOGITS), LOGITS)
    assert np.array_equal(Answer().scores(LOGITS), LOGITS)


def test_a_temperature_divides_logits_before_the_activation_and_leaves_values_alone() -> None:
    assert Answer("softmax", temperature=2.0).scores(LOGITS)[0, 1] == pytest.approx(_sigmoid(1.5))
    assert Answer("sigmoid", temperature=0.5).scores(LOGITS)[0, 0] == pytest.approx(_sigmoid(2.0))
    assert np.array_equal(Answer("regression", temperature=2.0).scores(LOGITS), LOGITS)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature"):
            Answer("softmax", temperature=wrong)


def test_every_rule_from_windows_to_the_study() -> None:
    highest = Answer("sigmoid").of_study(LOGITS)
    assert highest[0].tolist() == [2.0, 4.5]
    assert highest[1][0] == pytest.approx(_sigmoid(2))
    clearest = Answer("softmax", background=0).of_study(LOGITS)
    assert clearest[0].tolist() == [1.0, 4.0], "its window is 3 logits above the background, the next 2.5"
    mean = Answer("softmax").of_study(LOGITS)
    assert mean[1][1] == pytest.approx(np.mean([_sigmoid(3), _sigmoid(2.5), _sigmoid(1)]), abs=1e-6)
    some = Answer("sigmoid", aggregate="noisy-or").of_study(LOGITS)
    p = 1 - np.prod([1 - _sigmoid(x) for x in LOGITS[:, 0]])
    assert some[1][0] == pytest.approx(p, abs=1e-6)
    assert _sigmoid(some[0][0]) == pytest.approx(p, abs=1e-5)
    assert set(AGGREGATES) == {"highest", "clearest", "mean", "noisy-or"}


def test_a_study_of_one_window_is_that_window_by_any_rule() -> None:
    for rule in AGGREGATES:
        logits, scores = Answer("sigmoid", aggregate=rule, background=0).of_study(LOGITS[:1])
        assert logits.tolist() == [1.0, 4.0]
        assert scores[1] == pytest.approx(_sigmoid(4))


def test_noisy_or_of_many_windows_does_not_underflow() -> None:
    logits, scores = Answer("sigmoid", aggregate="noisy-or").of_study(np.full((5000, 1), -9.0, np.float32))
    assert scores[0] == pytest.approx(1 - (1 - _sigmoid(-9)) ** 5000, rel=1e-4)
    assert np.isfinite(logits).all()
    certain = Answer("sigmoid", aggregate="noisy-or").of_study(np.full((300, 1), 40.0, np.float32))
    assert np.isfinite(certain[0]).all()


def test_words_never_round_to_certainty_and_say_what_a_score_is() -> None:
    sure = Answer("sigmoid")
    assert [sure.words(p) for p in (0.9999, 0.873, 0.0001)] == ["> 0.99", "0.87", "< 0.01"]
    assert Answer("regression", unit="years").words(63.21) == "63.2 years"
    assert Answer().words(1.25) == "1.25 raw output"
    assert sure.words(float("nan")) == "unknown"
    assert [Answer(kind).noun for kind in ACTIVATIONS] == [
        "probability",
        "probability",
        "probability",
        "value",
        "output",
    ]


def test_a_class_is_called_from_its_threshold_on() -> None:
    answer = Answer("sigmoid", thresholds={"nodule": 0.3, "mass": 0.9})
    assert answer.called({"nodule": 0.3, "mass": 0.8, "other": 1.0}) == ("nodule",)
    assert Answer("sigmoid").called({"nodule": 0.99}) == ()
