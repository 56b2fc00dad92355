from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, images
from voxcam import cam
from voxcam.cam.methods.variants import NormalNoise
from voxcam.errors import ExplainError

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
CLASSES = [[4, 1], [0, 3]]


def masks_by_hand(a, shape):
    """One channel after the other: stretched to 0..1 on its own grid, then interpolated."""
    masks = []
    for channel in a:
        low, high = float(channel.min()), float(channel.max())
        stretched = (channel - low) / (high - low) if high > low else torch.zeros_like(channel)
        mode = LINEAR[channel.ndim]
        masks.append(functional.interpolate(stretched[None, None], shape, mode=mode, align_corners=False)[0])
    return masks


def maps_by_hand(network, x, layer, classes, variants):
    """One sample, one channel, one masked image at a time; `variants(x, mask, channel)` lists the images."""
    a = cam.capture(network, x, layer).activations[layer]
    maps = []
    for b, asked in enumerate(classes):
        scores = []
        for k, mask in enumerate(masks_by_hand(a[b], x.shape[2:])):
            logits = [network(image)[0] for image in variants(x[b : b + 1], mask, k)]
            scores.append(torch.stack(logits).mean(0))
        for c in asked:
            shares = torch.stack([score[c] for score in scores]).exp()
            maps.append(sum(w * channel for w, channel in zip(shares / shares.sum(), a[b], strict=True)))
    return torch.stack(maps).unflatten(0, (len(classes), -1))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("layer", ["trunk", "middle"])
@torch.no_grad()
def test_score_cam_agrees_with_its_formula_written_out(rank, batch, layer):
    network, x = Deep(rank).eval(), images(rank, batch)
    found = cam.class_maps(network, x, layer, "score-cam", CLASSES[:batch])["score-cam"]
    expected = maps_by_hand(network, x, layer, CLASSES[:batch], lambda x, mask, _: [x * mask])
    assert_agree(found, expected)


@pytest.mark.parametrize("rank", [2, 3])
@torch.no_grad()
def test_is_cam_agrees_with_its_formula_written_out(rank):
    network, x = Deep(rank).eval(), images(rank)
    options = {"is-cam": {"steps": 3}}
    found = cam.class_maps(network, x, "trunk", "is-cam", CLASSES, options=options)["is-cam"]
    steps = (1 / 3, 2 / 3, 1)
    expected = maps_by_hand(network, x, "trunk", CLASSES, lambda x, mask, _: [x * mask * c for c in steps])
    assert_agree(found, expected)


@pytest.mark.parametrize("rank", [2, 3])
@torch.no_grad()
def test_ss_cam_agrees_with_its_formula_written_out(rank):
    network, x, seeded = Deep(rank).eval(), images(rank), Seeded(7)
    options = {"ss-cam": {"samples": 3, "std": 0.5}}
    found = cam.class_maps(network, x, "trunk", "ss-cam", CLASSES, options=options, seed=7)["ss-cam"]
    noise = NormalNoise(seeded, 6 * 3)

    def noisy(x, mask, k):
        return [x * (mask + 0.5 * noise.draw(3 * k + i, x.shape[2:])) for i in range(3)]

    assert_agree(found, maps_by_hand(network, x, "trunk", CLASSES, noisy))


class Seeded:
    """What `NormalNoise` asks of an inquiry."""

    def __init__(self, seed):
        self.seed = seed

    def generator(self):
        return torch.Generator().manual_seed(self.seed)


def test_noise_is_standard_normal_and_each_number_has_its_own():
    noise = NormalNoise(Seeded(0), 3)
    drawn = torch.stack([noise.draw(number, (30, 30)) for number in range(3)])
    assert abs(float(drawn.mean())) < 0.05
    assert float(drawn.std()) == pytest.approx(1, abs=0.05)
    assert abs(float(torch.corrcoef(drawn.flatten(1))[0, 1])) < 0.1
    assert torch.equal(noise.draw(1, (30, 30)), drawn[1])
    assert not torch.equal(NormalNoise(Seeded(1), 3).draw(1, (30, 30)), drawn[1])


def test_ss_cam_without_noise_is_score_cam():
    network, x = Deep(2), images(2)
    options = {"ss-cam": {"samples": 2, "std": 0.0}}
    maps = cam.class_maps(network, x, "trunk", ["score-cam", "ss-cam"], options=options)
    assert_agree(maps["ss-cam"], maps["score-cam"])


class Linear(nn.Module):
    """Logits linear in the image, and without a constant: what a masked image loses is known."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.trunk = nn.Conv2d(1, 4, 3, padding=1, bias=False)
            self.read = nn.Linear(4 * 18 * 26, 3, bias=False)

    def forward(self, x):
        return self.read(self.trunk(x).flatten(1))


def test_is_cam_of_a_linear_network_is_score_cam_with_the_mean_fraction():
    network, x = Linear(), images(2, 1)
    found = cam.class_maps(network, x, "trunk", "is-cam", options={"is-cam": {"steps": 4}})["is-cam"]
    with torch.no_grad():
        a = network.trunk(x)[0]
        scores = torch.stack([network(x * mask)[0] for mask in masks_by_hand(a, (18, 26))])
        weights = (scores * (1 + 2 + 3 + 4) / 4 / 4).softmax(0)
    assert_agree(found[0], torch.einsum("kc,khw->chw", weights, a))


@pytest.mark.parametrize("baseline", [0.3, "mean", "min"])
@torch.no_grad()
def test_the_masked_out_part_becomes_the_baseline(baseline):
    network, x = Deep(2).eval(), images(2)
    options = {"score-cam": {"baseline": baseline}}
    found = cam.class_maps(network, x, "trunk", "score-cam", CLASSES, options=options)["score-cam"]

    def blended(x, mask, _):
        instead = {"mean": x.mean(), "min": x.min()}.get(baseline, baseline)
        return [x * mask + instead * (1 - mask)]

    assert_agree(found, maps_by_hand(network, x, "trunk", CLASSES, blended))


def test_a_constant_channel_has_an_empty_mask():
    network, x = Deep(2).eval(), images(2, 1)
    network.trunk[4].weight.data[2] = 0  # its normalisation: the channel is one number, which ReLU keeps
    network.trunk[4].bias.data[2] = 0.7
    with torch.no_grad():
        found = cam.class_maps(network, x, "trunk", "score-cam", [[0]])["score-cam"]
        expected = maps_by_hand(network, x, "trunk", [[0]], lambda x, mask, _: [x * mask])
    assert_agree(found, expected)


def test_maps_are_signed_where_the_feature_maps_are():
    maps = cam.class_maps(Deep(2), images(2), "trunk.4", ["score-cam", "is-cam"])
    for method in maps.methods:
        assert (maps[method] < 0).any()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("ss-cam", {"samples": 0}, "^ss-cam: expected samples as a whole number of 1 or more, found 0$"),
        ("ss-cam", {"samples": 1.5}, "^ss-cam: expected samples as a whole number of 1 or more, found 1.5$"),
        ("ss-cam", {"std": -1}, "^ss-cam: expected std as a number of 0 or more, found -1$"),
        ("ss-cam", {"std": "2"}, "^ss-cam: expected std as a number of 0 or more, found '2'$"),
        ("is-cam", {"steps": True}, "^is-cam: expected steps as a whole number of 1 or more, found True$"),
        (
            "score-cam",
            {"baseline": "grey"},
            "^expected a baseline as a number, 'mean', 'min' or 'blur', found 'grey'$",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(method, options, message):
    with pytest.raises(ExplainError, match=message):
        cam.class_maps(Deep(2), images(2), "trunk", method, options={method: options})
