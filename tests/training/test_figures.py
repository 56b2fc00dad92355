from __future__ import annotations

import csv
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from training import cards, reading
from training.calibration import calibration, calibration_error, fit_temperature, losses
from training.counts import confusion, wilson
from training.curve import Curve, betters, chosen_round, interval
from training.paired import difference
from training.roc import auc, delong, over_clusters

BUNDLE = Path(__file__).parents[2] / "sample_scans" / "models" / "ct_organs_2d"

SCORES = st.lists(st.integers(0, 6), min_size=2, max_size=12)


def pairs(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """One for each pair that is in order, a half for a tie: (positives, negatives)."""
    return (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)


@given(SCORES, SCORES)
def test_the_area_is_the_share_of_pairs_in_order(positive: list[int], negative: list[int]) -> None:
    ours, others = np.array(positive, float), np.array(negative, float)
    assert auc(ours, others) == pytest.approx(pairs(ours, others).mean())


@given(SCORES, SCORES)
def test_delongs_variance_is_that_of_its_definition(positive: list[int], negative: list[int]) -> None:
    """Rows and columns of the table of pairs: their means are DeLong's structural components."""
    ours, others = np.array(positive, float), np.array(negative, float)
    table, found = pairs(ours, others), delong(ours, others)
    variance = table.mean(1).var(ddof=1) / len(ours) + table.mean(0).var(ddof=1) / len(others)
    if table.mean() in (0, 1):
        assert np.isnan([found.low, found.high]).all()
        return
    low, high = (
        stats.norm.interval(0.95, table.mean(), np.sqrt(variance)) if variance else (table.mean(),) * 2
    )
    assert (found.low, found.high) == pytest.approx((max(0, low), min(1, high)), abs=1e-6)


def test_delong_on_an_example_done_by_hand() -> None:
    """Positives 3, 5; negatives 1, 4: three of four pairs in order; both variances are 1/8, halved."""
    found = delong(np.array([3.0, 5.0]), np.array([1.0, 4.0]))
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 1.959964 * np.sqrt(0.125))
    assert found.high == 1


def test_delongs_interval_holds_the_true_area_about_95_times_in_100() -> None:
    """Two normals a unit apart: the true area is Phi(1 / sqrt 2)."""
    rng, true = np.random.default_rng(0), stats.norm.cdf(1 / np.sqrt(2))
    found = [delong(rng.normal(1, 1, 60), rng.normal(0, 1, 80)) for _ in range(1000)]
    assert np.mean([one.low <= true <= one.high for one in found]) == pytest.approx(0.945, abs=0.02)


def test_without_one_kind_there_is_no_area_and_without_two_no_interval() -> None:
    assert np.isnan(delong(np.array([]), np.array([1.0])).value)
    assert np.isnan(delong(np.array([1.0]), np.array([0.0, 2.0])).low)


def test_single_pictures_as_clusters_give_about_delongs_interval() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([1, 0], 150)
    scores = rng.normal(labels, 1)
    each = over_clusters(scores, labels, np.arange(300))
    known = delong(scores[labels == 1], scores[labels == 0])
    assert (each.value, each.low, each.high) == pytest.approx((known.value, known.low, known.high), abs=0.01)


def test_copies_narrow_delongs_interval_and_not_that_over_clusters() -> None:
    """Ten copies of each picture bring nothing new: only the interval over clusters knows."""
    rng = np.random.default_rng(2)
    labels = np.repeat([1, 0], 40)
    scores = rng.normal(labels, 1)
    many = [np.repeat(one, 10) for one in (scores, labels, np.arange(80))]
    once, copied = over_clusters(scores, labels, np.arange(80)), over_clusters(*many)
    fooled = delong(many[0][many[1] == 1], many[0][many[1] == 0])
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high))
    assert fooled.high - fooled.low < 0.5 * (copied.high - copied.low)
    assert np.isnan(over_clusters(scores, labels, np.zeros(80)).low)


def test_wilsons_interval_is_scipys() -> None:
    for hits, of in itertools.product((0, 1, 7, 20), (20, 31)):
        known = stats.binomtest(hits, of).proportion_ci(method="wilson")
        found = wilson(hits, of)
        assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-6)
        assert found.value == hits / of
    assert np.isnan(wilson(0, 0).value)


def test_the_table_counts_each_case_and_leaves_out_what_is_unknown() -> None:
    called = np.array([True, True, True, False, False, True])
    table = confusion(called, np.array([1, 1, 0, 1, 0, np.nan]))
    counts = (table.true_positive, table.false_positive, table.false_negative, table.true_negative)
    assert counts == (2, 1, 1, 1)
    assert (table.sensitivity.value, table.specificity.value) == pytest.approx((2 / 3, 1 / 2))


