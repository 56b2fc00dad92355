from __future__ import annotations

import numpy as np
import pytest
from builders import affine_of, decimals, noise, write_dicom_series

from voxcam import io
from voxcam.errors import GridError, ReadError

UPRIGHT = affine_of(spacing=(0.8, 0.9, 2.0))
OBLIQUE = affine_of((30, -20, 45), (0.8, 0.9, 2.0), (10, 20, -30))
TILTED = affine_of((15, 0, 0), (0.8, 0.9, 2.0), (10, 20, -30), shear=(0.3, -0.7))
AFFINES = {"upright": UPRIGHT, "oblique": OBLIQUE, "tilted": TILTED}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_at(folder, voxels, affine, at, **elements):
    """Write slice n of the voxels at ``at[n]`` steps along the k axis of `affine`."""

    def each(n):
        place = LPS[:3, :3] @ (affine[:3, :3] @ (0, 0, at[n]) + affine[:3, 3])
        return {"ImagePositionPatient": decimals(place)}

    write_dicom_series(folder, voxels, affine, each=each, **{"RescaleIntercept": "0", **elements})
    return [affine[:3, :3] @ (0, 0, a) + affine[:3, 3] for a in at]


def the_series(place):
    (series,) = io.scan(place).series
    return series


@pytest.fixture(params=AFFINES)
def affine(request):
    return AFFINES[request.param]


LOST = [[0, 1, 3, 4], [0, 1, 2, 5, 6, 7], [0, 2, 3, 4, 7, 8, 9, 11], [0, 1, 2, 3, 9]]


@pytest.mark.parametrize("at", LOST)
def test_missing_slices_stop_the_reading_unless_a_policy_is_named(affine, at, tmp_path):
    write_at(tmp_path, noise((6, 5, len(at))), affine, at)
    series = the_series(tmp_path)
    assert not series.readable
    assert series.can_be_read("mark")
    lost = at[-1] + 1 - len(at)
    (finding,) = [f for f in series.findings if f.stops]
    assert (finding.kind, finding.count) == ("missing-slices", lost)
    with pytest.raises(GridError, match=rf"{lost} slices? (is|are) missing of {at[-1] + 1}"):
        io.read(series)


@pytest.mark.parametrize("at", LOST)
def test_marked_gaps_leave_every_measured_slice_as_it_is_where_it_is(affine, at, tmp_path):
    voxels = noise((6, 5, len(at)))
    places = write_at(tmp_path, voxels, affine, at)
    volume = io.read(the_series(tmp_path), gaps="mark")
    assert volume.shape == (6, 5, at[-1] + 1)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels[:, :, at], voxels)
    np.testing.assert_allclose(volume.geometry.to_world([(0, 0, k) for k in at]), places, atol=1e-6)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    empty = [k for k in range(at[-1] + 1) if k not in at]
    assert list(volume.empty) == empty
    assert volume.source["gap_slices"] == empty
    assert (volume.voxels[:, :, empty] == voxels.min()).all()


def test_marked_gaps_of_real_numbers_hold_nothing(tmp_path):
    voxels = noise((6, 5, 4))
    write_at(tmp_path, voxels, OBLIQUE, [0, 1, 3, 4], RescaleSlope="0.5")
    volume = io.read(the_series(tmp_path), gaps="mark")
    assert np.isnan(volume.voxels[:, :, 2]).all()
    np.testing.assert_array_equal(volume.voxels[:, :, [0, 1, 3, 4]], voxels * 0.5)


@pytest.mark.parametrize("at", LOST)
def test_interpolated_gaps_reproduce_a_ramp_along_the_stack(affine, at, tmp_path):
    shape = (6, 5, at[-1] + 1)
    i, j, k = np.meshgrid(*map(np.arange, shape), indexing="ij")
    ramp = (10 * i + 3 * j + 100 * k).astype(np.int16)
    write_at(tmp_path, ramp[:, :, at], affine, at)
    volume = io.read(the_series(tmp_path), gaps="interpolate")
    np.testing.assert_array_equal(volume.voxels, ramp)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert volume.empty == ()
    assert volume.source["gaps"] == "interpolate"
    assert volume.source["gap_slices"] == [n for n in range(shape[2]) if n not in at]


UNEVEN = [[0, 1, 2, 3.4, 4.4], [0, 1, 2.5, 4, 5.5, 7], [0, 1.3, 2.6, 3.6, 4.6]]


@pytest.mark.parametrize("at", UNEVEN)
def test_uneven_steps_are_put_on_even_ones_that_reproduce_a_ramp(affine, at, tmp_path):
    i, j, k = np.meshgrid(np.arange(6), np.arange(5), at, indexing="ij")
    write_at(tmp_path, (10 * i + 3 * j + 100 * k).round().astype(np.int16), affine, at)
    series = the_series(tmp_path)
    with pytest.raises(GridError, match="even steps"):
        io.read(series)
    volume = io.read(series, gaps="interpolate")
    assert volume.geometry.spacing_mm[2] <= 2.0 * np.linalg.norm(affine[:3, 2]) / 2 + 1e-6
    # The value of the ramp at each voxel's own place.
    index = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    back = np.linalg.inv(affine)
    place = volume.geometry.to_world(index.reshape(-1, 3)) @ back[:3, :3].T + back[:3, 3]
    expected = (place @ (10, 3, 100)).reshape(volume.shape)
    assert np.abs(np.asarray(volume.voxels) - expected).max() <= 1.0
    assert place[:, 2].min() == pytest.approx(0, abs=1e-6)
    assert at[-1] - place[:, 2].max() < 1.0


