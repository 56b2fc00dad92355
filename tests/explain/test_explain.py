"""From a volume to evidence in the patient's millimetres, by networks that provably look at one thing."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from lookers import Looker, Squinter, looker
from scipy.spatial.transform import Rotation

import voxcam
from voxcam import cam
from voxcam.core.answer import Answer
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import Cancelled, ExplainError
from voxcam.explain import explain
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.tiling import Tiling


def _scan(orientation: str, tilt_deg: float = 0.0) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A scan in any orientation with a bright and a dark ball at known world points."""
    turns = {"RAS": (0, 0, 0), "LPS": (0, 0, 180), "SRA": (90, 90, 0), "ASL": (0, 90, 90)}[orientation]
    turn = Rotation.from_euler("xyz", turns, degrees=True) * Rotation.from_euler("y", tilt_deg, degrees=True)
    spacing = np.array([0.9, 1.1, 2.5])
    shape = (80, 60, 30)
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ np.diag(spacing)
    affine[:3, 3] = np.array([7.0, -60.0, 210.0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    geometry = Geometry(shape, affine)
    bright, dark = geometry.to_world([22, 20, 10]), geometry.to_world([58, 40, 20])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    world = geometry.to_world(index)
    voxels = np.zeros(shape, np.float32)
    voxels[np.linalg.norm(world - bright, axis=-1) < 6] = 100
    voxels[np.linalg.norm(world - dark, axis=-1) < 6] = -100
    return Volume(voxels, geometry, "CT", "HU"), bright, dark


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SRA", "ASL"])
@pytest.mark.parametrize("tilt", [0.0, 9.0])
def test_the_peak_lies_on_what_the_network_looks_at(orientation: str, tilt: float) -> None:
    volume, bright, dark = _scan(orientation, tilt)
    explanation = explain(volume, looker())
    cell = 4 * 1.5
    for name, truth in (("bright", bright), ("dark", dark)):
        peak = explanation.heatmap(name).peak_mm
        assert peak is not None
        assert np.abs(peak - truth).max() <= cell / 2 + 0.75
    assert explanation.heatmap("never").is_empty
    assert explanation.heatmap("never").summary == "no positive evidence"


@pytest.mark.parametrize("orientation", ["RAS", "SRA"])
def test_on_the_scans_own_grid_the_evidence_covers_the_same_voxels(orientation: str) -> None:
    volume, bright, _ = _scan(orientation)
    evidence = np.asarray(explain(volume, looker()).heatmap("bright").on(volume.geometry).voxels)
    assert evidence.shape == volume.shape
    inside = np.nan_to_num(evidence)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
    centre = (volume.geometry.to_world(index) * inside[..., None]).sum(axis=(0, 1, 2)) / inside.sum()
    assert np.abs(centre - bright).max() < 1.5


def test_a_volume_seen_whole_gives_exactly_the_maps_of_the_engine() -> None:
    rng = np.random.default_rng(0)
    volume = Volume(rng.normal(size=(16, 20, 24)).astype(np.float32), Geometry((16, 20, 24), np.eye(4)))
    classifier = looker(tiling=Tiling(), preprocessing=build_preprocessing(None))
    explanation = explain(volume, classifier, methods=("grad-cam", "layer-cam"), layers=("look", "pool"))
    maps = cam.class_maps(
        classifier.network,
        torch.from_numpy(volume.voxels)[None, None],
        ["look", "pool"],
        ["grad-cam", "layer-cam"],
    )
    for heatmap in explanation.heatmaps:
        number = classifier.classes.index(heatmap.class_name)
        engine = maps[heatmap.method, heatmap.layer][0, number].numpy()
        assert np.allclose(heatmap.values, engine, atol=1e-6)
        assert heatmap.evidence.geometry.same_grid(volume.geometry.coarsened(engine.shape))
    assert len(explanation.heatmaps) == 3 * 2 * 2
    assert explanation.windows is None


def test_scores_of_explain_and_predict_are_the_same() -> None:
    volume, _, _ = _scan("LPS")
    classifier = looker()
    explanation, prediction = explain(volume, classifier), classifier.predict(volume)
    assert explanation.scores == pytest.approx(prediction.scores, rel=1e-6)
    assert explanation.logits == pytest.approx(prediction.logits, rel=1e-6)
    assert np.allclose(explanation.windows.scores, prediction.windows.scores, atol=1e-6)


def test_a_2d_network_gives_one_map_over_all_slices() -> None:
    volume, bright, dark = _scan("ASL")
    flat = looker(2, tiling=Tiling((-1, -1, -1), flat_axis=2))
    explanation = explain(volume, flat)
    for name, truth in (("bright", bright), ("dark", dark)):
        peak = explanation.heatmap(name).peak_mm
        assert peak is not None
        assert np.abs(peak - truth).max() <= 3 + 3.0
    assert explanation.heatmap("bright").evidence.geometry.spacing_mm[2] == pytest.approx(1.5)


def test_classes_can_be_named_or_taken_from_the_top() -> None:
    volume, _, _ = _scan("RAS")
    classifier = looker()
    assert explain(volume, classifier, classes=["dark"]).explained == ("dark",)
    top = explain(volume, classifier, classes=2)
    ranked = sorted(top.scores, key=lambda name: -top.scores[name])
    assert set(top.explained) == set(ranked[:2])
    assert top.classes == classifier.classes


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"methods": ["gradcam"]}, "no method is called 'gradcam'.*did you mean 'grad-cam'"),
        ({"classes": ["brigth"]}, "no class is called 'brigth'.*did you mean 'bright'"),
        ({"layers": ["lock"]}, "no layer is called 'lock'.*'look'"),
        ({"layers": ["head"]}, "head"),
    ],
)
def test_an_unknown_name_is_one_line_that_names_what_there_is(asked: dict, says: str) -> None:
    volume, _, _ = _scan("RAS")
    with pytest.raises(ExplainError, match=says) as error:
        explain(volume, looker(), **asked)
    assert "\n" not in str(error.value)


