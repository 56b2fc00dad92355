"""Windows by hand, against closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, Volume
from voxcam.core.windows import PRESETS, Window
from voxcam.plugin.review.reading import Origin
from voxcam.plugin.review.windows import (
    FINE,
    PIXELS_A_WIDTH,
    Dragging,
    WindowMemory,
    dragged,
    offered_windows,
    preset_for_key,
    step_of,
    typed,
)

ABDOMEN = Window(40, 400, "abdomen")


def volume_of(voxels, modality="CT", unit="HU", windows=()):
    return Volume(voxels, Geometry(voxels.shape, np.eye(4)), modality, unit, windows)


def test_across_is_the_width_and_down_the_level():
    wider = dragged(ABDOMEN, PIXELS_A_WIDTH, 0)
    assert (wider.width, wider.centre) == (round(400 * math.e), 40)
    darker = dragged(ABDOMEN, 0, PIXELS_A_WIDTH / 4)
    assert (darker.width, darker.centre) == (400, 140)
    assert darker.apply(100) < ABDOMEN.apply(100)


def test_the_speed_is_in_proportion_to_the_width():
    suv, hu = dragged(Window(3.5, 7), 80, 40), dragged(Window(350, 700), 80, 40)
    assert suv.width == pytest.approx(hu.width / 100, rel=2e-3)
    assert suv.centre == pytest.approx(hu.centre / 100, rel=2e-3)


def test_fine_is_a_tenth_of_the_way():
    assert dragged(ABDOMEN, 100, -200, fine=True) == dragged(ABDOMEN, FINE * 100, -FINE * 200)


def test_a_slow_drag_in_parts_comes_as_far_as_a_quick_one():
    dragging, window = Dragging(), Window(40, 100)
    for _ in range(100):
        window = dragging.on(window, 0.5, -0.5)  # each an eighth of a HU
    assert window.width == pytest.approx(100 * math.exp(50 / PIXELS_A_WIDTH), abs=0.6)
    assert window.centre == pytest.approx(40 - 50 * 106.5 / PIXELS_A_WIDTH, abs=1)
    fresh = dragging.on(Window(0, 1000), 0, 4)  # another window was set meanwhile
    assert (fresh.width, fresh.centre) == (1000, 10)


def test_a_name_belongs_to_no_other_window():
    assert dragged(ABDOMEN, 10, 0).name == ""


@given(
    st.floats(1e-3, 1e6),
    st.floats(-1e5, 1e5),
    st.floats(-1e5, 1e5),
    st.floats(-1e5, 1e5),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_every_drag_ends_in_a_window(width, centre, dx, dy, function):
    found = dragged(Window(centre, width, "", function), dx, dy)
    assert found.width > 0
    assert found.ends[0] < found.ends[1]
    assert found.function == function or (function == "LINEAR" and found.width < 2)


def test_a_table_becomes_linear_between_the_same_ends():
    table = Window.of_table(100, [0, 0.9, 1, 1, 0.5])
    found = dragged(table, 0, 0)
    assert (found.ends, found.function, found.table) == (table.ends, "LINEAR_EXACT", ())
    assert dragged(Window(40, 80, "", "SIGMOID"), 100, 0).function == "SIGMOID"


@pytest.mark.parametrize(("width", "step"), [(400, 1), (80, 1), (7, 0.01), (1, 0.001), (40, 0.1), (4000, 1)])
def test_steps_fit_the_unit(width, step):
    assert step_of(width) == pytest.approx(step)


def test_typed_values_may_be_negative_and_beyond_the_voxels():
    assert typed(ABDOMEN, 1500, -600) == Window(-600, 1500)
    assert typed(Window(3.5, 7, "", "SIGMOID"), 5.25, 2.75) == Window(2.75, 5.25, "", "SIGMOID")
    assert typed(ABDOMEN, 90_000, -32_000).centre == -32_000


@pytest.mark.parametrize(
    ("width", "level", "words"),
    [(0, 1, "over 0"), (-3, 1, "over 0"), (math.nan, 1, "numbers"), (1, 1e12, "large")],
)
def test_what_is_no_window_is_refused_in_words(width, level, words):
    with pytest.raises(ValueError, match=words):
        typed(ABDOMEN, width, level)


def test_digits_choose_ct_presets_in_their_order_whatever_the_file_proposes():
    own = Window(35, 350)
    volume = volume_of(np.zeros((3, 3, 3), np.int16), windows=(own, Window(-500, 1600, "LUNG")))
    assert [preset_for_key(volume, n) for n in range(1, 10)] == list(PRESETS["CT"][:9])
    assert preset_for_key(volume, 0) == own
    offered = offered_windows(volume)
    assert [(one.key, one.window) for one in offered[:3]] == [
        ("0", own),
        ("", Window(-500, 1600, "LUNG")),
        ("1", PRESETS["CT"][0]),
    ]
    assert len({one.window for one in offered}) == len(offered)


def test_a_study_that_has_no_tenth_preset_answers_nothing():
    flat = volume_of(np.ones((3, 3, 3), np.float32), "MR", "")
    assert preset_for_key(flat, 9) is None
    colour = volume_of(np.zeros((3, 3, 1), COLOUR), "US", "")
    assert preset_for_key(colour, 1) is None
    assert preset_for_key(colour, 0) == colour.window


def test_each_series_is_remembered_by_its_key():
    memory, lung = WindowMemory(), Window(-600, 1500, "lung")
    memory.note(Origin(Path("a"), "k1"), lung)
    memory.note(None, ABDOMEN)
    assert memory.recall(Origin(Path("elsewhere"), "k1")) == lung
    assert memory.recall(Origin(Path("a"), "k2")) is None
    assert memory.recall(None) is None
