"""A study's scores come from its windows by a stated rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D, write_bundle

from voxcam.core.geometry import Geometry
from voxcam.core.volume import SEQUENCE, Axis, Volume
from voxcam.errors import Cancelled, ClassifierError
from voxcam.model.classifier import Classifier
from voxcam.model.loading import load_classifier
from voxcam.model.statement import Statement


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_classifier(write_bundle(tmp_path_factory.mktemp("bundles") / "tiny"), device="cpu")


@pytest.fixture
def scan() -> Volume:
    voxels = np.random.default_rng(1).normal(0, 300, (30, 34, 28)).astype(np.float32)
    return Volume(voxels, Geometry(voxels.shape, np.diag([2.0, 2.0, 2.0, 1.0])), "CT", "HU")


def test_scores_are_those_of_the_network_run_by_hand(classifier: Classifier, scan: Volume) -> None:
    image = torch.from_numpy((scan.voxels + 1000) / 2000)[None, None]
    logits = []
    for i in (0, 8, 14):
        for j in (0, 8, 16, 18):
            for k in (0, 8, 12):
                with torch.no_grad():
                    logits.append(classifier.network(image[:, :, i : i + 16, j : j + 16, k : k + 16])[0])
    by_hand = torch.softmax(torch.stack(logits), dim=1)
    windows = classifier.predict(scan).windows
    assert windows is not None
    assert np.allclose(windows.scores, by_hand, atol=1e-5)
    first = (np.array([16, 16, 16]) - 1) / 2 * 2.0
    assert np.allclose(windows.centres_mm[0], first)
    assert np.allclose(windows.centres_mm[-1], first + 2 * np.array([14, 18, 12]))


def test_the_rule_of_each_activation(classifier: Classifier, scan: Volume) -> None:
    prepared = classifier.prepare(scan)
    logits = np.zeros((len(classifier.tiling.starts(scan.shape)), 2), np.float32)
    logits[3], logits[5] = (1.0, 4.0), (2.0, 4.5)
    with_background = replace(classifier, statement=_answering(classifier, background=0)).judged(
        logits, prepared
    )
    assert with_background.logits == {"class 0": 1.0, "class 1": 4.0}
    assert with_background.scores["class 1"] == pytest.approx(1 / (1 + np.exp(-3)))
    each = replace(classifier, statement=_answering(classifier, activation="sigmoid")).judged(
        logits, prepared
    )
    assert each.logits == {"class 0": 2.0, "class 1": 4.5}
    assert each.scores["class 0"] == pytest.approx(1 / (1 + np.exp(-2)))
    mean = classifier.judged(logits, prepared)
    assert sum(mean.scores.values()) == pytest.approx(1)
    n = len(logits)
    expected = ((n - 2) * 0.5 + 1 / (1 + np.exp(-3)) + 1 / (1 + np.exp(-2.5))) / n
    assert mean.scores["class 1"] == pytest.approx(expected)


def _answering(classifier: Classifier, **changes: object) -> Statement:
    statement = classifier.statement
    return replace(statement, answer=replace(statement.answer, **changes))


def test_a_scan_of_another_kind_is_refused_in_one_line(classifier: Classifier, scan: Volume) -> None:
    with pytest.raises(ClassifierError, match="expects modality CT, found MR"):
        classifier.predict(replace(scan, modality="MR"))
    with pytest.raises(ClassifierError, match="expects values in HU, found none stated"):
        classifier.predict(replace(scan, unit=""))


def test_progress_counts_windows_and_can_cancel(classifier: Classifier, scan: Volume) -> None:
    seen = []
    classifier.predict(scan, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 36)
    assert seen[-1] == (36, 36)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        classifier.predict(scan, progress=stop)


def test_an_answer_that_is_not_finite_is_no_result(classifier: Classifier, scan: Volume) -> None:
    broken = replace(classifier, network=_Wrong(torch.nan))
    with pytest.raises(ClassifierError, match="not finite"):
        broken.predict(scan)
    with pytest.raises(ClassifierError, match=r"expected \(windows, 2 classes\)"):
        replace(classifier, network=_Wrong(0.0, classes=5)).predict(scan)


class _Wrong(torch.nn.Module):
    def __init__(self, value: float, classes: int = 2) -> None:
        super().__init__()
        self.value, self.classes = value, classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x), self.classes), self.value)


def test_layers_are_listed_with_their_grid_in_one_window(classifier: Classifier) -> None:
    grids = {layer.name: layer.grid for layer in classifier.layers()}
    assert grids["features.conv0"] == (8, 8, 8)
    assert grids[classifier.default_layer] == (4, 4, 4)


def test_a_2d_network_reads_a_volume_slice_by_slice(tmp_path, scan: Volume) -> None:
    slices = {"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 2}
    activation = {
        "_target_": "Compose",
        "transforms": [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}],
    }
    bundle = write_bundle(tmp_path / "flat", DENSENET_2D, inferer=slices, postprocessing=activation)
    flat = load_classifier(bundle, device="cpu")
    prediction = flat.predict(scan)
    assert prediction.windows is not None
    assert prediction.windows.scores.shape == (28, 3)
    with torch.no_grad():
        image = torch.from_numpy((scan.voxels[:, :, 9] + 1000) / 2000)[None, None]
        by_hand = torch.sigmoid(flat.network(image))[0]
    assert np.allclose(prediction.windows.scores[9], by_hand, atol=1e-5)
    assert prediction.scores["class 1"] == pytest.approx(prediction.windows.scores[:, 1].max())
    assert np.allclose(prediction.windows.centres_mm[9], [29.0, 33.0, 18.0])


def test_a_volume_with_other_channels_than_the_network_reads_is_one_line(tmp_path, scan: Volume) -> None:
    four = load_classifier(write_bundle(tmp_path / "four", DENSENET_3D | {"in_channels": 4}), "cpu")
    with pytest.raises(ClassifierError, match="reads 4 channels, this volume gives 1 channel"):
        four.predict(scan)
    sequences = Volume(np.stack([scan.voxels] * 4, axis=-1), scan.geometry, "CT", "HU", fourth=Axis(SEQUENCE))
    assert set(four.predict(sequences).scores) == {"class 0", "class 1"}


def test_a_batch_that_is_too_large_is_halved(classifier: Classifier, scan: Volume) -> None:
    sizes = []

    class Greedy(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            if len(x) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return self.inner(x)

    greedy = replace(classifier, network=Greedy(classifier.network))
    assert greedy.predict(scan).scores == pytest.approx(classifier.predict(scan).scores, abs=1e-6)
    assert max(sizes) > 3
    with pytest.raises(RuntimeError, match="shape"):
        replace(classifier, network=_Shapeless()).predict(scan)


class _Shapeless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a bug with a shape")
