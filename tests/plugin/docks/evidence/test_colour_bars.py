"""What the strips of colours say, and their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from phantoms import explanation_of

from voxcam.export.style import colour_table
from voxcam.plugin.docks.evidence.colour_bars import ColourBars
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui


@pytest.fixture
def review(scan, explained):
    """Evidence up to 3 of the nodule, and up to a half of the effusion."""
    review = Review()
    review.open(scan)
    review.adopt(explained)
    review.show_class("effusion")
    return review


@pytest.fixture
def bars(qtbot, review):
    bars = ColourBars()
    qtbot.addWidget(bars)
    review.look_changed.connect(lambda: shown(bars, review))
    shown(bars, review)
    return bars


def shown(bars, review):
    bars.show_reading(review.reading)
    bars.resize(302, bars.sizeHint().height())


def strip(bars, number):
    """The colours along the middle of a strip, (pixels, 3)."""
    image, box = bars.grab().toImage(), bars.strip(number)
    row = box.center().y()
    return np.array([image.pixelColor(x, row).getRgb()[:3] for x in range(box.left() + 2, box.right() - 2)])


def largest(explained, name):
    return max(h.largest for h in explained.heatmaps if h.class_name == name and h.method == "grad-cam")


def test_one_line_of_numbers_holds_for_all_when_the_range_is_shared(bars, explained):
    assert [bar.name for bar in bars.bars] == ["nodule", "effusion"]
    assert bars.is_common
    assert bars.foot == ("0", "logit units", f"{largest(explained, 'nodule'):.3g}")


def test_each_has_its_own_numbers_when_it_is_not(bars, review, explained):
    review.set_look(shared_range=False)
    assert not bars.is_common
    ends = [("0", f"{largest(explained, name):.3g}") for name in ("nodule", "effusion")]
    assert [bar.ends for bar in bars.bars] == ends
    assert bars.foot == ("", "logit units", "")


def test_a_strip_has_the_colours_from_low_to_high_as_they_look_over_black(bars):
    table = colour_table("inferno")
    wanted = 255 * table[:, :3] * table[:, 3:]
    seen = strip(bars, 0)
    at = np.linspace(2, 253, len(seen)).round().astype(int)
    assert np.abs(seen - wanted[at]).max() < 16
    assert np.abs(seen - wanted[at]).mean() < 4


def test_a_threshold_leaves_black_below_it_and_a_mark_at_it(bars, review):
    review.adjust("nodule", threshold=0.5)
    seen = strip(bars, 0)
    mark = np.flatnonzero((seen > 150).all(axis=1))
    assert mark.mean() / len(seen) == pytest.approx(0.5, abs=0.02)
    assert seen[: mark.min() - 1].max() < 8
    assert strip(bars, 1)[len(seen) // 2].max() > 60  # the other class has all classes' threshold


def test_signed_colours_have_zero_in_the_middle(bars, review, explained):
    high = largest(explained, "nodule")
    review.colour("nodule", "signed")
    assert bars.bars[0].ends == (f"−{high:.3g}", f"{high:.3g}")
    review.adjust("nodule", threshold=0.2)
    assert bars.bars[0].marks == pytest.approx((0.4, 0.6))
    seen = strip(bars, 0)
    assert seen[len(seen) // 2].max() < 10
    red, _, blue = seen[3]
    assert blue > red
    red, _, blue = seen[-4]
    assert red > blue
    words = bars.bars[0].words
    assert words.startswith(f"nodule: −{high:.3g} to {high:.3g} logit units; nothing is drawn up to ±")
    review.set_look(shown=frozenset(["nodule"]))
    assert bars.foot[1].split() == ["0", "logit", "units"]


def test_three_are_shown_and_the_others_counted(bars, review, scan):
    flat = np.ones(scan.shape)
    names = "abcdefg"
    review.adopt(explanation_of(scan, {name: (0.1 * n, flat) for n, name in enumerate(names)}))
    review.set_look(shown=frozenset(names))
    assert [bar.name for bar in bars.bars] == list("gfe")
    assert bars.more_words == "+ 4 more"
    assert bars.sizeHint().height() <= 4 * bars.fontMetrics().height()
    review.set_look(shown=frozenset("ab"))
    assert bars.more_words == ""


def test_nothing_is_shown_without_a_class_and_hidden_evidence_keeps_its_place(bars, review):
    height = bars.sizeHint().height()
    before = np.ptp(strip(bars, 0), axis=1).mean()
    review.set_look(hidden=True)
    assert bars.sizeHint().height() == height
    assert bars.faint
    assert np.ptp(strip(bars, 0), axis=1).mean() < 0.5 * before
    review.set_look(hidden=False, shown=frozenset())
    assert bars.bars == ()
    assert bars.isHidden()
