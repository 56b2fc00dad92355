from __future__ import annotations

import json

import numpy as np
import pytest
from builders import affine_of, noise, write_dicom_series

from voxcam import io
from voxcam.errors import GridError

UIDS = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "StudyInstanceUID": "1.2.5"}
AFFINE = affine_of((20, -15, 30))
# A time nobody could miss: 17:42:58.
CLOCK = "174258"


def write_moments(folder, moments, *, count=3, slices=4, each=None, numbered="by moment", **elements):
    """Write `count` volumes at one place, moment t by ``moments(t, k)``, and return voxels (i, j, k, t)."""
    voxels = np.stack([noise((6, 5, slices), seed=t) for t in range(count)], axis=-1)
    for t in range(count):

        def own(k, t=t):
            number = {"by moment": t * slices + k + 1, "by slice": k * count + t + 1}.get(numbered)
            return {"InstanceNumber": number, **moments(t, k)}

        write_dicom_series(
            folder / f"{count - t}",  # files in another order than moments
            voxels[..., t],
            AFFINE,
            each=own,
            **{**UIDS, "RescaleIntercept": "0", "Modality": "MR", **elements},
        )
    return voxels


def the_series(place):
    study = io.scan(place)
    (series,) = study.series
    assert study.found == study.loaded
    return series


@pytest.mark.parametrize(
    ("moments", "axis"),
    [
        (
            lambda t, k: {"EchoTime": str((30, 2.5, 80)[t])},
            ("echo time", "ms", (2.5, 30, 80), "EchoTime (0018,0081)"),
        ),
        (
            lambda t, k: {"TemporalPositionIdentifier": str((2, 10, 1)[t])},
            ("time point", "", (1, 2, 10), "TemporalPositionIdentifier (0020,0100)"),
        ),
        (
            lambda t, k: {"TriggerTime": str((50.5, 0, 700)[t])},
            ("cardiac phase", "ms", (0, 50.5, 700), "TriggerTime (0018,1060)"),
        ),
        (
            lambda t, k: {"AcquisitionNumber": str((9, 3, 12)[t])},
            ("acquisition", "", (3, 9, 12), "AcquisitionNumber (0020,0012)"),
        ),
        (
            lambda t, k: {"DiffusionBValue": float((1000, 0, 50)[t])},
            ("b-value", "s/mm²", (0, 50, 1000), "DiffusionBValue (0018,9087) and gradient"),
        ),
        (
            lambda t, k: {"InversionTime": str((900, 100, 2500)[t])},
            ("inversion time", "ms", (100, 900, 2500), "InversionTime (0018,0082)"),
        ),
        (
            lambda t, k: {"FlipAngle": str((15, 2, 30)[t])},
            ("flip angle", "degrees", (2, 15, 30), "FlipAngle (0018,1314)"),
        ),
        (
            lambda t, k: {"AcquisitionTime": f"1742{(58, 57, 59)[t]}.25"},
            ("time", "s", (0, 1, 2), "AcquisitionTime (0008,0032)"),
        ),
        (
            lambda t, k: {"ContentTime": f"17{(43, 42, 44)[t]}00"},
            ("time", "s", (0, 60, 120), "ContentTime (0008,0033)"),
        ),
    ],
)
def test_what_tells_images_at_one_place_apart_orders_the_fourth_axis(moments, axis, tmp_path):
    voxels = write_moments(tmp_path, moments)
    name, unit, values, stated_by = axis
    stated = [next(iter(moments(t, 0).values())) for t in range(3)]
    order = np.argsort([float(one) for one in stated])
    series = the_series(tmp_path)
    volume = io.read(series)
    assert series.shape == (6, 5, 4, 3)
    assert (volume.fourth.name, volume.fourth.unit, volume.fourth.stated_by) == (name, unit, stated_by)
    assert volume.fourth.values == pytest.approx(values)
    np.testing.assert_array_equal(volume.voxels, voxels[..., order])
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-9)
    assert volume.moment(1).source["moment"]["value"] == pytest.approx(values[1])


