from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing
from pydicom.pixels.processing import apply_voi

from voxcam.core.lazy import Stacked
from voxcam.core.volume import COLOUR
from voxcam.core.windows import PRESETS, Window, preset_for, presets, window_of_values


def by_pydicom(values, centre, width, function):
    """Brightness 0..1 of 16-bit `values`, by pydicom's own reading of C.11.2.1.2 and C.11.2.1.3."""
    header = Dataset()
    header.PhotometricInterpretation = "MONOCHROME2"
    header.PixelRepresentation = 1
    header.BitsStored = 16
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = centre, width, function
    grey = apply_windowing(values.astype(np.int16), header)
    return (grey + 2**15) / (2**16 - 1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@given(centre=st.integers(-2000, 4000), width=st.integers(2, 6000), half=st.booleans())
def test_brightness_agrees_with_pydicom(function, centre, width, half):
    values = np.arange(-3000, 6000, 7)
    exact = centre + (0.5 if half else 0)
    ours = Window(exact, width, function=function).apply(values)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, by_pydicom(values, exact, width, function), atol=2e-5)


@given(centre=st.integers(-2000, 4000))
def test_a_linear_window_one_wide_is_a_threshold_as_in_pydicom(centre):
    values = np.arange(centre - 5, centre + 6)
    ours = Window(centre, 1, function="LINEAR").apply(values)
    np.testing.assert_array_equal(ours, np.round(by_pydicom(values, centre, 1, "LINEAR")))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@given(centre=st.floats(-2000, 4000), width=st.floats(0.01, 5000))
