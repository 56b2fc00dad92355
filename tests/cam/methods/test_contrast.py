from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.errors import ExplainError


def without_channel(network, a, k):
    cut = a.clone()
    cut[:, k] = 0
    with torch.no_grad():
        return network.head(network.middle(cut))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_ablation_cam_weighs_by_the_fall_of_the_logit(rank, batch):
    network, x = Deep(rank).eval(), images(rank, batch)
    found = cam.class_maps(network, x, "trunk", "ablation-cam")
    a = cam.capture(network, x, "trunk").activations["trunk"]
    falls = torch.stack([found.logits - without_channel(network, a, k) for k in range(a.shape[1])], dim=2)
    assert_agree(found["ablation-cam"], torch.einsum("bkc,bc...->bk...", falls, a), 1e-4)


@pytest.mark.parametrize("rank", [2, 3])
def test_ablation_cam_has_a_closed_form_at_a_linear_head(rank):
    network, x = Pooled(rank), images(rank)
    found = cam.class_maps(network, x, "features", "ablation-cam")["ablation-cam"]
    a = cam.capture(network, x, "features").activations["features"]
    falls = network.classifier.weight.detach() * a.flatten(2).mean(-1)[:, None]
    assert_agree(found, torch.einsum("bkc,bc...->bk...", falls, a))


def test_ablation_cam_in_parts_is_that_in_one_piece(monkeypatch):
    whole = cam.class_maps(Deep(3), images(3), "trunk", "ablation-cam")["ablation-cam"]
    monkeypatch.setattr("voxcam.cam.methods.contrast.VARIANT_BYTES", 1)
    assert_agree(cam.class_maps(Deep(3), images(3), "trunk", "ablation-cam")["ablation-cam"], whole)


@pytest.mark.parametrize("rank", [2, 3])
def test_shapley_cam_is_grad_cam_where_the_head_is_piecewise_linear(rank):
    class Linear(Deep):
        def __init__(self):
            super().__init__(rank)
            self.middle[1], self.head[1] = nn.ReLU(), nn.LeakyReLU(0.2)

    network = Linear()
    maps = cam.class_maps(network, images(rank), "trunk", ("shapley-cam", "grad-cam"))
    assert_agree(maps["shapley-cam"], maps["grad-cam"])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_shapley_cam_of_a_quadratic_head_has_a_closed_form(rank):
    """y_c = sum_k W_ck sum_i A_ki^2: g = 2 W A, H A = 2 W A, so w_k = mean_i W_ck A_ki."""

    class Quadratic(Pooled):
        def forward(self, x):
            return self.classifier(self.features(x).square().flatten(2).sum(-1))

    network, x = Quadratic(rank), images(rank)
    found = cam.class_maps(network, x, "features", "shapley-cam", classes=[[3, 0], [1, 2]])["shapley-cam"]
    a = cam.capture(network, x, "features").activations["features"]
    weights = network.classifier.weight.detach()[torch.tensor([[3, 0], [1, 2]])]
    assert_agree(found, torch.einsum("bkc,bc,bc...->bk...", weights, a.flatten(2).mean(-1), a))


def test_shapley_cam_differentiates_twice():
    network, x = Deep(2).eval().double(), images(2).double()
    found = cam.class_maps(network, x, "trunk", "shapley-cam")["shapley-cam"]
    a = cam.capture(network, x, "trunk").activations["trunk"]

    def gradient(activations):
        leaf = activations.clone().requires_grad_()
        return torch.autograd.grad(network.head(network.middle(leaf))[:, 2].sum(), leaf)[0]

    step = 1e-5  # H A by finite differences of the gradient along A
    product = (gradient(a + step * a) - gradient(a - step * a)) / (2 * step)
    weights = (gradient(a) - product / 2).flatten(2).mean(-1)
    assert_agree(found[:, 2], torch.einsum("bc,bc...->b...", weights, a).float(), 1e-5)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_finer_cam_is_grad_cam_of_what_sets_a_class_apart_from_its_nearest(rank, batch):
    network, x = Deep(rank), images(rank, batch)
    maps = cam.class_maps(network, x, "trunk", ("grad-cam", "finer-cam"))
    for b in range(batch):
        for c in range(5):
            others = sorted(
                (k for k in range(5) if k != c), key=lambda k: abs(maps.logits[b, k] - maps.logits[b, c])
            )
            like = torch.stack([maps["grad-cam"][b, k] for k in others[:3]]).mean(0)
            assert_agree(maps["finer-cam"][b, c], maps["grad-cam"][b, c] - 0.6 * like, 1e-4)


def test_finer_cam_takes_its_strength_and_number_of_references():
    network, x = Deep(2), images(2)
    none = cam.class_maps(
        network, x, "trunk", ("grad-cam", "finer-cam"), options={"finer-cam": {"strength": 0.0}}
    )
    assert_agree(none["finer-cam"], none["grad-cam"])
    every = cam.class_maps(
        network,
        x,
        "trunk",
        ("grad-cam", "finer-cam"),
        options={"finer-cam": {"strength": 1.0, "references": 9}},
    )
    plain = every["grad-cam"]
    likes = (plain.sum(1, keepdim=True) - plain) / 4
    assert_agree(every["finer-cam"], plain - likes, 1e-4)


def test_finer_cam_needs_two_classes():
    with pytest.raises(
        ExplainError, match="^finer-cam compares classes, but the network has one; choose grad-cam$"
    ):
        cam.class_maps(Pooled(2, classes=1), images(2), "features", "finer-cam")


@pytest.mark.parametrize(
    ("option", "value"), [("strength", "x"), ("strength", -1), ("references", 0), ("references", 1.5)]
)
def test_finer_cam_refuses_options_that_make_no_sense(option, value):
    with pytest.raises(ExplainError, match=f"^finer-cam: expected {option} as "):
        cam.class_maps(Deep(2), images(2), "trunk", "finer-cam", options={"finer-cam": {option: value}})