def test_gradients_tell_images_of_one_b_value_apart(tmp_path):
    directions = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    voxels = write_moments(
        tmp_path,
        lambda t, k: {
            "DiffusionBValue": 1000.0 if t else 0.0,
            "DiffusionGradientOrientation": list(directions[t]),
        },
    )
    volume = io.read(the_series(tmp_path))
    assert volume.fourth.name == "b-value"
    assert volume.fourth.values == (0.0, "1000 (0.000, 1.000, 0.000)", "1000 (1.000, 0.000, 0.000)")
    np.testing.assert_array_equal(volume.voxels, voxels[..., [0, 2, 1]])


def slice_clocks(t, k):
    """Every image has its own time: slices one after the other, 2 s a volume."""
    return {"AcquisitionTime": f"1742{30 + 2 * t:02d}.{100 * k:06d}", "ContentTime": f"1743{t:02d}.{k:06d}"}


@pytest.mark.parametrize("numbered", ["by moment", "by slice"])
def test_times_that_differ_slice_by_slice_leave_the_order_of_instance_numbers(numbered, tmp_path):
    voxels = write_moments(tmp_path, slice_clocks, numbered=numbered)
    volume = io.read(the_series(tmp_path))
    assert volume.fourth.name == "repeat"
    assert volume.fourth.stated_by == "order of InstanceNumber (0020,0013)"
    assert volume.fourth.values == ()
    np.testing.assert_array_equal(volume.voxels, voxels)


def test_images_of_one_place_and_one_number_that_nothing_tells_apart_are_not_put_in_an_order(tmp_path):
    write_moments(tmp_path, lambda t, k: {"InstanceNumber": k + 1}, count=2)
    with pytest.raises(GridError, match="nothing that tells them apart"):
        io.read(the_series(tmp_path))


