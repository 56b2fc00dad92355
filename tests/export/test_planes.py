from __future__ import annotations

import numpy as np
import pytest
from builders import write_dicom_series
from grids import flips, permutations, poses, signed_permutation
from hypothesis import given
from hypothesis import strategies as st

from tests.export.phantoms import explained, spot, study
from voxcam import io
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.errors import ExportError
from voxcam.export.planes import PLANES, cut, cut_on, hottest_slice, natural_plane

# What a radiologist expects: (top, bottom, left, right).
RADIOLOGICAL = {"axial": "APRL", "coronal": "SIRL", "sagittal": "SIAP"}
# World direction (RAS+) of a step to the right and a step down on the screen.
RIGHT = {"axial": (-1, 0, 0), "coronal": (-1, 0, 0), "sagittal": (0, -1, 0)}
DOWN = {"axial": (0, -1, 0), "coronal": (0, 0, -1), "sagittal": (0, 0, -1)}


def axis_aligned(axes, flipped, shape, spacing=(0.7, 1.1, 3.0), origin=(12.0, -30.0, 77.0)):
    affine = np.eye(4)
    affine[:3, :3] = signed_permutation(axes, flipped) @ np.diag(spacing)
    affine[:3, 3] = origin
    return Geometry(shape, affine)


@given(permutations, flips, st.sampled_from(PLANES), st.integers(0, 10**6))
def test_a_landmark_lands_on_the_pixel_its_world_point_asks_for_in_all_48_orientations(
    axes, flipped, plane, seed
):
    geometry = axis_aligned(axes, flipped, (5, 6, 7))
    at = np.unravel_index(seed % 210, geometry.shape)
    voxels = np.zeros(geometry.shape)
    voxels[at] = 1
    point = geometry.to_world(at)
    # The expected pixel, by nothing but distances from the screen's upper left corner of the box.
    corners = geometry.to_world(np.array(np.meshgrid(*[(0, n - 1) for n in geometry.shape])).reshape(3, -1).T)
    right, down = np.array(RIGHT[plane]), np.array(DOWN[plane])
    away = np.abs(np.cross(right, down))
    column_mm = point @ right - (corners @ right).min()
    row_mm = point @ down - (corners @ down).min()
    volume = Volume(voxels, geometry)
    found = [s for n in range(cut(volume, plane).count) if (s := cut(volume, plane, n)).pixels.any()]
    assert len(found) == 1
    row, column = np.argwhere(found[0].pixels)[0]
    assert row * found[0].pixel_mm[0] == pytest.approx(row_mm)
    assert column * found[0].pixel_mm[1] == pytest.approx(column_mm)
    assert found[0].position_mm == pytest.approx(point @ away)
    assert found[0].to_pixel(point) == pytest.approx((row, column, 0))
    assert "".join(found[0].letters) == RADIOLOGICAL[plane]


@given(poses(shear=False), st.sampled_from(PLANES), st.integers(0, 10**6))
def test_letters_name_the_nearest_direction_of_any_pose(affine, plane, seed):
    geometry = Geometry((4, 5, 6), affine)
    one = cut(Volume(np.zeros(geometry.shape), geometry), plane, 0)
    across = one.geometry.directions[:, {"axial": 2, "coronal": 2, "sagittal": 1}[plane]]
    down = one.geometry.directions[:, {"axial": 1, "coronal": 0, "sagittal": 0}[plane]]
    assert across @ np.array(RIGHT[plane]) > 0
    assert down @ np.array(DOWN[plane]) > 0
    assert one.is_oblique == one.words.startswith("oblique")


def test_the_patients_right_is_at_the_left_of_an_asymmetric_phantom():
    # RAS voxels: a bright block in the patient's right, front, lower part.
    voxels = np.zeros((8, 8, 8))
    voxels[6:, 6:, :2] = 1
    volume = Volume(voxels, Geometry((8, 8, 8), np.eye(4)))
    axial, coronal = cut(volume, "axial", 7).pixels, cut(volume, "coronal", 0).pixels
    sagittal = cut(volume, "sagittal", 0).pixels
    assert axial[:2, :2].all()
    assert axial.sum() == 4
    assert coronal[-2:, :2].all()
    assert coronal.sum() == 4
    assert sagittal[-2:, :2].all()
    assert sagittal.sum() == 4


