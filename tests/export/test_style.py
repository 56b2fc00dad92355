from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.phantoms import explained, spot, study
from voxcam.export.style import (
    CLASS_COLOURS,
    COLOURS,
    SIGNED,
    HeatmapStyle,
    colour_table,
    colours_of,
    paint,
    shared_style,
)

POSITIVE = [name for name in COLOURS if name != SIGNED]
thresholds = st.floats(0, 0.99)


def test_paint_is_source_over_worked_out_by_hand():
    style = HeatmapStyle(0.0, 255.0, opacity=0.5, colours="viridis")
    # On a whole number the colour is an entry of the table, without interpolation.
    red, green, blue, alpha = colour_table("viridis")[100]
    share = 0.5 * alpha
    expected = [0.2 * (1 - share) + c * share for c in (red, green, blue)]
    np.testing.assert_allclose(paint([[0.2]], [[100.0]], style)[0, 0], expected, rtol=1e-12)
    # Half way between entries colour and alpha are half way.
    middle = colour_table("viridis")[100:102].mean(axis=0)
    share = 0.5 * middle[3]
    np.testing.assert_allclose(
        paint([[0.2]], [[100.5]], style)[0, 0], 0.2 * (1 - share) + middle[:3] * share, rtol=1e-12
    )


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_napari_gives_for_the_same_table(name):
    colormaps = pytest.importorskip("napari.utils.colormaps")
    low, high = (-2.0, 2.0) if name == SIGNED else (0.5, 4.0)
    style = HeatmapStyle(low, high, 0.1, 1.0, name)
    values = np.linspace(low - 1, high + 1, 777)
    values[::50] = np.nan
    theirs = colormaps.Colormap(style.table).map(np.clip((values - low) / (high - low), 0, 1))
    ours = colours_of(values, style)
    seen = ~np.isnan(values)
    np.testing.assert_allclose(ours[seen], theirs[seen], atol=2e-5)  # napari keeps float32
    assert not theirs[~seen][:, 3].any()
    assert not ours[~seen][:, 3].any()


@pytest.mark.parametrize("name", POSITIVE)
@given(threshold=thresholds)
def test_more_evidence_is_never_more_transparent(name, threshold):
    values = np.linspace(-1, 5, 3001)
    alpha = colours_of(values, HeatmapStyle(0.0, 4.0, threshold, 0.9, name))[:, 3]
    assert (np.diff(alpha) >= 0).all()
    assert alpha[-1] == pytest.approx(0.9)


@given(threshold=thresholds)
def test_signed_colours_grow_opaque_both_ways_alike(threshold):
    values = np.linspace(-5, 5, 3001)
    alpha = colours_of(values, HeatmapStyle(-4.0, 4.0, threshold, 1.0, SIGNED))[:, 3]
    np.testing.assert_allclose(alpha, alpha[::-1], atol=1e-9)
    assert (np.diff(alpha[1500:]) >= 0).all()
    np.testing.assert_allclose(alpha[np.abs(values) < threshold * 4], 0, atol=1e-12)


@pytest.mark.parametrize("name", POSITIVE)
@given(threshold=thresholds)
def test_nothing_is_shown_up_to_the_threshold_and_where_nothing_was_seen(name, threshold):
    style = HeatmapStyle(0.0, 4.0, threshold, 1.0, name)
    values = np.append(np.linspace(-3, threshold * 4, 500), np.nan)
    np.testing.assert_allclose(colours_of(values, style)[:, 3], 0, atol=1e-12)
    grey = np.linspace(0, 1, 501)[None]
    np.testing.assert_allclose(paint(grey, values[None], style), np.repeat(grey[..., None], 3, -1))


def test_low_evidence_is_faint_and_high_evidence_is_not():
    alpha = colours_of([0.1, 0.9], HeatmapStyle(0.0, 1.0, opacity=1.0))[:, 3]
    assert alpha[0] < 0.2
    assert alpha[1] > 0.9


def test_colour_depends_on_the_value_and_not_on_the_threshold():
    for name in COLOURS:
        np.testing.assert_array_equal(colour_table(name, 0.7)[:, :3], colour_table(name)[:, :3])


@pytest.mark.parametrize("name", ["inferno", "magma", "viridis", "cividis", *CLASS_COLOURS])
def test_a_higher_value_is_a_lighter_colour(name):
    linear = np.where(
        (rgb := colour_table(name)[:, :3]) <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
    )
    lightness = linear @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > -1e-4).all()
    assert lightness[0] > 0.01  # not black at the low end


def test_a_second_class_is_laid_over_the_first():
    first, second = HeatmapStyle(0, 1, colours="sky"), HeatmapStyle(0, 1, colours="orange", opacity=1.0)
    once = paint([[0.5, 0.5]], [[1.0, 1.0]], first)
    twice = paint(once, [[1.0, np.nan]], second)
    np.testing.assert_allclose(twice[0, 0], colour_table("orange")[-1, :3])
    np.testing.assert_allclose(twice[0, 1], once[0, 1])


def test_the_shared_style_spans_all_classes():
    explanation = explained(study(), {"a": spot(value=2.0), "b": spot(value=5.0), "c": -spot()})
    assert (shared_style(explanation).low, shared_style(explanation).high) == (0.0, 5.0)
    signed = shared_style(explanation, colours=SIGNED)
    assert (signed.low, signed.high) == (-5.0, 5.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 1, "high": 1}, "grows from low to high"),
        ({"low": 0, "high": float("nan")}, "grows from low to high"),
        ({"low": -1, "high": 1}, "signed"),
        ({"low": -1, "high": 2, "colours": SIGNED}, "low = -high"),
        ({"low": 0, "high": 1, "threshold": 1.0}, "threshold"),
        ({"low": 0, "high": 1, "opacity": 1.5}, "opacity"),
        ({"low": 0, "high": 1, "colours": "hot"}, "there is inferno"),
    ],
)
def test_a_style_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        HeatmapStyle(**arguments)
