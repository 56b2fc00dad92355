from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from training.lung_nodule import judge, nodules, patches, scans, sliding, train  # noqa: E402

BUNDLE = ROOT / "sample_scans" / "models" / "lung_nodule_3d"
SIDE = patches.SIDE
AIRY = np.full((SIDE,) * 3, -850.0, np.float32)


@pytest.fixture(scope="module")
def chest() -> scans.Scan:
    """A tissue cylinder with two ellipsoid lungs and a drawn ball of a tumour low in the left one."""
    i, j, k = np.meshgrid(*[np.arange(n) for n in (140, 100, 110)], indexing="ij", sparse=True)
    body = ((i - 70) / 65) ** 2 + ((j - 50) / 45) ** 2 + 0 * k < 1
    hu = np.where(body, 40.0, -1000.0)
    for middle in (40, 100):
        inside = ((i - middle) / 22) ** 2 + ((j - 50) / 30) ** 2 + ((k - 55) / 48) ** 2 < 1
        hu[inside] = -850
    tumour = ((i - 100) ** 2 + (j - 50) ** 2 + (k - 25) ** 2) < 5**2
    hu[tumour] = 30
    voxels = hu.astype(np.float32)
    lung = scans.find_lungs(voxels)
    return scans.Scan("chest", voxels, lung, tumour, 1.5, np.diag([1.5, 1.5, 1.5, 1.0]))


def test_the_lungs_are_found_with_the_tumour_inside_and_without_the_air_outside(chest: scans.Scan) -> None:
    true_lung = (chest.hu == -850) | chest.tumour
    overlap = 2 * (chest.lung & true_lung).sum() / (chest.lung.sum() + true_lung.sum())
    assert overlap > 0.97
    assert not chest.lung[chest.hu == -1000].any()


@pytest.mark.parametrize("radius_mm", [5.0, 10.0, 20.0])
def test_an_inserted_nodule_lies_in_its_mask_and_is_soft_tissue(radius_mm: float) -> None:
    rng = np.random.default_rng(3)
    nodule = nodules.invent(rng, np.full(3, 19.5), radius_mm, np.ones_like(AIRY, bool))
    patch, mask = nodules.insert(AIRY, nodule)
    changed = np.abs(patch - AIRY) > 0.55 * 900
    assert not (changed & ~mask).any()
    assert -150 < patch[mask].mean() < 100
    ball_mm3 = 4 / 3 * np.pi * radius_mm**3
    assert 0.5 < mask.sum() * scans.SPACING_MM**3 / ball_mm3 < 1.6
    assert np.allclose(np.argwhere(mask).mean(0), 19.5, atol=2.5)


def test_a_nodule_at_the_wall_leaves_the_wall_as_it_was() -> None:
    room = np.zeros_like(AIRY, bool)
    room[:20] = True
    before = np.where(room, AIRY, 300.0).astype(np.float32)
    nodule = nodules.invent(np.random.default_rng(0), np.array([20.0, 20, 20]), 12.0, room)
    patch, mask = nodules.insert(before, nodule)
    assert np.array_equal(patch[23:], before[23:])
    assert not mask[21:].any()
    assert mask[19].any()


@pytest.mark.parametrize("slice_mm", [3.0, 5.0, 6.0])
def test_thick_slices_spread_a_thin_plane_and_keep_flat_tissue(slice_mm: float) -> None:
    profile = nodules.slice_profile(SIDE, slice_mm, 0.3)
    assert np.allclose(profile.sum(1), 1, atol=1e-5)
    seen = profile[:, 20]
    width_mm = (seen > seen.max() / 2).sum() * scans.SPACING_MM
    assert slice_mm - 1.6 <= width_mm <= 2 * slice_mm + 1.6
    middle = (seen * np.arange(SIDE)).sum() / seen.sum()
    assert abs(middle - 20) * scans.SPACING_MM < slice_mm / 2 + 0.1


def test_the_same_seed_makes_the_same_patches_and_another_seed_does_not(chest: scans.Scan) -> None:
    one, same, other = (patches.make_patches([chest], 8, seed) for seed in (5, 5, 6))
    assert np.array_equal(one.hu, same.hu)
    assert np.array_equal(one.masks, same.masks)
    assert not np.array_equal(one.hu, other.hu)