def test_losses_are_the_likelihoods_logarithm_and_do_not_overflow() -> None:
    margins, labels = np.array([2.0, -1.0, 0.3]), np.array([1, 1, 0])
    known = stats.bernoulli.logpmf(labels, expit(margins))
    assert np.allclose(losses(margins, labels), -known)
    assert losses(np.array([-2000.0]), np.array([1])) == pytest.approx(2000)


def test_the_fitted_temperature_is_the_one_the_labels_were_drawn_with() -> None:
    rng = np.random.default_rng(3)
    margins = rng.normal(0, 6, 20_000)
    labels = (rng.random(20_000) < expit(margins / 3)).astype(int)
    temperature = fit_temperature(margins, labels)
    assert temperature == pytest.approx(3, rel=0.05)
    before, after = calibration(margins, labels), calibration(margins, labels, temperature)
    assert after.nll < before.nll
    assert after.ece < 0.02 < before.ece
    assert after.brier < before.brier


def test_the_calibration_error_of_an_example_done_by_hand() -> None:
    """0.1 and 0.3 come true half and never: gaps 0.4 and 0.3, of two pictures and one."""
    assert calibration_error(np.array([0.1, 0.1, 0.3]), np.array([1, 0, 0])) == pytest.approx(1.1 / 3)
    assert calibration_error(np.array([1.0, 1.0]), np.array([1, 1])) == 0


def test_training_keeps_the_round_after_which_the_loss_no_longer_falls() -> None:
    rng = np.random.default_rng(4)
    noise = [rng.normal(0, 0.05, 400) for _ in range(5)]
    falling = [level + one for level, one in zip((0.9, 0.6, 0.4, 0.401, 0.2), noise, strict=True)]
    assert betters(falling[1], falling[0])
    assert not betters(falling[3], falling[2])
    assert chosen_round(falling[:3]) == 2
    assert chosen_round(falling) == 2
    known = stats.norm.interval(0.95, falling[0].mean(), stats.sem(falling[0]))
    assert (interval(falling[0]).low, interval(falling[0]).high) == pytest.approx(known, abs=1e-6)


def test_the_curve_is_written_a_row_an_epoch(tmp_path: Path) -> None:
    curve = Curve()
    for epoch in (1, 2):
        curve.add({"round": 1, "epoch": epoch}, 3.0, np.array([0.25, 0.75]), np.array([1.0, 1.0]))
    curve.write(tmp_path / "training_curve.csv")
    rows = list(csv.DictReader((tmp_path / "training_curve.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert (float(rows[0]["validation_loss"]), float(rows[0]["held_out_high"])) == (0.5, 1.0)


def test_a_card_shows_figures_with_their_intervals_and_refuses_to_leave_a_gap() -> None:
    figures = {"a": {"value": 0.5, "low": 0.25, "high": None}, "b": [{"c": 1}, {"c": None}], "d": 0.12345}
    figures["a"]["high"] = 0.75
    assert cards.filled("{a} {b.*.c} {d} {a.low}", figures) == "0.5 (0.25 to 0.75) 1, - 0.123 0.25"
    with pytest.raises(KeyError, match="a\\.middle"):
        cards.filled("{a.middle}", figures)
    assert cards.table(("x", "y"), [("1", "2")]) == "| x | y |\n|---|---|\n| 1 | 2 |"


def test_figures_go_into_a_bundle_and_leave_the_rest_of_it_alone(tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    place = tmp_path / "bundle" / "configs" / "metadata.json"
    before = json.loads(place.read_text())
    cards.write(tmp_path / "bundle", "the card", {"auc": 0.5})
    assert json.loads(place.read_text()) == before | {"eval_metrics": {"auc": 0.5}}
    assert (tmp_path / "bundle" / "docs" / "README.md").read_text() == "the card"


def test_trying_other_weights_leaves_the_users_register_of_known_models_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the shipped weights would be refused afterwards, as not those seen before."""
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "register"))
    drawn = reading.load_untrained(BUNDLE, 0)
    assert not (tmp_path / "register").exists()
    shipped = reading.load(BUNDLE)
    assert (tmp_path / "register" / "models.json").exists(), "a load in the open is remembered"
    first, second = (next(one.network.parameters()) for one in (drawn, shipped))
    assert not np.array_equal(first.numpy(force=True), second.numpy(force=True))


def test_a_paired_difference_is_sharper_than_its_parts_and_nought_for_the_same() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(0, 1, 60)
    before, after = hard, hard + 0.1 + rng.normal(0, 0.05, 60)

    def mean(values: np.ndarray, drawn: np.ndarray) -> float:
        return float(values[drawn].mean())

    found = difference(mean, before, after, np.arange(60))
    known = stats.norm.interval(0.95, (after - before).mean(), stats.sem(after - before))
    assert (found.low, found.high) == pytest.approx(known, abs=0.003)
    same = difference(mean, before, before, np.arange(60))
    assert (same.value, same.low, same.high) == (0, 0, 0)
