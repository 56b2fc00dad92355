"""A network in memory, or any function, is a classifier too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bundles import SCALING
from lookers import Looker

import voxcam
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ClassifierError, ExplainError

VOLUME = Volume(
    np.random.default_rng(0).normal(0, 300, (16, 16, 16)).astype(np.float32),
    Geometry((16, 16, 16), np.eye(4)),
    "CT",
    "HU",
)


def test_a_module_is_explained_as_a_bundle_is() -> None:
    steps = {"_target_": "Compose", "transforms": [SCALING]}
    network = Looker().train()
    mine = voxcam.classifier_of(
        network, preprocessing=steps, device="cpu", name="mine", classes=["x", "y", "z"], activation="sigmoid"
    )
    assert not network.training
    assert mine.name == "mine"
    with torch.no_grad():
        expected = network(torch.from_numpy((VOLUME.voxels + 1000) / 2000)[None, None])[0]
    explanation = voxcam.explain(VOLUME, mine)
    assert explanation.logits["x"] == pytest.approx(float(expected[0]), abs=1e-6)
    assert explanation.heatmap("x").layer == mine.default_layer
    assert len(mine.digests["weights"]) == 64


def test_a_function_is_scored_and_asked_but_not_looked_into() -> None:
    def brightest(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.flatten(1).mean(1), -x.flatten(1).mean(1)], dim=1)

    mine = voxcam.classifier_of(
        brightest, classes=["bright", "dark"], input_channels=1, input_shape=[16, 16, 16]
    )
    explanation = voxcam.explain(
        VOLUME, mine, ("occlusion",), options={"occlusion": {"size": 8, "stride": 8}}
    )
    assert explanation.logits["bright"] == pytest.approx(float(VOLUME.voxels.mean()), abs=1e-3)
    with pytest.raises(ExplainError, match="shows nothing .TorchScript or a function"):
        voxcam.explain(VOLUME, mine)
    with pytest.raises(ClassifierError, match="state input_channels and input_shape"):
        voxcam.classifier_of(brightest)


def test_a_network_that_is_no_classifier_is_refused() -> None:
    with pytest.raises(ClassifierError):
        voxcam.classifier_of(torch.nn.Conv3d(1, 2, 3), device="cpu")
    with pytest.raises(ClassifierError, match="expected a network or a function, found a str"):
        voxcam.classifier_of("resnet")
    with pytest.raises(ClassifierError, match="did you mean 'activation'"):
        voxcam.classifier_of(Looker(), device="cpu", activaton="softmax")
