"""Distances, angles and regions, against closed forms."""

from __future__ import annotations

import csv
import gc
import io

import numpy as np
import pytest
from builders import affine_of
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.canvas.frame import place_volume
from voxcam.plugin.review.measures import Measurements, as_table, measured
from voxcam.plugin.review.reading import Reading
from voxcam.plugin.review.regions import Measurement

AXIAL, CORONAL, SAGITTAL = 0, 1, 2


def study(affine=None, shape=(40, 50, 12), voxels=None, frame="patient", **more):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine
    voxels = np.zeros(shape, np.int16) if voxels is None else voxels
    return Volume(voxels, Geometry(voxels.shape[:3], affine, frame), "CT", "HU", **more)


def of_voxels(volume, kind, corners, through=AXIAL):
    """A measurement through stored voxels."""
    points = tuple(tuple(float(x) for x in p) for p in volume.geometry.to_world(corners))
    return Measurement(kind, points, through)


def square(low, high, k):
    (i0, j0), (i1, j1) = low, high
    return [(i0, j0, k), (i1, j0, k), (i1, j1, k), (i0, j1, k)]


def test_a_triangle_of_3_4_5_on_anisotropic_voxels():
    volume = study(np.diag([-0.6, -0.8, 5.0, 1.0]))
    leg = [(10, 10, 3), (15, 10, 3), (15, 15, 3)]  # 3 mm and 4 mm
    assert measured(of_voxels(volume, "distance", leg[::2]), Reading(volume)).size == pytest.approx(5)
    found = measured(of_voxels(volume, "angle", leg), Reading(volume))
    assert found.angle_deg == pytest.approx(90)
    found = measured(of_voxels(volume, "angle", [leg[1], leg[0], leg[2]]), Reading(volume))
    assert found.angle_deg == pytest.approx(np.degrees(np.arctan2(4, 3)))
    assert found.lines == ("53.1°",)


def test_a_turned_grid_changes_no_length_and_no_angle():
    turned = study(affine_of((12, -7, 30), (0.6, 0.8, 5)))
    leg = [(15, 10, 3), (10, 10, 3), (15, 15, 3)]
    assert measured(of_voxels(turned, "distance", leg[1:]), Reading(turned)).size == pytest.approx(5)
    assert measured(of_voxels(turned, "angle", leg), Reading(turned)).angle_deg == pytest.approx(
        np.degrees(np.arctan2(4, 3))
    )


def test_on_a_sheared_stack_lengths_angles_and_areas_are_the_worlds_not_the_screens():
    # Slices 4 mm apart lean 3 mm along j a slice: on the screen a right angle, in the world it is not.
    volume = study(affine_of((0, 0, 0), (1, 1, 4), shear=(0, 3)))
    up, along = [(5, 5, 2), (5, 5, 7)], [(5, 5, 2), (5, 15, 2)]
    assert measured(of_voxels(volume, "distance", up, SAGITTAL), Reading(volume)).size == pytest.approx(25)
    angle = of_voxels(volume, "angle", [up[1], up[0], along[1]], SAGITTAL)
    assert measured(angle, Reading(volume)).angle_deg == pytest.approx(np.degrees(np.arctan2(4, 3)))
    # A parallelogram of base 10 and height 20 on the sagittal picture, sheared: base x height.
    corners = [(5, 5, 2), (5, 15, 2), (5, 15, 7), (5, 5, 7)]
    area = measured(of_voxels(volume, "rectangle", corners, SAGITTAL), Reading(volume))
    assert (area.size, area.size_unit) == (pytest.approx(10 * 20), "mm²")


def test_areas_of_the_shapes_as_drawn():
    volume = study(np.diag([-0.5, -2.0, 5.0, 1.0]))
    corners = square((10, 10), (30, 15), 4)  # 10 mm by 10 mm
    sizes = {
        kind: measured(of_voxels(volume, kind, corners), Reading(volume)).size
        for kind in ("rectangle", "ellipse", "freehand")
    }
    assert sizes["rectangle"] == pytest.approx(100)
    assert sizes["ellipse"] == pytest.approx(25 * np.pi)
    assert sizes["freehand"] == pytest.approx(100)
    dented = [(10, 10, 4), (30, 10, 4), (20, 12.5, 4), (30, 15, 4), (10, 15, 4)]
    assert measured(of_voxels(volume, "freehand", dented), Reading(volume)).size == pytest.approx(75)


