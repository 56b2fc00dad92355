from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import CONV, SHAPES, Deep, images
from voxcam import cam

CLASSES = [[2, 1], [0, 2]]


class Guided(torch.autograd.Function):
    """The rule of Springenberg et al. written out: what was positive, of what is positive."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient.clamp(min=0) * (x > 0)


WAYS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "functional": functional.relu,
    "functional in place": lambda x: functional.relu(x, inplace=True),
    "torch": torch.relu,
    "tensor in place": lambda x: x.relu_(),
}


class Rectified(nn.Module):
    """Convolutions and a perceptron with a ReLU after each, written in one of many ways."""

    def __init__(self, rank, relu):
        super().__init__()
        self.relu = relu
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(8)
            self.first, self.second = CONV[rank](2, 5, 3, padding=1), CONV[rank](5, 6, 3, stride=2)
            self.read = nn.Sequential(nn.Flatten(), nn.LazyLinear(7), nn.LeakyReLU(), nn.Linear(7, 3))
            with torch.no_grad():
                self(torch.zeros(1, 2, *SHAPES[rank]))
            for weight in self.parameters():
                weight.data *= 2

    def forward(self, x):
        return self.read(self.relu(self.second(self.relu(self.first(x)))))


def two_channels(rank, batch=2):
    return torch.cat([images(rank, batch), images(rank, batch, seed=1)], dim=1)


def guided_by_hand(network, x, b, index):
    reference = copy.copy(network)
    reference.__dict__ = dict(network.__dict__)
    reference.__dict__["relu"] = Guided.apply
    leaf = x[b : b + 1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Rectified.forward(reference, leaf)[0, index], leaf)
    return gradient[0]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_guided_grad_cam_is_upsampled_positive_grad_cam_times_guided_backpropagation(rank, batch):
    network, x = Rectified(rank, functional.relu), two_channels(rank, batch)
    found = cam.class_maps(network, x, "second", "guided-grad-cam", CLASSES[:batch])["guided-grad-cam"]
    assert found.shape == (batch, 2, *SHAPES[rank])
    coarse = cam.class_maps(network, x, "second", "grad-cam", CLASSES[:batch])["grad-cam"]
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    where = functional.interpolate(coarse.relu(), SHAPES[rank], mode=mode, align_corners=False)
    for b, row in enumerate(CLASSES[:batch]):
        for k, index in enumerate(row):
            guided = guided_by_hand(network, x, b, index)
            assert_agree(found[b, k], where[b, k] * (guided[0] + guided[1]))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_relu_is_met(way):
    found, expected = (
        cam.class_maps(Rectified(2, relu), two_channels(2), "second", "guided-grad-cam")["guided-grad-cam"]
        for relu in (WAYS[way], functional.relu)
    )
    assert_agree(found, expected)


@pytest.mark.parametrize("way", WAYS)
def test_the_network_keeps_its_own_gradients(way):
    network, x = Rectified(2, WAYS[way]), two_channels(2)
    options = {"smooth-grad": {"samples": 1, "noise": 0}}
    before = cam.class_maps(network, x, None, "smooth-grad", options=options)["smooth-grad"]
    modules = {name: dict(module.__dict__) for name, module in network.named_modules()}
    cam.class_maps(network, x, "second", "guided-grad-cam")
    assert {name: dict(module.__dict__) for name, module in network.named_modules()} == modules
    after = cam.class_maps(network, x, None, "smooth-grad", options=options)["smooth-grad"]
    assert torch.equal(before, after)


class Smooth(Deep):
    """No ReLU at all."""

    def __init__(self):
        super().__init__(2)
        self.trunk[2], self.trunk[5] = nn.LeakyReLU(), nn.ELU()


def test_without_a_relu_it_is_grad_cam_times_the_plain_gradient():
    methods = ["guided-grad-cam", "grad-cam", "smooth-grad"]
    options = {"smooth-grad": {"samples": 1, "noise": 0}}
    maps = cam.class_maps(Smooth(), images(2), "trunk", methods, options=options)
    where = cam.upsample(maps["grad-cam"].relu(), SHAPES[2])
    assert_agree(maps["guided-grad-cam"], where * maps["smooth-grad"])
