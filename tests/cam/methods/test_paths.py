from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import SHAPES, Deep, images
from voxcam import cam
from voxcam.cam.methods.baseline import baseline_of
from voxcam.errors import ExplainError

CLASSES = [[4, 1], [0, 3]]


def asked(method, network, x, classes=None, **options):
    return cam.class_maps(network, x, None, method, classes, options={method: options})[method]


def gradient_by_backward(network, x, index):
    with torch.enable_grad():
        leaf = x.clone().requires_grad_()
        network(leaf)[0, index].backward(inputs=[leaf])
    return leaf.grad


class Linear(nn.Module):
    """Two channels, three logits, linear: the gradient is the weights."""

    def __init__(self, rank):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            self.read = nn.Linear(2 * torch.Size(SHAPES[rank]).numel(), 3)

    def weights(self, shape):
        return self.read.weight.detach().reshape(3, 2, *shape)

    def forward(self, x):
        return self.read(x.flatten(1))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_integrated_gradients_agree_with_their_formula_written_out(rank, batch):
    network, x = Deep(rank).eval(), images(rank, batch)
    found = asked("integrated-gradients", network, x, CLASSES[:batch], steps=3, baseline=0.5)
    for b, row in enumerate(CLASSES[:batch]):
        one, start = x[b : b + 1], torch.full_like(x[:1], 0.5)
        for k, index in enumerate(row):
            middles = [start + part * (one - start) for part in (1 / 6, 3 / 6, 5 / 6)]
            mean = sum(gradient_by_backward(network, middle, index) for middle in middles) / 3
            assert_agree(found[b, k], ((one - start) * mean)[0, 0])


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("baseline", [0.0, "mean", "min", "blur"])
def test_integrated_gradients_add_up_to_the_difference_of_the_logits(rank, baseline):
    network, x = Smooth(rank).eval(), images(rank)
    found = asked("integrated-gradients", network, x, steps=64, baseline=baseline)
    start = baseline_of(x, baseline, option="a baseline")
    with torch.no_grad():
        assert_agree(found.flatten(2).sum(-1), network(x) - network(start), 2e-3)


class Smooth(Deep):
    """Without kinks, so that few steps come close."""

    def __init__(self, rank):
        super().__init__(rank)
        self.trunk[2], self.trunk[5] = nn.Softplus(), nn.Softplus()


def test_the_step_rule_comes_closer_with_more_steps():
    network, x = Smooth(2).eval(), images(2)
    with torch.no_grad():
        difference = network(x) - network(torch.zeros_like(x))
    gaps = [
        (asked("integrated-gradients", network, x, steps=steps).flatten(2).sum(-1) - difference).abs().max()
        for steps in (2, 8, 32)
    ]
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2]


@pytest.mark.parametrize("rank", [2, 3])
def test_of_a_linear_network_both_are_known_whatever_the_steps(rank):
    network = Linear(rank)
    x = torch.cat([images(rank), images(rank, seed=1)], dim=1)
    weights = network.weights(SHAPES[rank])
    found = asked("integrated-gradients", network, x, steps=1, baseline=-1)
    assert_agree(found, ((x[:, None] + 1) * weights).sum(2))
    found = asked("smooth-grad", network, x, samples=2)
    assert_agree(found, weights.sum(1).expand(2, 3, *SHAPES[rank]))


@pytest.mark.parametrize("rank", [2, 3])
def test_smooth_grad_is_the_mean_gradient_over_the_copies_the_network_saw(rank):
    network, seen = Deep(rank).eval(), []
    x = images(rank) * torch.tensor([1.0, 40.0]).reshape(2, *(1,) * (rank + 1))
    watch = network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    found = asked("smooth-grad", network, x, CLASSES, samples=3, noise=0.2)
    watch.remove()
    copies = seen[1:]
    assert len(copies) == 3
    for b in range(2):
        spread = torch.stack([copy[b] - x[b] for copy in copies])
        extent = float(x[b].max() - x[b].min())
        assert float(spread.std()) == pytest.approx(0.2 * extent, rel=0.05)
        assert not torch.equal(spread[0], spread[1])
        for k, index in enumerate(CLASSES[b]):
            gradients = [gradient_by_backward(network, copy[b : b + 1], index) for copy in copies]
            assert_agree(found[b, k], sum(gradients)[0, 0] / 3, 1e-4)


def test_smooth_grad_without_noise_is_the_gradient_and_keeps_its_sign():
    network, x = Deep(3).eval(), images(3)
    found = asked("smooth-grad", network, x, noise=0, samples=1)
    assert_agree(found[1, 2], gradient_by_backward(network, x[1:], 2)[0, 0])
    assert (found < 0).any()
    assert (found > 0).any()


class Cut(Deep):
    """Its trunk runs without a graph: no gradient gets to the input."""

    def forward(self, x):
        with torch.no_grad():
            x = self.trunk(x)
        return self.head(self.middle(x))


@pytest.mark.parametrize("method", ["integrated-gradients", "smooth-grad"])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_network_that_lets_no_gradient_through_is_refused_in_one_line(method, frozen):
    network = Cut(2).requires_grad_(not frozen)
    with pytest.raises(ExplainError, match=r"^no gradient of the logits reaches the input: .* grad-cam$"):
        cam.class_maps(network, images(2), None, method)


class Clamping(Deep):
    """Its first step is in place on the input."""

    def forward(self, x):
        return super().forward(x.clamp_(-1, 1))


def test_a_network_that_overwrites_its_input_is_differentiated_all_the_same():
    network, clamping, inside = Deep(2), Clamping(2), images(2).abs() < 1
    clamping.load_state_dict(network.state_dict())
    found = asked("smooth-grad", clamping, images(2), noise=0, samples=1)
    expected = asked("smooth-grad", network, images(2).clamp(-1, 1), noise=0, samples=1)
    assert_agree(found * inside[:, 0, None], expected * inside[:, 0, None])


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (
            "integrated-gradients",
            {"steps": 0},
            "^integrated-gradients: expected steps as a whole number",
        ),
        ("integrated-gradients", {"baseline": "black"}, "^expected a baseline as a number, 'mean', 'min'"),
        ("smooth-grad", {"samples": 0}, "^smooth-grad: expected samples as a whole number of 1"),
        (
            "smooth-grad",
            {"noise": -0.1},
            "^smooth-grad: expected noise as a number of 0 or more, found",
        ),
        ("smooth-grad", {"noise": float("inf")}, "^smooth-grad: expected noise as a number of 0 or more"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(method, options, message):
    with pytest.raises(ExplainError, match=message):
        asked(method, Deep(2), images(2), **options)
