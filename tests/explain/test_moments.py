"""A study in time is explained at one moment: the one asked for, or the clearest."""

from __future__ import annotations

import numpy as np
import pytest
from lookers import looker

from voxcam.core.answer import Answer
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Axis, Volume
from voxcam.errors import ExplainError
from voxcam.explain import explain
from voxcam.explain.moments import clearest_moment
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.tiling import Tiling


def _cine() -> Volume:
    """Five moments; in the third a bright ball is there."""
    voxels = np.zeros((16, 16, 16, 5), np.float32)
    voxels[5:9, 5:9, 5:9, 3] = 4.0
    return Volume(
        voxels, Geometry((16, 16, 16), np.eye(4)), "MR", fourth=Axis("time", "ms", (0, 40, 80, 120, 160))
    )


CLASSIFIER = {"tiling": Tiling(), "preprocessing": build_preprocessing(None)}


def test_all_moments_are_scored_and_the_clearest_is_explained() -> None:
    classifier = looker(**CLASSIFIER)
    explanation = explain(_cine(), classifier, moment="all", placement="usual")
    told = explanation.provenance["moments"]
    assert (told["axis"], told["unit"], told["shown"]) == ("time", "ms", 3)
    by_hand = [classifier.predict(_cine().moment(n)).scores["bright"] for n in range(5)]
    assert told["scores"]["bright"] == pytest.approx(by_hand)
    assert explanation.scores["bright"] == pytest.approx(by_hand[3])
    assert explanation.volume is not None
    assert explanation.volume.source["moment"]["value"] == 120


def test_one_moment_is_taken_as_asked_and_several_are_never_guessed() -> None:
    classifier = looker(**CLASSIFIER)
    first = explain(_cine(), classifier, moment=0, placement="usual")
    assert "moments" not in first.provenance
    assert first.scores["bright"] == pytest.approx(classifier.predict(_cine().moment(0)).scores["bright"])
    with pytest.raises(ExplainError, match="has 5 along time"):
        explain(_cine(), classifier)
    with pytest.raises(ExplainError, match="from 0 to 4"):
        explain(_cine(), classifier, moment=7)
    with pytest.raises(ExplainError, match="whole number"):
        explain(_cine(), classifier, moment="last")
    still = _cine().moment(3)
    assert explain(still, classifier, moment="all", placement="usual").scores == pytest.approx(
        explain(still, classifier, placement="usual").scores
    )


def test_clearest_is_by_the_answers_meaning() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.97, 0.03]])
    assert clearest_moment(scores, Answer("softmax", background=0)) == 1
    assert clearest_moment(scores, Answer("sigmoid")) == 2
    ages = np.array([[60.0], [64.0], [90.0], [66.0]])
    assert clearest_moment(ages, Answer("regression")) == 3


def test_progress_covers_scoring_and_explaining() -> None:
    seen = []
    explain(_cine(), looker(**CLASSIFIER), moment="all", progress=lambda d, t: seen.append((d, t)))
    assert (0, 5) in seen
    assert seen[-1][0] == seen[-1][1]