def test_brightness_rises_from_0_to_1_without_a_warning(function, centre, width):
    values = np.concatenate([[-1e30], np.linspace(-1e5, 1e5, 501), [1e30]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bright = Window(centre, width, function=function).apply(values)
    assert (np.diff(bright) >= 0).all()
    assert (bright[0], bright[-1]) == (0, 1)


@pytest.mark.parametrize(
    ("function", "ends"),
    [("LINEAR", (-160, 239)), ("LINEAR_EXACT", (-160, 240)), ("SIGMOID", (-160, 240))],
)
def test_the_ends_are_where_black_and_white_begin(function, ends):
    window = Window(40, 400, function=function)
    assert window.ends == ends
    if function == "SIGMOID":
        # The tangent at the centre, slope 1 / width, meets 0 and 1 at the ends.
        slope = np.diff(window.apply([39.5, 40.5]))[0]
        assert 0.5 + slope * (ends[1] - 40) == pytest.approx(1, abs=1e-3)
    else:
        np.testing.assert_allclose(window.apply(ends), (0, 1), atol=1e-6)
        inner = window.apply([ends[0] + 1, ends[1] - 1])
        assert 0 < inner[0] < inner[1] < 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_hole_stays_a_hole_and_shape_and_input_are_kept(function):
    values = np.array([[np.nan, 0.0], [40.0, 500.0]])
    before = values.copy()
    bright = Window(40, 400, function=function).apply(values)
    assert bright.shape == (2, 2)
    assert np.isnan(bright[0, 0])
    assert np.isfinite(bright.ravel()[1:]).all()
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("centre", "width"), [(0, 0), (0, -1), (0, np.nan), (np.nan, 1), (np.inf, 1), (0, np.inf)]
)
def test_a_window_that_shows_nothing_is_refused(centre, width):
    with pytest.raises(ValueError, match="finite centre and a width over 0"):
        Window(centre, width)


def test_a_window_says_what_readers_call_it():
    assert str(Window(-600, 1500, "lung")) == "lung W 1500 / L -600"
    assert str(Window(0.5, 2.25)) == "W 2.25 / L 0.5"


def test_ct_begins_with_the_abdomen_and_knows_the_usual_windows():
    by_name = {window.name: (window.width, window.centre) for window in PRESETS["CT"]}
    assert PRESETS["CT"][0].name == "abdomen"
    assert len(by_name) == len(PRESETS["CT"])
    assert by_name["abdomen"] == (400, 40)
    assert by_name["lung"] == (1500, -600)
    assert by_name["brain"] == (80, 40)
    assert all(dataclasses.astuple(window) for window in PRESETS["CT"])


@pytest.mark.parametrize(
    ("values", "centre"), [([7, 7, 7], 7), ([], 0), ([np.nan, np.inf], 0), ([np.nan, -3.0], -3), ([0], 0)]
)
def test_a_constant_or_nothing_gives_a_window_that_can_be_shown(values, centre):
    window = window_of_values(np.array(values, dtype=np.float32))
    assert (window.centre, window.width, window.name) == (centre, 1, "constant")


def test_air_and_holes_do_not_pull_the_window():
    rng = np.random.default_rng(0)
    tissue = rng.normal(300, 20, 10_000)
    padded = np.concatenate([np.full(90_000, -1024.0), [np.nan] * 49, [np.inf], tissue])
    window = window_of_values(rng.permutation(padded).reshape(50, -1))
    low, high = np.percentile(tissue, (1, 99))
    assert window.ends == pytest.approx((low, high), abs=1e-3)


def test_a_single_value_over_the_air_gives_a_width_over_0():
    assert window_of_values([0, 0, 5]).width > 0


def test_whole_numbers_at_the_ends_of_their_type_do_not_overflow():
    ends = window_of_values(np.array([-32768, -32767, 32767], np.int16)).ends
    assert ends == pytest.approx(np.percentile([-32767, 32767], (1, 99)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(512, 512, 16), (256, 256, 64), (2, 1024, 2048)])
def test_a_large_volume_is_sampled_throughout_not_in_one_slice_or_column(shape, order):
    # Every slice along each axis in turn has its own value: percentiles show which were seen.
    for axis, count in enumerate(shape):
        ramp = np.zeros(shape, np.int16, order=order)
        ramp += np.arange(count, dtype=np.int16).reshape([-1 if a == axis else 1 for a in range(3)])
        low, high = window_of_values(ramp).ends
        if count > 2:
            assert low == pytest.approx(np.percentile(np.arange(1, count), 1), abs=0.02 * count)
            assert high == pytest.approx(np.percentile(np.arange(1, count), 99), abs=0.02 * count)


def by_pydicom_table(values, first, outputs):
    header, item = Dataset(), Dataset()
    item.LUTDescriptor, item.LUTData = [len(outputs), first, 16], outputs
    item["LUTData"].VR = "US"
    header.VOILUTSequence = [item]
    return apply_voi(values, header)


@given(
    st.lists(st.integers(0, 65535), min_size=2, max_size=50), st.integers(-100, 100), st.integers(-300, 300)
)
def test_a_table_agrees_with_pydicom_at_whole_numbers(outputs, first, start):
    values = np.arange(start, start + 150)
    ours = Window.of_table(first, np.array(outputs) / 65535).apply(values)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, by_pydicom_table(values, first, outputs) / 65535, atol=1e-4)


def test_between_its_entries_a_table_is_linear_and_a_hole_stays_a_hole():
    table = Window.of_table(10, [0, 1, 0.5])
    np.testing.assert_allclose(
        table.apply([[-1e9, 10.25, 11.5], [12, np.inf, np.nan]]), [[0, 0.25, 0.75], [0.5, 0.5, np.nan]]
    )
    assert (table.ends, table.centre, table.width) == ((10, 12), 11, 2)
    assert str(dataclasses.replace(table, name="harder")) == "harder table 10 to 12"
    assert table == Window.of_table(10, (0.0, 1.0, 0.5))
    assert hash(table) == hash(Window.of_table(10, (0.0, 1.0, 0.5)))
    assert table != Window.of_table(10, (0.0, 1.0, 0.6))


def test_a_table_survives_json():
    table = Window.of_table(-3, [0, 0.1, 1 / 3], "normal")
    assert Window(**json.loads(json.dumps(dataclasses.asdict(table)))) == table