def test_cancelling_stops_before_the_next_windows() -> None:
    volume, _, _ = _scan("RAS")
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        explain(volume, looker(), progress=stop)
    assert calls == [0]


def test_provenance_says_how_to_repeat_and_nothing_of_whom() -> None:
    volume, _, _ = _scan("RAS")
    provenance = explain(volume, looker(digests={"fingerprint": "f" * 64})).provenance
    assert provenance["classifier"]["fingerprint"] == "f" * 64
    assert provenance["preprocessing"][0].startswith("Orientation")
    assert provenance["tiling"]["window"] == [16, 16, 16]
    study = provenance["study"]
    assert study["digest"] == volume.digest(study["salt"])
    changed = volume.voxels.copy()
    changed[0, 0, 0] += 1
    assert study["digest"] != replace(volume, voxels=changed).digest(study["salt"])
    again = explain(volume, looker()).provenance["study"]
    assert again["digest"] != study["digest"], "a new salt each time: digests of one patient do not match up"


def test_an_explanation_knows_the_study_it_was_made_of() -> None:
    volume, _, _ = _scan("RAS")
    explanation = explain(volume, looker())
    assert explanation.was_made_of(volume) is True
    moved = np.array(volume.affine)
    moved[0, 3] += 1
    assert explanation.was_made_of(replace(volume, geometry=Geometry(volume.shape, moved))) is False
    assert replace(explanation, provenance={}).was_made_of(volume) is None


def test_the_verb_works_whether_or_not_its_module_was_imported() -> None:
    volume, _, _ = _scan("RAS")
    by_package = voxcam.explain(volume, looker(), classes=["bright"])
    assert by_package.scores == explain(volume, looker(), classes=["bright"]).scores


@pytest.mark.parametrize("orientation", ["RAS", "SRA"])
def test_evidence_lies_where_the_units_are_measured_to_look(orientation: str) -> None:
    volume, bright, _ = _scan(orientation)
    classifier = looker(network=Squinter().eval(), tiling=Tiling((24, 24, 24), 0.5))
    off = {}
    for rule in ("usual", "measured"):
        explanation = explain(volume, classifier, placement=rule)
        evidence = np.nan_to_num(np.asarray(explanation.heatmap("bright").on(volume.geometry).voxels))
        index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
        centre = (volume.geometry.to_world(index) * evidence[..., None]).sum(axis=(0, 1, 2)) / evidence.sum()
        off[rule] = float(np.linalg.norm(centre - bright))
    assert off["usual"] == pytest.approx(3 * 1.5 * np.sqrt(3), abs=1.5)
    assert off["measured"] < 1.5
    placed = explanation.provenance["placement"]["look"]
    assert placed["rule"] == "measured"
    assert np.allclose([offset for _, offset in placed["centres"]], 1.5 + 3, atol=0.6)


def test_placed_evidence_is_known_wherever_the_network_looked(tmp_path) -> None:
    volume, _, _ = _scan("RAS")
    classifier = looker(network=Squinter().eval(), tiling=Tiling((24, 24, 24), 0.5))
    explanation = explain(volume, classifier)
    usual = np.asarray(
        explain(volume, classifier, placement="usual").heatmap("bright").on(volume.geometry).voxels
    )
    seen = np.asarray(explanation.heatmap("bright").on(volume.geometry).voxels)
    assert np.array_equal(np.isfinite(seen), np.isfinite(usual))
    loaded = voxcam.load_explanation(explanation.save(tmp_path / "saved"))
    again = np.asarray(loaded.heatmap("bright").on(volume.geometry).voxels)
    np.testing.assert_allclose(again, seen, atol=1e-6)


