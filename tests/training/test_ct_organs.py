from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training import reading
from training.ct_organs import card, judge, scans, train, views
from training.ct_organs.slices import Batch, Crops, cut, presence, window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxcam.model.classifier import Classifier

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "sample_scans" / "models" / "ct_organs_2d"
SERIES = ROOT / "sample_scans" / "ct_abdomen_dicom"
LABELS = ROOT / "sample_scans" / "ct_abdomen_labels.nii.gz"
LIVER, SPLEEN, AORTA, VERTEBRA = (
    scans.CLASSES.index(name) for name in ("liver", "spleen", "aorta", "vertebra")
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on shared cores run faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made_up_scan() -> scans.Scan:
    """40 x 30 x 3 voxels of 2 mm: a liver block at high i (the right), a one-pixel aorta, S1 behind."""
    labels = np.zeros((40, 30, 3), np.uint8)
    labels[24:36, 5:20, :] = 5
    labels[10, 10, :] = 52
    labels[18:22, 0:4, 0] = 26
    hu = np.where(labels > 0, 100, -50).astype(np.float32)
    return scans.Scan(
        "made-up",
        hu,
        scans.organ_masks(labels),
        scans.organ_masks(labels, scans.DOUBTFUL),
        np.zeros(len(scans.CLASSES), np.float32),
        2.0,
        np.diag([2.0, 2.0, 3.0, 1.0]),
    )


def whole_crop(
    scan: scans.Scan, k: int, centre: tuple[float, float], size: int
) -> tuple[torch.Tensor, np.ndarray]:
    image, labels = cut(scan, k, centre, np.array([[0, size, 0, size]]), 1.0)
    return image, labels[0]


def test_presence_labels_of_a_whole_slice_follow_the_label_map() -> None:
    labels = whole_crop(made_up_scan(), 1, (19.5, 14.5), 48)[1]
    assert labels[LIVER] == 1
    assert labels[SPLEEN] == 0
    assert labels[VERTEBRA] == 0
    assert np.isnan(labels[AORTA]), "4 mm2 of aorta are too little to say either way"


def test_a_crop_on_the_left_holds_no_liver_and_one_on_the_right_does() -> None:
    assert whole_crop(made_up_scan(), 1, (8, 12), 16)[1][LIVER] == 0
    assert whole_crop(made_up_scan(), 1, (30, 12), 16)[1][LIVER] == 1


def test_windows_of_one_crop_are_labelled_each_for_itself() -> None:
    windows = np.array(
        [[0, 48, 0, 48], [0, 20, 0, 48], [30, 40, 14, 28]]
    )  # crop pixel (4, 9) is voxel (0, 0)
    labels = cut(made_up_scan(), 1, (19.5, 14.5), windows, 1.0)[1]
    assert labels[:, LIVER].tolist() == [1, 0, 1]


def test_the_sacrum_makes_a_vertebra_doubtful_not_absent() -> None:
    assert np.isnan(whole_crop(made_up_scan(), 0, (19.5, 14.5), 48)[1][VERTEBRA])


def test_an_upright_crop_is_the_scan_itself_with_air_around() -> None:
    scan = made_up_scan()
    scan.hu[:] = np.random.default_rng(0).normal(size=scan.hu.shape)
    image, _ = whole_crop(scan, 2, (11.5, 9.5), 24)  # i 0..23, j -2..21
    assert np.allclose(image[:, 2:], scan.hu[:24, :22, 2], atol=1e-3)
    assert np.allclose(image[:, :2], -1024, atol=1e-3)


def test_a_box_counts_only_when_most_of_it_is_in_the_crop() -> None:
    areas, none = np.array([500.0, 700.0, 0.0], np.float32), np.zeros(3, np.float32)
    labels = presence(areas, none, np.full(3, 1000, np.float32), np.full(3, 0.6, np.float32))
    assert np.isnan(labels[0])
    assert labels[1:].tolist() == [1.0, 0.0]


def test_seeded_crops_repeat_and_another_seed_gives_others() -> None:
    big = made_up_scan()
    big = replace(big, hu=np.where(big.hu > 0, 100.0, 20.0).astype(np.float32))
    first, again, other = (Crops([big], 2.0, seed).batch(4, 24) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels.nan_to_num(-1), again.labels.nan_to_num(-1))
    assert not torch.equal(first.images, other.images)
    assert first.images.shape == (4, 1, 24, 24)
    assert torch.equal(first.windows, again.windows)
    assert 0 <= float(first.images.min()) <= float(first.images.max()) <= 1


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return reading.load(BUNDLE)


def test_the_judge_asks_the_bundle_as_a_user_does(shipped: Classifier) -> None:
    """Scaling, logits and map of `load_classifier` are those of training, done by hand here."""
    config = json.loads((BUNDLE / "configs" / "inference.json").read_text())
    network = train.build(config["network_def"])
    network.load_state_dict(load_file(BUNDLE / "models" / "model.safetensors"), strict=True)
    network.eval()
    scan = replace(made_up_scan(), spacing_mm=3.0, affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    view = views.whole_slices(scan)[1]
    image = window(torch.from_numpy(scan.hu[:, :, 1].copy()))[None, None]
    whole = judge.as_wholes(shipped)
    explanation = reading.explained(whole, view.volume, shipped.default_layer, shipped.classes)
    with torch.no_grad():
        assert np.allclose(reading.predicted(whole, [view.volume])[0], network(image)[0], atol=1e-5)
        maps = train.class_maps(network, image)[0]
    for c, heatmap in enumerate(explanation.heatmaps):
        assert np.allclose(heatmap.values[:, :, 0], maps[c] / maps[c].numel(), atol=1e-6)


def test_views_hold_the_organs_of_their_own_slice_in_their_own_place() -> None:
    scan = made_up_scan()
    for view in [*views.whole_slices(scan), *views.crops(replace(scan, hu=scan.hu + 200), 2.0)]:
        at = np.argwhere(np.asarray(view.mask(LIVER).voxels))
        index = np.linalg.solve(scan.affine, np.c_[view.volume.geometry.to_world(at), np.ones(len(at))].T)
        i, j, k = np.rint(index[:3]).astype(int)
        assert scan.organs[LIVER, i, j, k].all()
        assert set(k.tolist()) <= {view.place[1]}


def test_a_mean_over_organs_is_that_of_the_organs_asked_of() -> None:
    labels = np.array([[1, 1], [0, 1], [1, np.nan], [0, 1]], np.float32)
    margins = np.array([[2.0, 0], [1, 0], [3, 0], [2, 0]])
    said = judge.Answers(margins, labels, np.arange(4), {})
    assert judge.mean_auc(said, np.arange(4)) == pytest.approx(3.5 / 4), "the second is always there"
    hit, miss = (judge.Localisation(one, 0.0, 0.5, 0.1) for one in (True, None))
    said = replace(said, maps={(0, 0): hit, (2, 0): miss, (0, 1): hit, (1, 1): hit, (3, 1): hit})
    assert judge.mean_hits(said, np.arange(4)) == pytest.approx((0.5 + 1) / 2)
    found = judge.over_slices(said, judge.mean_hits)
    assert found.low <= found.value <= found.high


def test_shipped_weights_load_and_fit_the_size_limit(shipped: Classifier) -> None:
    weights = BUNDLE / "models" / "model.safetensors"
    assert shipped.classes == scans.CLASSES
    assert {value.dtype for name, value in load_file(weights).items() if "num_batches" not in name} == {
        torch.float32
    }
    assert weights.stat().st_size < 4e6
    assert "$" not in (BUNDLE / "configs" / "inference.json").read_text()


def test_the_shipped_map_points_at_organs_of_an_unseen_person_and_random_weights_do_not(
    shipped: Classifier,
) -> None:
    hu, affine = scans.dicom_series(SERIES)
    image = nib.as_closest_canonical(nib.load(LABELS))
    assert np.allclose(image.affine, affine, atol=0.01)
    hu, masks = hu[:, :, ::4], scans.organ_masks(np.asarray(image.dataobj)[:, :, ::4])
    needed = np.zeros(len(scans.CLASSES), np.float32)
    scan = scans.Scan("abdomen", hu, masks, np.zeros_like(masks), needed, float(affine[0, 0]), affine)
    some = views.crops(scan, judge.in_plane_mm(BUNDLE))
    trained = judge.on_views(judge.as_wholes(shipped), some)["mean"]
    drawn = reading.load_untrained(BUNDLE, 0)
    random = judge.on_views(judge.as_wholes(drawn), some)["mean"]
    assert trained["peak_in_mask_over_slices"]["value"] > 2.5 * trained["mask_share"]
    assert trained["energy_in_mask"] > 2 * trained["mask_share"]
    assert trained["auc_over_slices"]["value"] > 0.75
    assert random["peak_in_mask_over_slices"]["value"] < 1.6 * random["mask_share"]
    assert random["energy_in_mask"] < 1.6 * random["mask_share"]


def test_losses_of_a_crop_are_a_mean_over_what_is_known_of_it() -> None:
    network = train.build(train.NETWORK).eval()
    images = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    labels = torch.full((2, len(scans.CLASSES)), torch.nan)
    labels[1, :2] = torch.tensor([1.0, 0.0])
    losses = train.label_losses(network, [Batch(images, labels, torch.zeros(2, 0, 4), torch.zeros(2, 0, 7))])
    with torch.no_grad():
        probability = network(images)[1].sigmoid().double()
    assert len(losses) == 1, "of the first crop nothing is known"
    assert losses[0] == pytest.approx(
        float(-(probability[0].log() + (1 - probability[1]).log()) / 2), abs=1e-5
    )


def test_the_model_card_says_what_the_metadata_say() -> None:
    metadata = json.loads((BUNDLE / "configs" / "metadata.json").read_text())
    text = (BUNDLE / "docs" / "README.md").read_text()
    assert text == card.card(metadata["eval_metrics"])
    assert f"(version {metadata['version']})" in text
    assert metadata["version"] == list(metadata["changelog"])[-1]


def test_the_networks_input_range_is_the_windows() -> None:
    config = json.loads((BUNDLE / "configs" / "inference.json").read_text())
    step = next(s for s in config["preprocessing"]["transforms"] if s["_target_"] == "ScaleIntensityRanged")
    low, high = torch.tensor(step["a_min"]), torch.tensor(step["a_max"])
    assert float(window(low)) == step["b_min"]
    assert float(window(high)) == step["b_max"]
    assert float(window((low + high) / 2)) == pytest.approx((step["b_min"] + step["b_max"]) / 2)


def test_class_maps_average_to_the_networks_logits() -> None:
    network = train.build(train.NETWORK).eval()
    images = torch.rand(2, 1, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(images) - network.class_layers.out.bias
        assert torch.allclose(train.class_maps(network, images).mean((2, 3)), expected, atol=1e-5)


def test_unknown_windows_cost_nothing_and_heat_costs_only_where_the_organ_is_absent() -> None:
    loss, nowhere, somewhere = train.PlaceLoss(1), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    somewhere[0, 0, 1:4, 1:4] = 9

    def cost(maps: torch.Tensor, window: tuple[int, int, int, int], label: float) -> float:
        asked = torch.tensor([[window]]), torch.full((1, 1, 1), label)
        return float(loss(maps, Batch(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1), *asked)).detach())

    here, there = (0, 16, 0, 16), (16, 32, 16, 32)  # pixels; the heat lies in `here`
    assert cost(somewhere, here, float("nan")) == 0
    assert cost(somewhere, here, 1) < 0.01 < cost(nowhere, here, 1)
    assert cost(somewhere, here, 0) > 5 * cost(nowhere, here, 0)
    assert cost(somewhere, there, 0) == cost(nowhere, there, 0)
    assert cost(somewhere, there, 1) == cost(nowhere, there, 1)
    unknown = torch.full((3, 2), torch.nan)
    assert float(train.masked_loss(torch.zeros(3, 2), unknown)) == 0


def test_resampling_in_plane_leaves_the_slices_alone() -> None:
    scan = views.at_spacing(made_up_scan(), 4.0)
    assert scan.hu.shape == (20, 16, 3)
    assert np.allclose(np.diag(scan.affine), (4, 4, 3, 1))