@pytest.mark.parametrize("angles", [(0, 0, 0), (15, -8, 40)])
def test_a_region_over_a_planted_step(angles):
    voxels = np.zeros((40, 50, 12), np.int16)
    voxels[20:] = 100
    volume = study(affine_of(angles, (0.7, 0.9, 3)), voxels=voxels)
    # Columns 16 to 23 and rows 10 to 14, all centres inside: 4 of 8 columns are beyond the step.
    corners = square((15.6, 9.6), (23.4, 14.4), 5)
    found = measured(of_voxels(volume, "rectangle", corners), Reading(volume)).grey
    assert (found.n, found.mean, found.sd, found.low, found.high) == (40, 50, 50, 0, 100)
    lopsided = measured(of_voxels(volume, "freehand", square((17.6, 9.6), (23.4, 14.4), 5)), Reading(volume))
    assert (lopsided.grey.n, lopsided.grey.mean) == (30, pytest.approx(100 * 4 / 6))
    elsewhere = measured(of_voxels(volume, "rectangle", square((1.6, 9.6), (5.4, 14.4), 5)), Reading(volume))
    assert elsewhere.grey.mean == 0


@pytest.mark.parametrize("through", [AXIAL, CORONAL, SAGITTAL])
def test_voxels_inside_are_those_a_plain_loop_finds(through):
    rng = np.random.default_rng(through)
    voxels = rng.integers(-500, 500, (17, 14, 11)).astype(np.int16)
    volume = study(affine_of((4, 5, -6), (0.8, 1.1, 2)), voxels=voxels)
    placement, seen = place_volume(volume), volume.reordered("IPL").voxels
    plane = [axis for axis in range(3) if axis != through]
    middle, radii = np.array([5.3, 6.1]), np.array([2.7, 4.2])
    corners = np.full((4, 3), 4.0)
    corners[:, plane] = middle + radii * [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    points = placement.geometry.to_world(corners)
    what = Measurement("ellipse", tuple(map(tuple, points.tolist())), through)
    inside = []
    for a in range(seen.shape[plane[0]]):
        for b in range(seen.shape[plane[1]]):
            if (((np.array([a, b]) - middle) / radii) ** 2).sum() <= 1:
                at = [4, 4, 4]
                at[plane[0]], at[plane[1]] = a, b
                inside.append(int(seen[tuple(at)]))
    found = measured(what, Reading(volume)).grey
    assert found.n == len(inside) > 20
    assert (found.mean, found.sd) == (pytest.approx(np.mean(inside)), pytest.approx(np.std(inside)))
    assert (found.low, found.high) == (min(inside), max(inside))


def test_a_region_smaller_than_a_voxel_or_beside_the_scan_says_so():
    volume = study()
    for corners in (square((10.2, 10.2), (10.4, 10.4), 3), square((-9, -9), (-5, -5), 3)):
        found = measured(of_voxels(volume, "ellipse", corners), Reading(volume))
        assert found.grey.n == 0
        assert "no voxel centre inside" in found.lines


def test_without_a_stated_size_lengths_are_pixels_and_of_a_projection_mm_on_the_detector():
    for frame, size, unit in (("unknown", 5, "px"), ("detector", 1, "mm")):
        volume = study(np.diag([-0.2, -0.2, 1.0, 1.0]), (30, 30, 1), frame=frame)
        found = measured(of_voxels(volume, "distance", [(3, 3, 0), (6, 7, 0)]), Reading(volume))
        assert (found.size, found.size_unit, found.where) == (pytest.approx(size), unit, "slice 1")


def test_a_region_in_time_is_of_the_moment_shown_and_says_which():
    voxels = np.stack([np.full((8, 8, 4), value, np.int16) for value in (10, 30)], axis=-1)
    volume = study(voxels=voxels)
    what = of_voxels(volume, "rectangle", square((2, 2), (5, 5), 1))
    found = [measured(what, Reading(volume), moment) for moment in (0, 1)]
    assert [one.grey.mean for one in found] == [10, 30]
    assert found[1].where == "axial 3, moment 2"  # slices are counted from the head


def test_places_put_into_a_gap_do_not_count():
    volume = study(voxels=np.full((9, 9, 6), 7, np.int16), empty=(2, 3))
    flat = measured(of_voxels(volume, "rectangle", square((2, 2), (5, 5), 2)), Reading(volume))
    assert flat.grey.n == 0
    upright = [(4, 1, 0), (4, 5, 0), (4, 5, 5), (4, 1, 5)]
    across = measured(of_voxels(volume, "rectangle", upright, SAGITTAL), Reading(volume))
    assert (across.grey.n, across.grey.mean) == (5 * 4, 7)


def test_mean_evidence_in_a_region_is_of_the_shown_classes_and_of_what_was_seen(scan):
    ramp = np.broadcast_to(np.arange(48.0)[:, None, None], scan.shape).copy()
    explanation = explanation_of(scan, {"a": (0.9, ramp), "b": (0.3, 2 * ramp), "c": (0.1, ramp)})
    reading = Reading(scan).explained_by(explanation)
    what = of_voxels(scan, "rectangle", square((9.6, 4.6), (20.4, 12.4), 5))  # columns 10 to 20
    assert measured(what, reading).evidence == (("a", pytest.approx(15, abs=1e-4), "logit units"),)
    assert measured(what, reading).evidence_lines == ("a 15 logit units",)


@pytest.mark.parametrize(
    ("length", "words"), [(12345.6, "12346 mm"), (154.887, "154.9 mm"), (0.01234, "0.01234 mm"), (3, "3 mm")]
)
def test_numbers_are_said_without_powers_of_ten(length, words):
    volume = study(np.diag([-length, -1.0, 1.0, 1.0]))
    line = of_voxels(volume, "distance", [(0, 0, 0), (1, 0, 0)])
    assert measured(line, Reading(volume)).lines == (words,)


def test_the_table_has_every_number_and_can_be_read_back():
    volume = study(voxels=np.full((9, 9, 6), 7, np.int16), source={"patient_name": "Nobody^At^All"})
    reading = Reading(volume)
    found = [
        measured(of_voxels(volume, "distance", [(1, 1, 1), (4, 5, 1)]), reading),
        measured(of_voxels(volume, "angle", [(5, 1, 1), (1, 1, 1), (1, 5, 1)]), reading),
        measured(of_voxels(volume, "rectangle", square((1.5, 1.5), (5.5, 5.5), 1)), reading),
    ]
    text = as_table(found)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["kind"] for row in rows] == ["distance", "angle", "rectangle"]
    assert float(rows[0]["size"]) == pytest.approx(5)
    assert float(rows[1]["angle (degrees)"]) == pytest.approx(90)
    assert (rows[2]["voxels"], rows[2]["mean"], rows[2]["SD"], rows[2]["unit"]) == ("16", "7", "0", "HU")
    assert rows[0]["mean"] == rows[2]["angle (degrees)"] == ""
    assert "Nobody" not in text


def test_measurements_belong_to_their_study_and_go_with_it():
    drawn, one, other = Measurements(), study(), study()
    first, second = (of_voxels(one, "distance", [(1, 1, 1), (n, 5, 1)]) for n in (4, 6))
    drawn.add(one, first)
    drawn.add(one, second)
    assert (drawn.of(one), drawn.of(other), drawn.of(None)) == ((first, second), (), ())
    drawn.change(one, 0, second)
    drawn.remove(one, [1])
    assert drawn.of(one) == (second,)
    del one
    gc.collect()
    assert len(drawn._of) == 0