def test_two_attributes_that_vary_together_both_name_the_axis(tmp_path):
    echoes, times = (5.0, 20.0), (1, 2, 3)
    voxels = write_moments(
        tmp_path,
        lambda t, k: {"EchoTime": str(echoes[t % 2]), "TemporalPositionIdentifier": str(times[t // 2])},
        count=6,
    )
    volume = io.read(the_series(tmp_path))
    assert volume.shape == (6, 5, 4)
    assert volume.voxels.shape[3] == 6
    assert volume.fourth.name == "time point, echo time"
    assert volume.fourth.values == tuple(f"{float(t)} / {e}" for t in times for e in echoes)
    np.testing.assert_array_equal(volume.voxels, voxels)


@pytest.mark.parametrize("keyword", ["TemporalPositionIdentifier", "EchoTime", "AcquisitionNumber"])
def test_an_acquisition_that_was_cut_off_is_set_apart_and_nothing_is_dropped(keyword, tmp_path):
    voxels = write_moments(tmp_path, lambda t, k: {keyword: str(t + 1)}, count=4, slices=5)
    for path in sorted((tmp_path / "1").iterdir())[3:]:  # moment 3
        path.unlink()
    study = io.scan(tmp_path)
    assert (study.found, study.loaded, study.refused, study.skipped) == (18, 18, 0, 0)
    assert sum(len(series.headers) for series in study.series) == 18
    whole, rest = sorted(study.series, key=lambda series: -len(series.headers))
    assert whole.shape == (6, 5, 5, 3)
    assert rest.shape == (6, 5, 3)
    for series in (whole, rest):
        assert any(f.kind == "incomplete-axis" and f.count == len(series.headers) for f in series.findings)
    np.testing.assert_array_equal(io.read(whole).voxels, voxels[..., :3])
    np.testing.assert_array_equal(io.read(rest).voxels, voxels[:, :, :3, 3])


def test_echoes_of_times_that_were_cut_off_are_set_apart(tmp_path):
    voxels = write_moments(
        tmp_path,
        lambda t, k: {"EchoTime": str((5, 20)[t % 2]), "TemporalPositionIdentifier": str(t // 2 + 1)},
        count=6,
        slices=5,
    )
    for path in sorted((tmp_path / "1").iterdir())[3:]:  # the second echo of the last time
        path.unlink()
    study = io.scan(tmp_path)
    assert (study.found, study.loaded) == (28, 28)
    whole, rest = sorted(study.series, key=lambda series: -len(series.headers))
    assert (whole.shape, rest.shape) == ((6, 5, 5, 5), (6, 5, 3))
    np.testing.assert_array_equal(io.read(rest).voxels, voxels[:, :, :3, 5])
    volume = io.read(whole)
    for t, (time, echo) in enumerate([(1, 5), (1, 20), (2, 5), (2, 20), (3, 5)]):
        place = volume.fourth.values.index(f"{float(time)} / {float(echo)}")
        np.testing.assert_array_equal(np.asarray(volume.voxels)[..., place], voxels[..., t])


def test_a_plain_volume_whose_slices_have_numbers_and_times_of_their_own_stays_one(tmp_path):
    voxels = noise((6, 5, 7))
    write_dicom_series(
        tmp_path,
        voxels,
        AFFINE,
        each=lambda k: {"AcquisitionNumber": k // 2 + 1, **slice_clocks(0, k), "EchoTime": str(k + 1)},
        RescaleIntercept="0",
    )
    volume = io.read(the_series(tmp_path))
    assert volume.fourth is None
    np.testing.assert_array_equal(volume.voxels, voxels)


def test_copies_of_a_volume_are_no_moments(tmp_path):
    paths = write_dicom_series(tmp_path / "a", noise(), **UIDS)
    (tmp_path / "b").mkdir()
    for path in paths:
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    volume = io.read(the_series(tmp_path))
    assert volume.fourth is None
    np.testing.assert_array_equal(volume.voxels, noise() - 1024)


def test_magnitude_and_phase_are_two_volumes_not_two_moments(tmp_path):
    kinds = ["M", "P"]
    voxels = write_moments(
        tmp_path, lambda t, k: {"ImageType": ["ORIGINAL", "PRIMARY", kinds[t], "ND"]}, count=2
    )
    study = io.scan(tmp_path)
    assert [series.shape for series in study.series] == [(6, 5, 4)] * 2
    found = [np.asarray(io.read(series).voxels) for series in study.series]
    assert sorted(map(np.sum, found)) == sorted(voxels.sum(axis=(0, 1, 2)))


def test_moments_each_have_their_own_rescale(tmp_path):
    voxels = write_moments(
        tmp_path,
        lambda t, k: {"TemporalPositionIdentifier": str(t + 1), "RescaleSlope": str(0.5 + t + 0.25 * k)},
        Modality="PT",
    )
    slopes = 0.5 + np.arange(3)[None, :] + 0.25 * np.arange(4)[:, None]
    volume = io.read(the_series(tmp_path))
    np.testing.assert_allclose(volume.voxels, voxels * slopes, rtol=1e-6)


def test_no_clock_time_of_the_files_shows_up(tmp_path):
    write_moments(
        tmp_path,
        lambda t, k: {
            "AcquisitionTime": f"{int(CLOCK) + t}",
            "AcquisitionDateTime": f"19620430{CLOCK}",
            "AcquisitionDate": "19620430",
        },
    )
    series = the_series(tmp_path)
    volume = io.read(series)
    assert volume.fourth.values == (0, 1, 2)
    shown = json.dumps([repr(volume.fourth), dict(volume.source), str(series), repr(series)], default=str)
    shown += " ".join(finding.text for finding in series.findings) + json.dumps(volume.moment(2).source)
    seconds = 17 * 3600 + 42 * 60 + 58
    for told in (CLOCK, "17:42", "1962", str(seconds), str(seconds + 1)):
        assert told not in shown


def test_a_volume_over_the_limit_is_read_moment_by_moment(tmp_path, monkeypatch):
    voxels = write_moments(tmp_path, lambda t, k: {"EchoTime": str(t + 1)})
    series = the_series(tmp_path)
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "200")
    volume = io.read(series)
    assert not isinstance(volume.voxels, np.ndarray)
    assert tuple(volume.voxels.shape) == voxels.shape
    monkeypatch.undo()
    np.testing.assert_array_equal(np.asarray(volume.voxels), voxels)


def test_moments_across_midnight_keep_their_order(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "Modality": "MR"}
    for number, clock in enumerate(("235950", "000010", "235930", "000030")):
        write_dicom_series(tmp_path / clock, noise(seed=number), AcquisitionTime=clock, **uids)
    volume = io.read(io.scan(tmp_path).choose())
    assert volume.fourth.values == (0, 20, 40, 60)
    for moment, seed in enumerate((2, 0, 1, 3)):
        np.testing.assert_array_equal(volume.voxels[..., moment], noise(seed=seed) - 1024)
