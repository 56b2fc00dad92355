from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from training import reading  # noqa: E402
from training.lung_nodule import bundle, judge, nodules, patches, questions, scans, train  # noqa: E402

if TYPE_CHECKING:
    from voxcam.model.classifier import Classifier

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


def test_every_patch_knows_the_voxel_it_lies_round(chest: scans.Scan) -> None:
    made = patches.make_patches([chest], 12, seed=4, positive_share=0.0)
    for hu, centre in zip(made.hu, made.centres, strict=True):
        # A thin-slice scan's patches are blurred along k, so only the mean over k is kept.
        assert np.allclose(hu.mean(2)[5:-5, 5:-5], patches.cut(chest.hu, centre).mean(2)[5:-5, 5:-5], atol=90)


def test_losses_are_those_of_the_label_alone(chest: scans.Scan) -> None:
    model = train.build(train.NETWORKS["densenet-4"])
    made = patches.make_patches([chest], 6, seed=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = train.label_losses(model, made)
    with torch.inference_mode():
        odds = model.eval()(torch.from_numpy(patches.scale(made.hu)[:, None])).log_softmax(1).numpy()
    assert np.allclose(losses, -odds[np.arange(6), made.labels], atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return reading.load(BUNDLE)


def test_the_judge_asks_the_bundle_as_a_user_does(shipped: Classifier, chest: scans.Scan) -> None:
    """Scaling, windows, softmax and map of `load_classifier` are those of training, done by hand here."""
    made = patches.make_patches([chest], 3, seed=9)
    asked = questions.with_invented([chest], 3, seed=9)
    network = train.build(json.loads((BUNDLE / "configs" / "inference.json").read_text())["network_def"])
    network.load_state_dict(load_file(BUNDLE / "models" / "model.safetensors"), strict=True)
    network.eval()
    with torch.inference_mode():
        seen = torch.from_numpy(patches.scale(made.hu)[:, None])
        logits = network(seen)
        units = network.features(seen).relu()
        maps = torch.einsum("bcijk,c->bijk", units, network.class_layers.out.weight[1]) / units[0, 0].numel()
    assert np.allclose(judge.margins(shipped, asked), logits[:, 1] - logits[:, 0], atol=1e-4)
    for number, volume in enumerate(asked.volumes):
        explanation = reading.explained(shipped, volume, shipped.default_layer, (judge.NODULE,))
        assert np.allclose(explanation.heatmaps[0].values, maps[number], atol=1e-5)


def test_questions_hold_what_they_say(chest: scans.Scan) -> None:
    invented, drawn = questions.with_invented([chest], 12, seed=1), questions.with_tumour(chest, 5, 4)
    for asked in (invented, drawn):
        held = np.array([np.asarray(mask.voxels).any() for mask in asked.masks])
        assert np.array_equal(held, asked.labels == 1)
        assert len(asked.volumes) == len(asked.kinds) == len(asked.places) == len(held)
    assert set(drawn.kinds) == {"tumour", *patches.PLACES}
    small = np.array([np.asarray(mask.voxels).sum() * scans.SPACING_MM**3 < 1000 for mask in invented.masks])
    assert np.array_equal(small & (invented.labels == 1), invented.kinds == "below 1 ml")


def test_healthy_parts_hold_no_tumour_and_stay_in_place(chest: scans.Scan) -> None:
    whole = questions.whole(chest)
    world = whole.volume.geometry.to_world(np.argwhere(chest.tumour))
    for part in questions.healthy_parts(chest).values():
        assert not part.volume.geometry.contains(world).any()
        corner = np.rint(whole.volume.geometry.to_index(part.volume.geometry.to_world((0, 0, 0)))).astype(int)
        assert part.volume.voxels[0, 0, 0] == chest.hu[tuple(corner)]


def test_a_shifted_scan_keeps_its_tumour_where_it_is() -> None:
    demo = questions.read_file(judge.DEMO_SCAN)
    for shift in questions.SHIFTS_MM:
        moved = questions.shifted(demo, shift)
        world = demo.mask.geometry.to_world(np.argwhere(np.asarray(demo.mask.voxels)))
        assert moved.volume.geometry.contains(world).all(), "no run may cut the tumour off"


def test_the_shipped_card_fits_the_shipped_network(shipped: Classifier) -> None:
    assert shipped.classes == ("no nodule", "nodule")
    assert (BUNDLE / "models" / "model.safetensors").stat().st_size < 4e6


def test_the_bundle_finds_the_real_tumour_and_random_weights_do_not(shipped: Classifier) -> None:
    demo = questions.read_file(judge.DEMO_SCAN)
    found = judge.run(reading.with_tiling(shipped, overlap=0.25), demo)
    assert found["probability"] > judge.THRESHOLD
    assert found["peak_to_mask_mm"] <= 5
    lost = [judge.run(reading.load_untrained(BUNDLE, seed), demo)["peak_to_mask_mm"] for seed in range(3)]
    assert np.median(lost) > 10


def test_the_model_card_says_what_the_metadata_say() -> None:
    metadata = json.loads((BUNDLE / "configs" / "metadata.json").read_text())
    text = (BUNDLE / "docs" / "README.md").read_text()
    assert text == bundle.card(metadata["eval_metrics"])
    assert f"(version {metadata['version']})" in text
    assert metadata["version"] == list(metadata["changelog"])[-1]
    assert metadata["changelog"] == bundle.CHANGES
