from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, InPlaceAfter, NoVmapRule, Pooled, images, trunk
from voxcam.cam.asking.inquiry import Inquiry, autocast_state
from voxcam.cam.asking.subject import Subject
from voxcam.cam.tracing.recording import recorded


def head_of(network, x, layer, layers=None):
    """Return what turns feature maps into logits, n variants at a time, while it is recorded."""
    with recorded(network, x, layers or [layer], taped=True) as recording:
        logits, classes = recording.logits.detach(), torch.zeros(len(x), 1, dtype=torch.long)
        inquiry = Inquiry(network, x, logits, classes, 0, lambda _: None, autocast_state(x.device))
        subject = Subject(inquiry, recording, layer)
        return subject.activations, subject.after, logits


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("kind", [Deep, NoVmapRule])
def test_replay_of_other_maps_is_what_the_head_says_of_them(rank, batch, kind):
    network, x = kind(rank).eval(), images(rank, batch)
    a, after, logits = head_of(network, x, "trunk")
    variants = torch.stack([a, a * 2, a.flip(1), torch.zeros_like(a)])
    found = after(variants)
    assert_agree(found[0], logits)
    with torch.no_grad():
        for variant, said in zip(variants, found, strict=True):
            if kind is NoVmapRule:
                expected = network.head(network.middle(variant).square())
            else:
                expected = network.head(network.middle(variant))
            assert_agree(said, expected)


def test_trunk_does_not_run_again():
    network, x = Deep(2).eval(), images(2)
    runs = []
    network.trunk.register_forward_hook(lambda *_: runs.append("trunk"))
    network.head.register_forward_hook(lambda *_: runs.append("head"))
    a, after, _ = head_of(network, x, "trunk")
    assert runs == ["trunk", "head"]
    after(a[None])
    assert runs == ["trunk", "head"]  # operations are replayed, not modules


def test_replay_keeps_what_skips_the_layer():
    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.side, self.last = trunk(2), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(12, 3)

        def forward(self, x):
            x = self.stem(x)
            return self.last(torch.cat([self.side(x).relu_(), x * x.mean()], dim=1).amax((2, 3)))

    network, x = Skipping().eval(), images(2)
    a, after, _ = head_of(network, x, "side")
    with torch.no_grad():
        stem = network.stem(x)
        expected = network.last(torch.cat([(-a).relu(), stem * stem.mean()], dim=1).amax((2, 3)))
        assert_agree(after(-a[None])[0], expected)
        both_a, both_after, _ = head_of(network, x, "side", ["stem", "side"])
        assert_agree(both_a, a)
        assert_agree(both_after(-a[None])[0], expected)
        stem_a, stem_after, _ = head_of(network, x, "stem", ["side", "stem"])
        other = network.last(
            torch.cat([network.side(stem_a * 3).relu(), 9 * stem * stem.mean()], 1).amax((2, 3))
        )
        assert_agree(stem_after(3 * stem_a[None])[0], other)


def test_replay_of_a_change_in_place_leaves_the_record_as_it_was():
    network, x = InPlaceAfter().eval(), images(2)
    a, after, logits = head_of(network, x, "features")
    assert a.min() < 0
    for _ in range(2):
        assert_agree(after(a[None])[0], logits)
    with torch.no_grad():
        assert_agree(after(-a[None])[0], network.classifier((-a).relu().mean((2, 3))))


def test_replay_of_a_view_that_is_changed_in_place():
    class Writing(Pooled):
        def forward(self, x):
            x = self.features(x) * 1
            x[:, :2].zero_()
            x.view(len(x), -1)[:, -5:] += 1
            return self.classifier(x.mean((2, 3)))

    network, x = Writing(2).eval(), images(2)
    a, after, logits = head_of(network, x, "features")
    assert_agree(after(a[None])[0], logits)
    other = 2 * a
    other[:, :2] = 0
    other[:, -1, -1, -5:] += 1
    with torch.no_grad():
        assert_agree(after(2 * a[None])[0], network.classifier(other.mean((2, 3))))