@given(poses(), poses(), st.sampled_from(PLANES))
def test_a_slice_on_another_grid_is_the_slice_of_the_whole_resampled_volume(ours, theirs, plane):
    target, source = Geometry((4, 5, 3), ours), Geometry((3, 4, 5), theirs)
    source = Geometry((3, 4, 5), np.block([[source.affine[:3, :3], target.centre_mm[:, None]], [0, 0, 0, 1]]))
    seen = Volume(np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32), source)
    volume = Volume(np.zeros(target.shape), target)
    whole = Volume(np.asarray(seen.on(target).voxels), target)
    for index in range(cut(volume, plane).count):
        part = cut_on(seen, volume, plane, index).pixels
        np.testing.assert_allclose(part, cut(whole, plane, index).pixels, atol=1e-4)


def test_only_the_slice_asked_for_is_taken_from_voxels_that_are_computed_as_asked():
    class Counting:
        shape, ndim, dtype, taken = (6, 5, 4), 3, np.dtype(float), 0

        def __getitem__(self, key):
            part = np.arange(120.0).reshape(self.shape)[key]
            Counting.taken += part.size
            return part

    volume = Volume(Counting(), Geometry((6, 5, 4), np.diag([-1.0, -1, 1, 1])))
    assert cut(volume, "axial", 0).pixels.shape == (5, 6)
    assert Counting.taken == 30


def test_of_a_volume_in_time_the_first_moment_is_cut():
    voxels = np.stack([np.zeros((3, 4, 5)), np.ones((3, 4, 5))], axis=-1)
    one = cut(Volume(voxels, Geometry((3, 4, 5), np.eye(4))), "coronal")
    assert one.pixels.shape == (5, 3)
    assert not one.pixels.any()


