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

from training.ct_organs import judge, scans, train
from training.ct_organs.slices import Batch, Crops, cut, presence, window

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_auc_agrees_with_counting_every_pair() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.integers(0, 6, 40).astype(float), rng.integers(0, 2, 40).astype(float)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert judge.auc(scores, labels) == pytest.approx(np.mean(pairs), abs=1e-3)
    assert judge.auc(scores, np.ones(40)) is None


@pytest.mark.parametrize("layer", judge.LAYERS)
def test_the_judges_map_is_the_gradient_weighted_sum_at_the_layer(layer: str) -> None:
    network, definition, _ = judge.load(BUNDLE)
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    logits, maps = judge.look(network, image, layer)
    with torch.no_grad():
        assert np.allclose(logits, network(image)[0], atol=1e-5)
        features = network.features(image)
        relu = features.relu()
        head = network.class_layers.out.weight
        weights = head * ((features > 0).float().mean((2, 3)) if layer == "features" else 1.0)
        grid = torch.einsum("kc,chw->khw", weights, (features if layer == "features" else relu)[0])
        grid = grid / relu[0, 0].numel()
    assert definition["out_channels"] == len(maps)
    # The upsampled map keeps the grid's average, up to its border.
    expected = torch.nn.functional.interpolate(
        grid[None], size=(64, 64), mode="bilinear", align_corners=False
    )[0]
    assert np.allclose(maps, expected, atol=1e-5)


def test_shipped_weights_load_strictly_and_fit_the_size_limit() -> None:
    config = json.loads((BUNDLE / "configs" / "inference.json").read_text())
    metadata = json.loads((BUNDLE / "configs" / "metadata.json").read_text())
    weights = BUNDLE / "models" / "model.safetensors"
    network, _, spacing = judge.load(BUNDLE)
    names = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert tuple(names[str(n)] for n in range(len(names))) == scans.CLASSES
    assert {value.dtype for name, value in load_file(weights).items() if "num_batches" not in name} == {
        torch.float32
    }
    assert weights.stat().st_size < 4e6
    assert spacing > 0
    assert metadata["voxcam"]["default_layer"] in dict(network.named_modules())
    assert "$" not in json.dumps(config)


def test_the_shipped_map_points_at_organs_of_an_unseen_person_and_random_weights_do_not() -> None:
    hu, affine = scans.dicom_series(SERIES)
    image = nib.as_closest_canonical(nib.load(LABELS))
    assert np.allclose(image.affine, affine, atol=0.01)
    hu, masks = hu[:, :, ::4], scans.organ_masks(np.asarray(image.dataobj)[:, :, ::4])
    needed = np.zeros(len(scans.CLASSES), np.float32)
    network, definition, spacing = judge.load(BUNDLE)
    scan = scans.Scan("abdomen", hu, masks, np.zeros_like(masks), needed, float(affine[0, 0]), affine)
    views = judge.crops(judge.at_spacing(scan, spacing))
    layer = json.loads((BUNDLE / "configs" / "metadata.json").read_text())["voxcam"]["default_layer"]
    trained = judge.judge(network, views, layer)["mean"]
    random = judge.judge(judge.untrained(definition, 0), views, layer)["mean"]
    assert trained["pointing"] > 2.5 * trained["area_share"]
    assert trained["energy"] > 2 * trained["area_share"]
    assert trained["auc"] > 0.75
    assert random["pointing"] < 1.6 * random["area_share"]
    assert random["energy"] < 1.6 * random["area_share"]


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
    scan = judge.at_spacing(made_up_scan(), 4.0)
    assert scan.hu.shape == (20, 16, 3)
    assert np.allclose(np.diag(scan.affine), (4, 4, 3, 1))