def test_one_classifier_places_the_maps_of_every_volume_alike() -> None:
    classifier = looker(network=Squinter().eval(), tiling=Tiling((24, 24, 24), 0.5))
    first = explain(_scan("RAS")[0], classifier)
    second = explain(_scan("SRA")[0], classifier)
    assert first.provenance["placement"] == second.provenance["placement"]


def test_methods_that_ask_the_network_again_go_through_windows_and_slices() -> None:
    volume, bright, _ = _scan("RAS")
    methods = ("grad-cam", "occlusion", "ablation-cam", "score-cam", "guided-grad-cam")
    told: list[tuple[int, int]] = []
    said: list[str] = []
    explanation = explain(
        volume,
        looker(),
        methods,
        classes=("bright",),
        progress=lambda done, total: told.append((done, total)),
        options={"occlusion": {"size": 4}},
        announce=said.append,
    )
    windows = explanation.provenance["tiling"]["windows"]
    assert told[-1][0] == told[-1][1] > 20 * windows
    assert all(one[0] <= other[0] and one[1] == other[1] for one, other in itertools.pairwise(told))
    for method in methods:
        peak = explanation.heatmap("bright", method).peak_mm
        assert peak is not None, method
        assert np.abs(peak - bright).max() <= 6 + 1.5, method  # the ball's radius and a voxel
    (sentence,) = said
    assert f"score-cam: {2 * windows} passes" in sentence  # the layer has two channels
    assert "about" in sentence or "less than a second" in sentence
    assert "grad-cam:" not in sentence.replace("guided-grad-cam:", "")
    assert explanation.heatmap("bright", "occlusion").layer == "network"
    assert explanation.heatmap("bright", "score-cam").evidence.unit == ""
    assert explanation.heatmap("bright", "occlusion").evidence.unit == "logit"


def test_slices_are_explained_by_methods_that_ask_again() -> None:
    volume, bright, _ = _scan("RAS")
    classifier = looker(2, tiling=Tiling((-1, -1, 1), 0.0, 2))
    explanation = explain(volume, classifier, ("occlusion",), classes=("bright",), placement="measured")
    peak = explanation.heatmap("bright", "occlusion").peak_mm
    assert np.abs(peak - bright).max() <= 12


def test_running_out_of_memory_is_answered_and_noted() -> None:
    class Greedy(Looker):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().forward(x)

    volume, _, _ = _scan("RAS")
    plain = explain(volume, looker(), placement="usual")
    saved = explain(volume, looker(network=Greedy().eval()), placement="usual")
    assert plain.provenance["memory"] == []
    assert any("one sample at a time" in step for step in saved.provenance["memory"])
    for one, other in zip(plain.heatmaps, saved.heatmaps, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_methods_that_are_one_map_are_named() -> None:
    volume, _, _ = _scan("RAS")
    explanation = explain(volume, looker(), ("grad-cam", "hires-cam", "layer-cam"), placement="usual")
    assert explanation.provenance["one_map"] == {}  # a ReLU follows the layer

    class Open(Looker):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.look(self.pool(x)).flatten(2).mean(-1))

    explanation = explain(volume, looker(network=Open().eval()), ("grad-cam", "hires-cam"), placement="usual")
    assert explanation.provenance["one_map"] == {"look": ["grad-cam", "hires-cam"]}


def test_at_finer_layers_than_the_last_stage_the_usual_rule_stays() -> None:
    class Finer(Squinter):
        def __init__(self) -> None:
            super().__init__()
            self.fine = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(self.fine(x))

    classifier = looker(network=Finer().eval(), tiling=Tiling((24, 24, 24), 0.5))
    placed = explain(_scan("RAS")[0], classifier, layers=("fine", "look")).provenance["placement"]
    assert placed["fine"]["rule"] == "usual"
    assert "at the last stage alone" in placed["fine"]["reason"]
    assert placed["look"]["rule"] == "measured"


def test_evidence_for_a_value_is_in_its_unit() -> None:
    volume, _, _ = _scan("RAS")
    classifier = looker()
    answer = Answer("regression", unit="mm")
    values = replace(classifier, statement=replace(classifier.statement, answer=answer))
    heatmap = explain(volume, values, placement="usual").heatmap("bright")
    assert heatmap.evidence.unit == "mm"
    assert heatmap.summary.endswith(" mm")


def test_a_volume_smaller_than_a_window_is_warned_of() -> None:
    voxels = np.random.default_rng(0).normal(size=(16, 20, 12)).astype(np.float32)
    volume = Volume(voxels, Geometry(voxels.shape, np.eye(4)))
    told: list[str] = []
    whole = looker(preprocessing=build_preprocessing(None))
    explanation = explain(volume, whole, placement="usual", announce=told.append)
    (warning,) = explanation.provenance["warnings"]
    assert warning == "along k the prepared volume has 12 voxels, fewer than a window's 16: it sees padding"
    assert told == [f"looker: {warning}."]