def test_words_say_plane_position_and_number():
    volume = study()
    assert cut(volume, "axial", 0).words == "axial, z = -255.0 mm, slice 1 of 10"
    assert cut(volume, "sagittal", 0).words == "sagittal, x = 9.0 mm (RAS), slice 1 of 30"
    turned = np.eye(4)
    angle = np.radians(8)
    turned[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert cut(Volume(np.zeros((3, 3, 3)), Geometry((3, 3, 3), turned))).words.startswith(
        "oblique axial (8°)"
    )


def test_a_stack_with_gantry_tilt_says_that_its_reformats_lean():
    tilted = np.diag([-1.0, -1.0, 5.0, 1.0])
    tilted[1, 2] = 5 * np.tan(np.radians(18.5))
    volume = Volume(np.zeros((4, 4, 4)), Geometry((4, 4, 4), tilted))
    assert cut(volume, "sagittal").words.endswith("stack leans by 18°")
    assert "leans" not in cut(volume, "axial").words


@pytest.mark.parametrize("frame", ["detector", "unknown"])
def test_a_radiograph_has_no_patient_letters_and_stands_as_stored(frame):
    stored = np.arange(6).reshape(2, 3)  # rows, columns
    volume = Volume(stored.T[..., None], Geometry((3, 2, 1), np.diag([-1.0, -1, 1, 1]), frame))
    assert natural_plane(volume) == "axial"
    one = cut(volume)
    np.testing.assert_array_equal(one.pixels, stored)
    assert one.letters is None
    assert one.words == "single image"


@pytest.mark.parametrize("spacing", [{}, {"PixelSpacing": None}])
@pytest.mark.parametrize("rows", ["L", "R", "A", "P"])
@pytest.mark.parametrize("columns", ["F", "H"])
def test_a_radiograph_is_lettered_as_its_file_states_however_it_was_stored(rows, columns, spacing, tmp_path):
    # Marks of the directions stated, set by row and column of the file alone.
    stored = np.zeros((7, 9, 1), np.int16)  # rows, columns
    stored[3, 8], stored[6, 4] = 100, 200
    unplaced = {"Modality": "CR", "ImagePositionPatient": None, "ImageOrientationPatient": None}
    write_dicom_series(
        tmp_path, stored.transpose(1, 0, 2), **unplaced, PatientOrientation=[rows, columns], **spacing
    )
    volume = io.read(io.scan(tmp_path).choose())
    for one in (cut(volume), cut_on(volume, volume)):
        assert one.frame != "patient"
        above = one.pixels - one.pixels.min()  # whatever the rescale intercept
        row, column = np.argwhere(np.isclose(above, above.max() / 2))[0]
        assert (one.letters.right if column == 8 else one.letters.left) == rows
        assert (row, column in (0, 8)) == (3, True)
        row, column = np.argwhere(above == above.max())[0]
        assert (one.letters.bottom if row == 6 else one.letters.top) == {"F": "I", "H": "S"}[columns]
        assert (column, row in (0, 6)) == (4, True)
        # Head up and, of a frontal film, the right at the left.
        assert one.letters[:2] == ("S", "I")
        assert one.letters[2:] == {"A": ("P", "A"), "P": ("A", "P")}.get(rows, ("R", "L"))
    assert cut(volume, "coronal").letters is None


@pytest.mark.parametrize("stated", [["F", "R"], ["F", "L"]])
def test_a_radiograph_stored_lying_is_lettered_as_it_lies(stated):
    geometry = Geometry((3, 2, 1), np.diag([-1.0, -1, 1, 1]), "detector")
    one = cut(Volume(np.zeros((3, 2, 1)), geometry, source={"patient_orientation": stated}))
    opposite = {"R": "L", "L": "R"}[stated[1]]
    assert one.letters == (opposite, stated[1], "S", "I")


@pytest.mark.parametrize("stated", [None, [], ["L"], ["L", "X"], "LF", 3])
def test_what_is_no_orientation_gives_no_letters(stated):
    geometry = Geometry((3, 2, 1), np.diag([-1.0, -1, 1, 1]), "detector")
    assert cut(Volume(np.zeros((3, 2, 1)), geometry, source={"patient_orientation": stated})).letters is None


@pytest.mark.parametrize(
    ("plane", "index", "message"),
    [("axial", 10, "has 0 to 9"), ("axial", -1, "has 0 to 9"), ("oblique", 0, "there is axial")],
)
def test_a_slice_that_is_not_there_is_refused(plane, index, message):
    with pytest.raises(ExportError, match=message):
        cut(study(), plane, index)
    with pytest.raises(ExportError, match=message):
        cut_on(study(), study(), plane, index)


@pytest.mark.parametrize("plane", PLANES)
def test_the_hottest_slice_shows_the_highest_evidence(plane):
    volume = study()
    heatmap = explained(volume, {"nodule": spot()}).heatmaps[0]
    whole = np.asarray(heatmap.on(volume.geometry).voxels)
    tops = [
        np.nanmax(cut_on(heatmap.evidence, volume, plane, n).pixels) for n in range(cut(volume, plane).count)
    ]
    assert tops[hottest_slice(heatmap, volume, plane)] == pytest.approx(np.nanmax(whole))


def test_without_positive_evidence_the_hottest_slice_is_the_middle():
    volume = study()
    heatmap = explained(volume, {"nodule": -spot()}).heatmaps[0]
    assert hottest_slice(heatmap, volume, "axial") == 5


def test_evidence_in_the_padding_round_the_study_is_not_taken_for_the_peak():
    volume = study(spacing=(1.0, 1.0, 1.0))
    padded = volume.geometry.window((-30, -30, -10), (15, 15, 10), (6, 6, 3))
    values = np.zeros((6, 6, 3), np.float32)
    values[0, 0, 0], values[3, 3, 1] = 9, 2
    heatmap = Heatmap(Volume(values, padded, unit="logit"), "nodule", "grad-cam", "layer4")
    inside = padded.to_world((3, 3, 1))
    one = cut(volume, "axial", hottest_slice(heatmap, volume, "axial"))
    assert abs(one.to_pixel(inside)[2]) <= 0.5
