"""Left and right, up and down: the patient as the affine has it, on the plane views and in napari's canvas.

The phantom is a function of the patient's millimetres, so that the truth knows nothing of axes, flips or
display frames: an arm of its own brightness towards the right, the front and the head, and none opposite.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from napari._qt.utils import QImg2array
from phantoms import ball
from scipy.spatial.transform import Rotation

from voxcam.core.explanation import Explanation
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.plugin.docks.planes.plane_view import PlaneView
from voxcam.plugin.review.review import Review
from voxcam.plugin.room import Room

pytestmark = pytest.mark.gui

SPACING = np.array((1.0, 1.5, 2.5))  # along x, y, z
COUNTS = np.array((90, 64, 38))
CENTRE = np.array((12.0, -30.0, -155.0))
ARMS = {"R": ((1, 0, 0), 250), "A": ((0, 1, 0), 160), "S": ((0, 0, 1), 90)}
EDGES = {  # top, bottom, left, right
    (0, False): "APRL",
    (1, False): "SIRL",
    (2, False): "SIAP",
    (0, True): "APLR",
    (1, True): "SILR",
    (2, True): "SIAP",
}
# The array axes that hold x, y and z, and where they grow to: what turns the patient, and mirrors nothing.
PROPER = [
    (axes, signs)
    for axes, signs in product(permutations(range(3)), product((-1, 1), repeat=3))
    if np.linalg.det(np.eye(3)[list(axes)]) * np.prod(signs) > 0
]
TURN = Rotation.from_euler("xyz", (7, -5, 9), degrees=True).as_matrix()


def stored(axes, signs, turn=None, spacing=SPACING, counts=COUNTS):
    """A grid of these axes round CENTRE, turned in the patient if asked."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    affine[range(3), axes] = signs * spacing
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ affine[:3, :3]
    shape = tuple(int(counts[axes.index(array)]) for array in range(3))
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Geometry(shape, affine)


def phantom(geometry):
    """Arms from 4 to 30 mm from the centre, 12 mm thick, each towards one side only."""
    index = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    away = index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3] - CENTRE
    voxels = np.zeros(geometry.shape, np.int16)
    for towards, value in ARMS.values():
        along = away @ towards
        beside = np.abs(away - along[..., None] * np.array(towards)).max(axis=-1)
        voxels[(along > 4) & (along < 30) & (beside < 6)] = value
    return Volume(voxels, geometry, "MR", windows=(Window(127.5, 255),))


def test_there_are_24_proper_orientations():
    assert len(PROPER) == 24
    assert len({Geometry(COUNTS, stored(*one).affine).codes for one in PROPER}) == 24
    assert all(np.linalg.det(stored(*one).affine[:3, :3]) > 0 for one in PROPER)


# --- the plane views


@pytest.fixture
def views(qtbot):
    made = tuple(PlaneView(through) for through in range(3))
    for view in made:
        qtbot.addWidget(view)
        view.resize(240, 200)
        view.show_crosshair(False)
        view.show()
    return made


def pixels(view):
    return QImg2array(view.grab().toImage())[..., :3].astype(int)


def per_mm(through):
    """View pixels to a millimetre: the box across the plane fits 240 x 200."""
    wide, tall = {0: (0, 1), 1: (0, 2), 2: (1, 2)}[through]
    size = SPACING * COUNTS
    return min(240 / size[wide], 200 / size[tall])


