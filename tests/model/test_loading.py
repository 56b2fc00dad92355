"""What a bundle must state is asked for, never guessed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D, write_bundle
from safetensors.torch import load_file, save_file

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ClassifierError
from voxcam.model.devices import choose_device
from voxcam.model.loading import load_classifier
from voxcam.model.statement.beside import place_beside


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": ["same", "same"]}, "not distinct"),
        ({"stated": {"background": 7}}, "background 7 is no index"),
        ({"stated": {"default_layer": "layer4"}}, "carries no map"),
        ({"stated": {"default_layer": "class_layers.out"}}, "carries no map"),
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
    assert (classifier.answer.background, classifier.default_layer) == (0, "features.denseblock1")
    assert (classifier.statement.modality, classifier.statement.unit) == ("CT", "HU")
    assert classifier.answer.activation == "softmax"
    assert not classifier.network.training
    assert classifier.tiling.size == (16, 16, 16)
    assert len(classifier.digests["fingerprint"]) == 64


def test_what_is_not_stated_is_shown_as_such_and_not_guessed(tmp_path: Path) -> None:
    silent = {"metadata": {"network_data_format": {}}, "postprocessing": None, "stated": {}}
    classifier = load_classifier(write_bundle(tmp_path / "bundle", **silent), "cpu")
    assert classifier.classes == ("output 0", "output 1")
    assert classifier.answer.activation == "not stated"
    assert {"class names", "activation", "modality", "unit of the input"} <= set(classifier.statement.missing)


def test_the_statement_beside_a_bundle_goes_before_its_own_and_into_the_fingerprint(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    before = load_classifier(bundle, "cpu")
    place_beside(bundle).write_text(json.dumps({"temperature": 2.0, "classes": ["none", "nodule"]}))
    after = load_classifier(bundle, "cpu")
    assert (after.classes, after.answer.temperature) == (("none", "nodule"), 2.0)
    assert after.digests["fingerprint"] != before.digests["fingerprint"]
    assert after.digests["weights"] == before.digests["weights"]


def test_a_file_of_weights_and_a_line_of_text_answer_as_the_bundle_does(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    call = ", ".join(f"{key}={value!r}" for key, value in DENSENET_3D.items() if key != "_target_")
    whole = load_classifier(bundle, "cpu")
    weights = tmp_path / "loose.safetensors"
    weights.write_bytes((bundle / "models" / "model.safetensors").read_bytes())
    loose = load_classifier(weights, "cpu", network=f"DenseNet({call})")
    noise = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(loose.logits(noise), whole.logits(noise))
    assert loose.classes == ("output 0", "output 1")
    place_beside(weights).write_text(json.dumps({"network_def": DENSENET_3D, "classes": ["a", "b"]}))
    stated = load_classifier(weights, "cpu")
    assert stated.classes == ("a", "b")
    assert torch.equal(stated.logits(noise), whole.logits(noise))


def test_weights_without_a_network_and_a_network_for_a_bundle_are_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    with pytest.raises(ClassifierError, match="holds weights alone: name their network"):
        load_classifier(bundle / "models" / "model.safetensors", "cpu")
    with pytest.raises(ClassifierError, match="a bundle names its own"):
        load_classifier(bundle, "cpu", network="DenseNet(spatial_dims=3)")


def test_weights_that_changed_under_a_known_name_are_refused_until_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "register"))
    bundle = write_bundle(tmp_path / "bundle")
    first = load_classifier(bundle, "cpu").digests["weights"]
    weights = bundle / "models" / "model.safetensors"
    state = load_file(weights)
    state["class_layers.out.bias"] += 0.001
    save_file(state, weights)
    with pytest.raises(ClassifierError, match=f"'bundle 1.2.3' are not those seen before: .*{first}"):
        load_classifier(bundle, "cpu")
    now = hashlib.sha256(weights.read_bytes()).hexdigest()
    accepted = load_classifier(bundle, "cpu", accept_weights=f"sha256:{now}")
    assert accepted.digests["weights"] == now
    assert load_classifier(bundle, "cpu").digests["weights"] == now


def test_auto_takes_a_device_only_if_the_network_runs_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcam.model.devices._there", lambda: {"cpu": 1, "cuda": 1, "mps": 1})
    assert choose_device("auto").type == "cuda"
    assert choose_device("auto", lambda device: device.type == "mps").type == "mps"
    assert choose_device("auto", lambda device: False).type == "cpu"


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ClassifierError, match="no device is called 'tpu'"):
        choose_device("tpu")
    with pytest.raises(ClassifierError, match="no device 'cuda:99'"):
        choose_device("cuda:99")
    with pytest.raises(ClassifierError, match="no device is called 'cuda:x'"):
        choose_device("cuda:x")


def test_a_slice_inferer_means_a_volume_prepared_whole_and_else_slices_are_images(tmp_path: Path) -> None:
    steps = {"_target_": "Compose", "transforms": [{"_target_": "ScaleIntensityd", "keys": "image"}]}
    voxels = np.random.default_rng(0).normal(size=(32, 32, 4)).astype(np.float32) * np.arange(1, 5)
    volume = Volume(voxels, Geometry(voxels.shape, np.eye(4)), "CT", "HU")
    tops = {}
    for inferer in ({"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 2}, None):
        folder = tmp_path / str(bool(inferer))
        bundle = write_bundle(folder, DENSENET_2D, preprocessing=steps, inferer=inferer)
        image = load_classifier(bundle, "cpu").prepare(volume).image[0]
        tops[bool(inferer)] = image.amax(dim=(0, 1)).tolist()
    assert tops[False] == pytest.approx([1.0] * 4)
    whole = (voxels.max(axis=(0, 1)) - voxels.min()) / (voxels.max() - voxels.min())
    assert tops[True] == pytest.approx(whole.tolist(), abs=1e-6)
