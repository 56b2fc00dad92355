"""An explanation is shown on the study it was made of, and on no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from voxcam.core.explanation import Explanation
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import VoxcamError
from voxcam.plugin.opening import open_review


def _made_of(volume: Volume) -> Explanation:
    salt = "00ff"
    return Explanation(
        {"a": 1.0},
        {"a": 1.0},
        (),
        volume,
        provenance={"study": {"salt": salt, "digest": volume.digest(salt)}},
    )


@pytest.fixture
def volume() -> Volume:
    return Volume(np.arange(24.0).reshape(2, 3, 4), Geometry((2, 3, 4), np.eye(4)))


@pytest.mark.parametrize("kept", [True, False])
def test_another_study_is_refused_whether_or_not_the_volume_was_kept(volume: Volume, kept: bool) -> None:
    explanation = _made_of(volume) if kept else replace(_made_of(volume), volume=None)
    other = replace(volume, voxels=volume.voxels + 1)
    with pytest.raises(VoxcamError, match="another study"):
        open_review(other, explanation=explanation)


def test_without_a_digest_the_grids_decide(volume: Volume) -> None:
    explanation = replace(_made_of(volume), provenance={})
    other = replace(volume, geometry=Geometry((2, 3, 4), np.diag([2.0, 1.0, 1.0, 1.0])))
    with pytest.raises(VoxcamError, match="another study"):
        open_review(other, explanation=explanation)


def test_an_explanation_without_any_study_says_what_to_give(volume: Volume) -> None:
    with pytest.raises(VoxcamError, match="give the study"):
        open_review(explanation=replace(_made_of(volume), volume=None))
