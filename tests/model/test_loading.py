"""What a bundle must state is asked for, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bundles import DENSENET_3D, write_bundle

from voxcam.errors import ClassifierError
from voxcam.model.devices import choose_device
from voxcam.model.loading import load_classifier


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metadata": {"network_data_format": {}}}, "names no classes"),
        ({"classes": ["same", "same"]}, "not distinct"),
        ({"postprocessing": None}, "does not say how logits become probabilities"),
        ({"stated": {"background": 7}}, "background 7 is no index"),
        ({"stated": {"default_layer": "layer4"}}, "carries no map"),
        ({"stated": {"default_layer": "class_layers.out"}}, "carries no map"),
        ({"network": DENSENET_3D | {"in_channels": 4}}, "reads 4 channels"),
        ({"network_def": DENSENET_3D | {"growth_rate": 5}}, "does not fit the network"),
    ],
)
def test_a_bundle_that_does_not_fit_itself_is_refused_in_one_line(
    tmp_path: Path, changes: dict, says: str
) -> None:
    bundle = write_bundle(tmp_path / "bundle", changes.pop("network", None), **changes)
    with pytest.raises(ClassifierError, match=says) as error:
        load_classifier(bundle, device="cpu")
    assert "\n" not in str(error.value)


def test_what_is_stated_is_taken(tmp_path: Path) -> None:
    stated = {"background": 0, "default_layer": "features.denseblock1", "input_unit": "HU"}
    classifier = load_classifier(
        write_bundle(tmp_path / "bundle", classes=["none", "nodule"], stated=stated), "cpu"
    )
    assert classifier.classes == ("none", "nodule")
    assert (classifier.background, classifier.default_layer) == (0, "features.denseblock1")
    assert (classifier.modality, classifier.unit, classifier.activation) == ("CT", "HU", "softmax")
    assert not classifier.network.training
    assert classifier.tiling.size == (16, 16, 16)
    assert len(classifier.digests["fingerprint"]) == 64


def test_trusting_code_is_not_offered(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="not offered"):
        load_classifier(write_bundle(tmp_path / "bundle"), trust_code=True)


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ClassifierError, match="no device is called 'tpu'"):
        choose_device("tpu")
    with pytest.raises(ClassifierError, match="no device 'cuda:99'"):
        choose_device("cuda:99")
    with pytest.raises(ClassifierError, match="no device is called 'cuda:x'"):
        choose_device("cuda:x")