@pytest.mark.parametrize("brightness", [[], [0.5], [0, 1.1], [-0.1, 1], [0, np.nan]])
def test_a_table_of_nothing_or_beyond_black_and_white_is_refused(brightness):
    with pytest.raises(ValueError, match="table"):
        Window.of_table(0, brightness)


def test_only_a_table_has_entries():
    with pytest.raises(ValueError, match="other windows none"):
        Window(40, 400, table=(0, 1))
    with pytest.raises(ValueError, match="two entries or more"):
        Window(40, 400, function="TABLE")


def noise(shape=(20, 20, 20)):
    return np.random.default_rng(0).gamma(2, 100, shape).astype(np.float32)


@pytest.mark.parametrize("modality", ["MR", "CR", "DX", "MG", "XA", "US", ""])
def test_presets_without_a_unit_look_the_same_on_any_scale(modality):
    values = noise()
    plain, scaled = (presets(modality, "", v) for v in (values, 3 * values + 70))
    assert len({window.name for window in plain}) == len(plain) >= 3
    for one, other in zip(plain, scaled, strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.apply(values), other.apply(3 * values + 70), atol=1e-4)


def test_a_preset_shows_the_share_it_names():
    values = noise()
    inside = values[values > values.min()]
    by_name = {window.name: window for window in presets("MR", "", values)}
    assert next(iter(by_name)) == "1-99 %" == window_of_values(values).name
    assert by_name["full range"].ends == pytest.approx((inside.min(), inside.max()))
    assert by_name["bright structures"].ends == pytest.approx(np.percentile(inside, (50, 99.9)))


@pytest.mark.parametrize("modality", ["PT", "NM"])
def test_counts_begin_at_zero_unless_they_go_below(modality):
    first = presets(modality, "BQML", noise() + 50)[0]
    assert first.ends == pytest.approx((0, np.percentile(noise() + 50, 99.9)), rel=1e-3)
    assert presets(modality, "", noise() - 500)[0].ends[0] < 0


def test_absolute_units_have_presets_of_their_own():
    assert presets("CT", "HU", noise()) is PRESETS["CT"]
    assert presets("PT", "SUV", noise())[0].ends == (0, 7)
    assert presets("SEG", "label", noise()) == presets("US", "", np.zeros((2, 2, 1), COLOUR)) == ()
    assert [window.name for window in presets("MR", "", np.zeros((3, 3, 3)))] == ["constant"]
    assert presets("MR", "", [0, 5, 5])[0].width > 0


@pytest.mark.parametrize(
    ("body_part", "name"),
    [
        ("CHEST", "lung"),
        ("lung", "lung"),
        ("HEAD", "brain"),
        ("T-SPINE", "spine"),
        ("LIVER", "liver"),
        ("ABDOMEN", "abdomen"),
        ("IAC ", "temporal bone"),
        ("KNEE", "bone"),
        ("HEART", "mediastinum"),
        ("", "abdomen"),
        ("of Mrs Canary", "abdomen"),
    ],
)
def test_a_body_part_chooses_the_ct_window(body_part, name):
    assert preset_for(body_part).name == name


def test_every_body_part_has_a_preset():
    from voxcam.core.windows import _BODY_PARTS

    assert set(_BODY_PARTS) <= {window.name for window in PRESETS["CT"]}
    terms = [term for terms in _BODY_PARTS.values() for term in terms]
    assert len(set(terms)) == len(terms)


def test_of_a_stack_read_as_asked_some_slices_throughout_tell_the_window():
    values = np.random.default_rng(0).normal(300, 20, (16, 16, 400))
    values += np.linspace(0, 100, 400)
    read = []
    stack = Stacked(lambda k: read.append(k) or values[:, :, k], (16, 16), 400, np.float64)
    assert window_of_values(stack).ends == pytest.approx(window_of_values(values).ends, abs=5)
    assert len(read) <= 24
    assert (min(read), max(read)) == (0, 399)
