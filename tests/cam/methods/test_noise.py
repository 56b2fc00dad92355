from __future__ import annotations

import itertools

import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, Pooled, images
from voxcam import cam
from voxcam.errors import ExplainError

CLASSES = [[4, 1], [0, 3]]


def smooth(network, x, layer="trunk", classes=None, **options):
    return cam.class_maps(
        network, x, layer, "smooth-grad-cam++", classes, options={"smooth-grad-cam++": options}
    )["smooth-grad-cam++"]


def slowly(a, gradients):
    """The formula for one sample and class, number by number; gradients is one (C, *grid) a copy."""
    places = list(itertools.product(*map(range, a.shape[1:])))
    out = torch.zeros(a.shape[1:], dtype=torch.float64)
    for k in range(len(a)):
        total, weight = sum(float(a[k][p]) for p in places), 0.0
        for p in places:
            values = [float(g[k][p]) for g in gradients]
            d1, d2, d3 = (sum(v**power for v in values) / len(values) for power in (1, 2, 3))
            denominator = 2 * d2 + max(d3, 0.0) * total
            weight += d2 / denominator * max(d1, 0.0) if denominator else 0.0
        out += weight * a[k].double()
    return out.float()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_smooth_grad_cam_plus_plus_agrees_with_its_formula_on_the_copies_the_network_saw(rank, batch):
    network, x, seen = Deep(rank).eval(), images(rank, batch), []
    watch = network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    found = smooth(network, x, classes=CLASSES[:batch], samples=3, noise=0.2)
    watch.remove()
    assert len(seen) == 1 + 3
    clean = cam.capture(network, x, "trunk").activations["trunk"]
    noisy = [cam.capture(network, copy, "trunk").gradients["trunk"] for copy in seen[1:]]
    for b, row in enumerate(CLASSES[:batch]):
        extent = float(x[b].max() - x[b].min())
        spread = torch.stack([copy[b] - x[b] for copy in seen[1:]]).std()
        assert float(spread) == pytest.approx(0.2 * extent, rel=0.2 if rank == 1 else 0.1)
        for k, index in enumerate(row):
            assert_agree(found[b, k], slowly(clean[b], [g[b, index] for g in noisy]))


@pytest.mark.parametrize("layer", ["trunk", "middle"])
def test_without_noise_it_is_grad_cam_plus_plus(layer):
    network, x = Deep(3), images(3)
    expected = cam.class_maps(network, x, layer, "grad-cam++")["grad-cam++"]
    assert_agree(smooth(network, x, layer, samples=2, noise=0), expected)


def test_at_a_pooled_linear_head_noise_changes_nothing():
    """There the gradients are the weights, whatever the image."""
    network, x = Pooled(2), images(2)
    expected = cam.class_maps(network, x, "features", "grad-cam++")["grad-cam++"]
    assert_agree(smooth(network, x, "features"), expected)


@pytest.mark.parametrize("size", [1e-12, 1e-30])
def test_it_holds_for_gradients_whose_cubes_vanish_in_float32(size):
    def scaled(size):
        network = Deep(2)
        network.head[4].weight.data *= size
        return network

    found = smooth(scaled(size), images(2)) / size
    # So small gradients g leave alpha at 1/2: alpha = 1 / (2 + g sum A).
    expected = smooth(scaled(1e-6), images(2)) / 1e-6
    assert_agree(found, expected, 1e-3)


def test_it_is_empty_where_nothing_speaks_for_the_class():
    network = Deep(2)
    network.head[4].weight.data[1] = 0
    assert not smooth(network, images(2), classes=[1]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "^smooth-grad-cam[+][+]: expected samples as a whole number of 1 or more, found 0$"),
        ({"noise": -1}, "^smooth-grad-cam[+][+]: expected noise as a number of 0 or more, found -1$"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(options, message):
    with pytest.raises(ExplainError, match=message):
        smooth(Deep(2), images(2), **options)