@pytest.mark.parametrize("gaps", ["mark", "interpolate"])
@pytest.mark.parametrize("at", [*LOST, *UNEVEN])
def test_a_fiducial_keeps_its_place_when_gaps_are_closed(affine, at, gaps, tmp_path):
    voxels = np.zeros((6, 5, len(at)), np.int16)
    n = len(at) - 1
    voxels[4, 1, n] = 1000
    places = write_at(tmp_path, voxels, affine, at)
    volume = io.read(the_series(tmp_path), gaps=gaps)
    found = np.unravel_index(int(np.asarray(volume.voxels).argmax()), volume.shape)
    known = places[n] + affine[:3, :3] @ (4, 1, 0)
    step = np.linalg.norm(volume.affine[:3, 2])
    exact = at in LOST
    assert np.linalg.norm(volume.geometry.to_world(found) - known) < (1e-6 if exact else step)
    if exact:
        assert np.asarray(volume.voxels)[found] == 1000


def test_slices_pushed_aside_stop_the_reading_though_others_are_missing(tmp_path):
    def each(n):
        at, aside = [0, 1, 3, 4][n], 3.0 * (n == 2)
        place = LPS[:3, :3] @ (UPRIGHT[:3, :3] @ (0, 0, at) + UPRIGHT[:3, 3])
        return {"ImagePositionPatient": decimals(place + np.array((aside, 0, 0)))}

    write_dicom_series(tmp_path, noise((6, 5, 4)), UPRIGHT, each=each)
    series = the_series(tmp_path)
    for gaps in ("mark", "interpolate"):
        assert not series.can_be_read(gaps)
        with pytest.raises(GridError, match="aside"):
            io.read(series, gaps=gaps)


def test_slices_pushed_aside_stop_the_reading_though_steps_are_uneven(tmp_path):
    def each(n):
        place = LPS[:3, :3] @ (UPRIGHT[:3, :3] @ (0, 0, [0, 1, 2.4, 3.4][n]) + UPRIGHT[:3, 3])
        return {"ImagePositionPatient": decimals(place + np.array((3.0 * (n == 1), 0, 0)))}

    write_dicom_series(tmp_path, noise((6, 5, 4)), UPRIGHT, each=each)
    with pytest.raises(GridError, match="aside"):
        io.read(the_series(tmp_path), gaps="interpolate")


@pytest.mark.parametrize("at", [[0, 1, 2, 2_000_000_000], [0, 1, 2, 2.02, 3, 4, 40_000]])
@pytest.mark.parametrize("gaps", ["mark", "interpolate"])
def test_a_gap_that_no_memory_holds_is_refused(at, gaps, tmp_path, monkeypatch):
    monkeypatch.setenv("VOXCAM_MOST_BYTES", "1M")
    write_at(tmp_path, noise((6, 5, len(at))), UPRIGHT, at)
    with pytest.raises(ReadError, match="VOXCAM_MOST_BYTES|too uneven for one grid"):
        io.read(the_series(tmp_path), gaps=gaps)


def test_an_even_series_is_the_same_with_every_policy(tmp_path):
    write_dicom_series(tmp_path, noise(), OBLIQUE)
    series = the_series(tmp_path)
    plain = io.read(series)
    for gaps in ("mark", "interpolate"):
        volume = io.read(series, gaps=gaps)
        np.testing.assert_array_equal(volume.voxels, plain.voxels)
        np.testing.assert_array_equal(volume.affine, plain.affine)
        assert volume.empty == ()


def test_gaps_of_a_series_in_time_are_closed_at_every_moment(tmp_path):
    at, uids = [0, 1, 3, 4], {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    voxels = np.stack([noise((6, 5, 4), seed=t) for t in range(2)], axis=-1)
    for t in range(2):
        write_at(
            tmp_path / str(t), voxels[..., t], OBLIQUE, at, TemporalPositionIdentifier=str(t + 1), **uids
        )
    volume = io.read(the_series(tmp_path), gaps="mark")
    assert volume.voxels.shape == (6, 5, 5, 2)
    assert volume.empty == (2,)
    np.testing.assert_array_equal(volume.voxels[:, :, at], voxels)


def test_interpolated_values_stay_within_their_neighbours_and_are_whole(tmp_path):
    voxels = noise((6, 5, 4))
    write_at(tmp_path, voxels, UPRIGHT, [0, 1, 3, 4])
    made = np.asarray(io.read(the_series(tmp_path), gaps="interpolate").voxels)[:, :, 2]
    mean = (voxels[:, :, 1].astype(float) + voxels[:, :, 2]) / 2
    assert made.dtype == np.int16
    assert np.abs(made - mean).max() <= 0.5


def test_both_policies_are_named_where_reading_is_refused(tmp_path):
    write_at(tmp_path, noise((6, 5, 4)), UPRIGHT, [0, 1, 3, 4])
    with pytest.raises(GridError) as caught:
        io.read(the_series(tmp_path))
    assert "--gaps mark" in str(caught.value)
    assert "--gaps interpolate" in str(caught.value)
    assert "\n" not in str(caught.value)