def at_edges(shot, reach):
    """Brightness at `reach` pixels from the middle: to the top, the bottom, the left, the right."""
    row, column = (n // 2 for n in shot.shape[:2])
    reach = round(reach)
    places = ((row - reach, column), (row + reach, column), (row, column - reach), (row, column + reach))
    return [int(shot[place].mean()) for place in places]


def expected(edges):
    return [ARMS[letter][1] if letter in ARMS else 0 for letter in edges]


@pytest.mark.parametrize("turn", [None, TURN], ids=["straight", "oblique"])
@pytest.mark.parametrize(("axes", "signs"), PROPER)
def test_every_plane_shows_the_patient_as_the_affine_has_it(views, axes, signs, turn):
    review = Review()
    review.open(phantom(stored(axes, signs, turn)))
    review.go_to(tuple(CENTRE))
    for neurological in (False, True):
        review.set_convention(neurological=neurological)
        for view in views:
            view.show_review(review)
            edges = EDGES[view.through, neurological]
            assert "".join(view.plane.letters) == edges
            assert at_edges(pixels(view), 15 * per_mm(view.through)) == pytest.approx(expected(edges), abs=2)


def test_a_millimetre_is_as_long_down_as_across(views):
    review = Review()
    review.open(phantom(stored((2, 0, 1), (1, -1, -1))))
    review.go_to(tuple(CENTRE))
    for view in views:
        view.show_review(review)
        shot, scale = pixels(view).mean(axis=-1), per_mm(view.through)
        row, column = shot.shape[0] // 2, shot.shape[1] // 2
        # Arms end at 30 mm, somewhere between two voxels' centres. Beyond them are the letters.
        inwards = round(15 * scale)
        lines = shot[: row - inwards, column][::-1], shot[row, : column - inwards][::-1]
        reached = [inwards + np.argmax(line < line[0] / 2) for line in lines]
        assert np.array(reached) / scale == pytest.approx([30, 30], abs=1.3)


def ink(part):
    """The pixels of a letter, cut to size."""
    rows, columns = np.nonzero(part.min(axis=-1) > 200)
    return part[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].min(axis=-1) > 200


def alike(one, other):
    """Share of two letters' pixels that both have."""
    both = np.zeros((2, 30, 30), bool)
    for page, letter in zip(both, (one, other), strict=True):
        page[: letter.shape[0], : letter.shape[1]] = letter
    return both.all(axis=0).sum() / both.any(axis=0).sum()


def test_the_letters_are_painted_at_the_edges_and_follow_the_convention(views):
    geometry = stored((0, 1, 2), (-1, -1, 1))
    review = Review()
    review.open(Volume(np.zeros(geometry.shape, np.int16), geometry, "MR", windows=(Window(127.5, 255),)))
    middle = {}
    for neurological in (False, True):
        review.set_convention(neurological=neurological)
        for view in views:
            view.show_review(review)
            shot = pixels(view)[60:140]
            middle[view.through, neurological] = ink(shot[:, :30]), ink(shot[:, -30:])
    for through in (0, 1):
        (right, left), (first, last) = middle[through, False], middle[through, True]
        assert alike(right, last) > max(alike(right, first), 0.6)
        assert alike(left, first) > max(alike(left, last), 0.6)
    for one, same in zip(middle[2, False], middle[2, True], strict=True):
        assert np.array_equal(one, same)


UNITS = np.array((1.0, 1.0, 1.0))


def planted(volume, world):
    """An explanation with one peak at a world point, on a grid of its own: 5 mm units in RAS order."""
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = world - np.array(5.0) * (9, 8, 7)
    grid = Geometry((19, 17, 15), affine)
    heatmap = Heatmap(
        Volume(ball(grid, world, 20).astype(np.float32), grid, unit="logit"), "nodule", "grad-cam", "l"
    )
    return Explanation({"nodule": 0.9}, {"nodule": 2.0}, (heatmap,), volume)


@pytest.mark.parametrize("drawn", ["smooth", "cells"])
@pytest.mark.parametrize(("axes", "signs"), PROPER)
def test_a_peak_is_drawn_where_it_lies_in_the_patient(views, axes, signs, drawn):
    counts = np.array((100, 110, 120))
    volume = Volume(
        np.zeros(stored(axes, signs, spacing=UNITS, counts=counts).shape, np.int16),
        stored(axes, signs, spacing=UNITS, counts=counts),
        "MR",
        windows=(Window(50, 100),),
    )
    world = CENTRE + np.array((17.5, -21.5, 12.5))  # a voxel's centre: the grid has even counts
    review = Review()
    review.open(volume)
    review.adopt(planted(volume, world))
    review.set_look(threshold=0.6, drawn=drawn)
    review.go_to(tuple(world))
    across = {0: (0, 1), 1: (0, 2), 2: (1, 2)}
    for view in views:
        wide, tall = across[view.through]
        view.resize(int(counts[wide]), int(counts[tall]))  # a voxel to a pixel
        view.show_review(review)
        with_evidence = pixels(view)
        review.set_look(hidden=True)
        view.show_look(review)
        coloured = np.abs(with_evidence - pixels(view)).max(axis=-1) > 0
        review.set_look(hidden=False)
        rows, columns = np.nonzero(coloured)
        middle = (counts - 1) / 2
        # Columns grow to the left or the back, rows to the back or the feet.
        away = (world - CENTRE)[[tall, wide]]
        truth = middle[[tall, wide]] - away
        assert np.abs(np.array((rows.mean(), columns.mean())) - truth).max() <= 1
        assert coloured[tuple(np.rint(truth).astype(int))]


# --- napari's canvas


@pytest.fixture
def room(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 700)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    return room


def canvas(room):
    for name in list(room.viewer.canvas.overlays):
        room.viewer.canvas.overlays[name].visible = False
    for name in list(room.viewer.scene.overlays):
        room.viewer.scene.overlays[name].visible = False
    return room.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def test_napari_shows_the_patient_as_the_affine_has_it(room):
    """Every third orientation straight, and two turned in the patient: a window is slow."""
    grids = [stored(*one) for one in PROPER[::3]] + [stored(*one, TURN) for one in PROPER[3::12]]
    for geometry in grids:
        room.review.open(phantom(geometry))
        room.review.go_to(tuple(CENTRE))
        for through, neurological in EDGES:
            room.layers.show_plane(through)
            room.review.set_convention(neurological=neurological)
            edges = EDGES[through, neurological]
            words = room.overlays.words()
            assert "".join(words[edge] for edge in ("top", "bottom", "left", "right")) == edges
            _, down, across = room.layers.order()
            at = -CENTRE[::-1]  # display coordinates: towards I, P, L
            room.viewer.scene.camera.center = (0, at[down], at[across])  # the middle of the canvas
            shot = canvas(room)
            assert at_edges(shot, 15 * room.viewer.scene.camera.zoom) == pytest.approx(expected(edges), abs=3)


def test_a_peak_is_drawn_where_it_lies_in_the_patient_in_napari_too(room):
    world = CENTRE + np.array((13.5, -15.75, 11.25))
    for axes, signs in PROPER[1::9]:
        volume = phantom(stored(axes, signs))
        room.review.open(volume)
        room.review.adopt(planted(volume, world))
        room.review.set_look(threshold=0.6)
        room.review.go_to(tuple(world))
        for through in range(3):
            room.layers.show_plane(through)
            with_evidence = canvas(room)
            room.review.set_look(hidden=True)
            rows, columns = np.nonzero(np.abs(with_evidence - canvas(room)).max(axis=-1) > 0)
            room.review.set_look(hidden=False)
            camera, (_, down, across) = room.viewer.scene.camera, room.layers.order()
            shown = -world[::-1]  # display coordinates: towards I, P, L
            offset = (shown[[down, across]] - np.array(camera.center)[-2:]) * camera.zoom
            truth = offset + np.array(with_evidence.shape[:2]) / 2 - 0.5
            assert np.abs(np.array((rows.mean(), columns.mean())) - truth).max() <= 1


def test_the_crosshair_on_the_canvas_points_at_the_very_point(room):
    geometry = stored((1, 2, 0), (1, 1, 1))
    room.review.open(
        Volume(np.zeros(geometry.shape, np.int16), geometry, "MR", windows=(Window(127.5, 255),))
    )
    world = CENTRE + np.array((13.5, -15.75, 11.25))
    room.crosshair.show(True)
    room.review.go_to(tuple(world))
    for through, neurological in EDGES:
        room.layers.show_plane(through)
        room.review.set_convention(neurological=neurological)
        without = canvas(room)
        room.crosshair.refresh()
        shot = room.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        assert room.viewer.scene.overlays["voxcam_crosshair"].visible
        light = shot.min(axis=-1) - without.min(axis=-1) > 60
        # Two lines: the row and the column that hold most of the light.
        found = np.array((light.sum(axis=1).argmax(), light.sum(axis=0).argmax()))
        camera, (_, down, across) = room.viewer.scene.camera, room.layers.order()
        shown = -world[::-1]
        offset = (shown[[down, across]] - np.array(camera.center)[-2:]) * camera.zoom
        offset[1] *= -1 if neurological and through < 2 else 1
        truth = offset + np.array(shot.shape[:2]) / 2 - 0.5
        assert np.abs(found - truth).max() <= 1
        row, column = np.rint(truth).astype(int)
        assert not light[row - 3 : row + 4, column - 3 : column + 4].any()  # what it points at is left out
