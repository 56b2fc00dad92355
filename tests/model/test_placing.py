from __future__ import annotations

import numpy as np
import pytest
from lookers import Squinter, looker

from voxcam import cam
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError
from voxcam.model.placing import BACKGROUNDS, _backgrounds, landmarks_to_plant, placements
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.tiling import Tiling


def squinting(**changes):
    tiling = Tiling((24, 24, 24), 0.0)
    whole = {"network": Squinter().eval(), "tiling": tiling, "preprocessing": build_preprocessing(None)}
    return looker(**whole | changes)


def prepared(classifier, shape=(48, 48, 48)):
    """A volume with noise in one of its eight windows and next to nothing in the others."""
    draw = np.random.default_rng(0)
    voxels = draw.normal(size=shape) * 0.01
    voxels[24:, :24, 24:] = draw.normal(size=(24, 24, 24)) * 50
    geometry = Geometry(shape, np.eye(4))
    return classifier.prepare(Volume(voxels.astype(np.float32), geometry, "CT", "HU"))


def test_backgrounds_are_the_liveliest_windows():
    classifier = squinting()
    found = _backgrounds(classifier, prepared(classifier))
    assert found.shape == (BACKGROUNDS, 1, 24, 24, 24)
    assert found[0].std() > 40
    assert (found[1:].flatten(1).std(1) < 1).all()


def test_usual_rule_measures_nothing():
    classifier = squinting()
    ready = prepared(classifier)
    assert landmarks_to_plant(classifier, ready, ("look",), "usual") == 0
    assert placements(classifier, ready, ("look",), "usual") == {}


def test_landmarks_are_planted_once_and_told():
    classifier, told = squinting(), []
    ready = prepared(classifier)
    assert landmarks_to_plant(classifier, ready, ("look", "pool"), "measured") == 2 * cam.LANDMARKS
    first = placements(classifier, ready, ("look",), "measured", lambda done, total: told.append(done))
    assert told[-1] == cam.LANDMARKS
    assert first["look"].rule == "measured"
    assert np.allclose([offset for _, offset in first["look"].centres], 4.5, atol=0.6)
    assert landmarks_to_plant(classifier, ready, ("look",), "measured") == 0
    assert placements(classifier, ready, ("look",), "measured") == first


def test_what_cannot_be_measured_keeps_the_usual_rule_and_says_why():
    classifier = squinting(tiling=Tiling((4, 24, 24), 0.0))
    found = placements(classifier, prepared(classifier), ("look",), "measured")["look"]
    assert found.rule == "usual"
    assert found.centres == cam.usual_centres((4, 24, 24), (1, 6, 6))
    assert found.reason.startswith("the usual rule: expected 8 voxels or more along each axis")


def test_unknown_rule_is_refused():
    classifier = squinting()
    with pytest.raises(ExplainError, match="^no placement 'exact': there is measured, usual$"):
        landmarks_to_plant(classifier, prepared(classifier), ("look",), "exact")


def test_a_cancelled_measurement_leaves_nothing_behind():
    def stop(done, total):
        raise KeyboardInterrupt

    classifier = squinting()
    with pytest.raises(KeyboardInterrupt):
        placements(classifier, prepared(classifier), ("look",), "measured", stop)
    assert not classifier.placements
    assert not any(module._forward_hooks for module in classifier.network.modules())