def test_a_patch_is_positive_just_when_it_has_a_nodule(chest: scans.Scan) -> None:
    made = patches.make_patches([chest], 24, seed=1)
    assert 4 < made.labels.sum() < 20
    assert np.array_equal(made.masks.reshape(24, -1).any(1), made.labels == 1)
    for hu, mask in zip(made.hu[made.labels == 1], made.masks[made.labels == 1], strict=True):
        # 6 mm slices leave a 4 mm nodule half air; the lung itself is at -850 HU.
        assert -600 < hu[mask].mean() < 120


def test_no_patch_sees_the_drawn_tumour(chest: scans.Scan) -> None:
    marked = replace(chest, hu=np.where(chest.tumour, np.float32(9999), chest.hu))
    made = patches.make_patches([marked], 40, seed=2, positive_share=0.0)
    assert made.hu.max() < 9999


def test_a_patch_beyond_the_edge_is_padded_with_air(chest: scans.Scan) -> None:
    patch = patches.cut(chest.hu, np.array([0, 50, 0]))
    assert (patch[:20] == -1000).all()
    assert (patch[:, :, :20] == -1000).all()
    assert np.array_equal(patch[20:, :, 20:], chest.hu[:20, 30:70, :20])
    assert (patches.cut(chest.hu, np.array([-900, 0, 0])) == -1000).all()


def test_centring_the_head_changes_no_probability() -> None:
    model = train.build(train.NETWORKS["densenet-4"]).eval()
    seen = torch.rand(2, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = model(seen).softmax(1)
        train.centre_head(model)
        logits = model(seen)
    assert torch.allclose(before, logits.softmax(1), atol=1e-6)
    assert torch.allclose(logits[:, 0], -logits[:, 1], atol=1e-5)


def test_the_map_of_a_window_adds_up_to_its_logit() -> None:
    """Zhou et al. 2016: with mean pooling and a linear head, the CAM's sum is the logit less the bias."""
    torch.manual_seed(0)
    model = train.build(train.NETWORKS["densenet-4"]).eval()
    seen = np.random.default_rng(0).random((2, SIDE, SIDE, SIDE), np.float32)
    _, heat = sliding.explain(model, seen, "class_layers.relu")
    with torch.inference_mode():
        logits = model(torch.from_numpy(seen[:, None]))[:, 1] - model.class_layers.out.bias[1]
    cells = torch.nn.functional.avg_pool3d(torch.from_numpy(heat), 4)
    assert torch.allclose(cells.sum((1, 2, 3)), logits, rtol=0.05)


def test_windows_cover_the_scan_and_one_window_is_its_own_map() -> None:
    torch.manual_seed(0)
    model = train.build(train.NETWORKS["densenet-4"]).eval()
    scan = np.random.default_rng(1).random((SIDE, SIDE, SIDE), np.float32)
    _, heat = sliding.explain(model, scan[None], "class_layers.relu")
    assert np.allclose(sliding.slide(model, scan, "class_layers.relu").heat, heat[0], atol=1e-5)
    wide = np.pad(scan, [(0, 25), (0, 0), (0, 0)])
    slid = sliding.slide(model, wide, "class_layers.relu", overlap=0.5)
    assert slid.heat.shape == wide.shape
    assert np.isfinite(slid.heat).all()
    assert len(slid.windows) == 3


def test_the_shipped_weights_are_the_shipped_network() -> None:
    model = judge.load(BUNDLE)
    card = json.loads((BUNDLE / "configs" / "metadata.json").read_text())
    assert card["voxcam"]["default_layer"] in dict(model.named_modules())
    assert list(card["network_data_format"]["outputs"]["pred"]["channel_def"].values()) == [
        "no nodule",
        "nodule",
    ]
    assert (BUNDLE / "models" / "model.safetensors").stat().st_size < 4e6


def test_the_bundle_finds_the_real_tumour_and_random_weights_do_not() -> None:
    demo = scans.read_drawn(judge.DEMO_SCAN)
    model = judge.load(BUNDLE)
    layer = json.loads((BUNDLE / "configs" / "metadata.json").read_text())["voxcam"]["default_layer"]
    away = judge.distance_mm(demo.tumour)
    slid = sliding.slide(model, patches.scale(demo.hu), layer, overlap=0.25)
    assert slid.found
    assert away[slid.peak] <= 5
    lost = [
        away[sliding.slide(judge.reset(model, seed), patches.scale(demo.hu), layer, overlap=0.25).peak]
        for seed in range(3)
    ]
    assert np.median(lost) > 10
