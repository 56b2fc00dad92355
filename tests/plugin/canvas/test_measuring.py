"""Measuring on the real canvas, by the mouse; the truth is where the mouse was, through the affine."""

from __future__ import annotations

import numpy as np
import pytest
from builders import affine_of
from mouse import Mouse, Pointer
from napari import Viewer
from napari.components import ViewerModel

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.measure_layer import CHOSEN
from voxcam.plugin.canvas.measuring import Measuring
from voxcam.plugin.review.review import Review


@pytest.fixture
def reading(scan):
    """A scan in a viewer without a window, its measuring, and a mouse."""
    viewer, review = ViewerModel(), Review()
    layers, measuring = ReviewLayers(viewer, review), Measuring(viewer, review)
    review.open(scan)
    viewer.scene.camera.zoom = 8.0
    return viewer, review, layers, measuring, Pointer(viewer)


@pytest.fixture
def on_screen(make_napari_viewer, scan, qtbot):
    """A scan on the screen, its measuring, and the mouse over it, by real events."""
    viewer, review = make_napari_viewer(show=True), Review()
    layers, measuring = ReviewLayers(viewer, review), Measuring(viewer, review)
    review.open(scan)
    qtbot.wait(100)
    return viewer, review, layers, measuring, Mouse(viewer)


def at(viewer, layers, index):
    """Canvas pixel of a display index."""
    mouse = Mouse(viewer) if isinstance(viewer, Viewer) else Pointer(viewer)
    return mouse.pixel(layers.placement.scale * np.array(index) + layers.placement.translate)


def places(viewer, layers, *indices):
    """Canvas pixels of indices (down, across) on the slice shown."""
    return [at(viewer, layers, index) for index in on_slice(layers, *indices)]


def on_slice(layers, *indices):
    """Display indices of indices (down, across) on the slice shown."""
    through, placement = layers.order()[0], layers.placement
    here = (layers.display_point()[through] - placement.translate[through]) / placement.scale[through]
    return [np.insert(np.array(index, float), through, here) for index in indices]


def drawn_at(layer, number):
    """Display coordinates of a shape, from the layer as napari places it."""
    return np.array([layer.data_to_world(point) for point in layer.data[number]])


def camera(viewer):
    return viewer.scene.camera.zoom, viewer.scene.camera.center


def pixel_mm(viewer):
    return 1 / viewer.scene.camera.zoom


@pytest.mark.gui
def test_a_distance_is_dragged_and_the_picture_stays(on_screen):
    viewer, _, layers, measuring, mouse = on_screen
    before = camera(viewer)
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (10, 10), (26, 22)))  # 16 x 1.5 mm down, 12 x 1.5 mm across
    assert measuring.found[0].size == pytest.approx(30, abs=2 * pixel_mm(viewer))
    assert measuring.found[0].size_unit == "mm"
    assert camera(viewer) == before
    layer = measuring.layer.layer
    assert (layer.name, layer.shape_type, layer.visible) == ("measurements", ["line"], True)
    assert all(str(unit) == "millimeter" for unit in layer.units)
    (caption,) = measuring.layer.captions.captions
    assert caption.words == f"1:  {measuring.found[0].caption}"
    assert viewer.layers.selection.active is layers.study
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    x, y = (round(at) for at in places(viewer, layers, (18, 16))[0])
    near = picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
    colour = [int(CHOSEN[at : at + 2], 16) for at in (1, 3, 5)]
    assert np.abs(near - colour).max(axis=-1).min() < 60


@pytest.mark.gui
def test_points_of_an_angle_are_clicked_and_one_follows_the_mouse(on_screen):
    viewer, _, layers, measuring, mouse = on_screen
    measuring.use("angle")
    end, vertex, other = places(viewer, layers, (10, 30), (10, 10), (30, 10))
    mouse.click(end)
    mouse.move(vertex)
    assert len(measuring.layer.layer.data) == 1
    mouse.click(vertex)
    mouse.click(other)
    assert [one.angle_deg for one in measuring.found] == [pytest.approx(90, abs=2)]
    mouse.drag(end, vertex)  # a drag sets two at once
    mouse.click(other)
    assert measuring.found[1].angle_deg == pytest.approx(90, abs=2)


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "freehand"])
def test_a_region_over_the_bright_voxel(reading, scan, kind):
    viewer, review, layers, measuring, mouse = reading
    review.go_to(tuple(scan.geometry.to_world((10, 8, 15))))
    middle = layers.placement.geometry.to_index(scan.geometry.to_world((10, 8, 15)))[1:]
    corners = middle + np.array([(-3.4, -4.4), (-3.4, 4.4), (3.4, 4.4), (3.4, -4.4)])
    measuring.use(kind)
    spots = places(viewer, layers, *corners)
    mouse.drag(*([*spots, spots[0]] if kind == "freehand" else spots[::2]), steps=6)
    found = measuring.found[0]
    assert found.grey.high == 900
    box = 6.8 * 8.8 * 1.5**2
    area = {"rectangle": box, "ellipse": box * np.pi / 4, "freehand": box}[kind]
    assert found.size == pytest.approx(area, rel=0.08)
    # One bright voxel among n of -1000: the mean says how many were counted.
    assert found.grey.mean == pytest.approx(-1000 + 1900 / found.grey.n)
    assert found.grey.n == pytest.approx(area / 1.5**2, abs=8)


def test_on_an_oblique_and_sheared_grid_the_length_is_the_worlds(reading):
    viewer, review, layers, measuring, mouse = reading
    affine = affine_of((9, -6, 12), (1.0, 1.2, 3.0), shear=(0.0, 2.0))
    volume = Volume(np.zeros((40, 40, 30), np.int16), Geometry((40, 40, 30), affine), "CT", "HU")
    review.open(volume)
    layers.show_plane(2)
    viewer.scene.camera.zoom = 8.0
    measuring.use("distance")
    ends = [(4, 8), (24, 30)]
    mouse.drag(*places(viewer, layers, *ends))
    index = np.array(on_slice(layers, *ends))
    length = np.linalg.norm(np.diff(layers.placement.geometry.to_world(index), axis=0))
    on_screen = np.linalg.norm(np.diff(index, axis=0) * layers.placement.scale)
    assert abs(on_screen - length) > 3
    assert measuring.found[0].size == pytest.approx(length, abs=3 * pixel_mm(viewer))


def test_a_drawing_is_seen_on_its_slice_and_in_its_plane_only(reading):
    viewer, _, layers, measuring, mouse = reading
    measuring.use("ellipse")
    mouse.drag(*places(viewer, layers, (8, 8), (20, 20)))
    layer = measuring.layer.layer
    step = viewer.dims.current_step[0]
    measuring.choose(None)
    assert len(layer._view_indices) == 1
    viewer.dims.set_current_step(0, step + 1)
    assert len(layer._view_indices) == 0
    layers.show_plane(1)
    assert (layer.nshapes, layer.visible) == (0, False)
    mouse.drag(*places(viewer, layers, (4, 10), (12, 30)))
    assert [one.through for one in measuring.measurements] == [0, 1]
    assert drawn_at(layer, 0) == pytest.approx(measuring.points(1), abs=1e-3)
    # Lines are as wide down as across, though voxels are 3 mm high and 1.5 mm wide.
    assert (layer.scale[0], layer.scale[1]) == (layer.scale[2], layers.placement.scale[1])
    layers.show_plane(0)
    viewer.dims.set_current_step(0, step)
    assert len(layer._view_indices) == 1
    assert layer.shape_type == ["ellipse"]


def test_sliders_are_as_long_as_before(reading):
    viewer, _, layers, measuring, mouse = reading
    before = viewer.dims.nsteps
    for through in (0, 1, 2):
        layers.show_plane(through)
        measuring.use("distance")
        mouse.drag(*places(viewer, layers, (6, 6), (14, 17)))
        assert viewer.dims.nsteps[through] == before[through]
    layers.show_plane(0)
    assert viewer.dims.nsteps[0] == before[0]


@pytest.mark.gui
def test_corners_are_pulled_and_the_line_moves_the_whole(on_screen):
    viewer, _, layers, measuring, mouse = on_screen
    measuring.use("rectangle")
    mouse.drag(*places(viewer, layers, (8, 8), (20, 20)))
    measuring.use(None)
    before = measuring.points(0)
    mouse.drag(*places(viewer, layers, (20, 20), (26, 30)))
    assert measuring.found[0].size == pytest.approx(18 * 22 * 1.5**2, rel=0.05)
    mouse.drag(*places(viewer, layers, (8, 16), (11, 16)))
    moved = measuring.points(0)
    assert moved[0] - before[0] == pytest.approx([0, 4.5, 0], abs=2 * pixel_mm(viewer))
    assert measuring.found[0].size == pytest.approx(18 * 22 * 1.5**2, rel=0.05)


def test_beside_what_was_drawn_the_mouse_moves_the_picture(reading):
    viewer, _, layers, measuring, mouse = reading
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (8, 8), (8, 20)))
    assert mouse.handled
    measuring.use(None)
    mouse.drag(*places(viewer, layers, (20, 20), (25, 25)))
    assert not mouse.handled
    mouse.drag(*places(viewer, layers, (8, 14), (12, 14)))
    assert mouse.handled
    assert len(measuring.measurements) == 1


def test_a_tool_of_naparis_goes_before(reading):
    viewer, _, layers, measuring, mouse = reading
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (8, 8), (8, 20)))
    drawn = viewer.add_labels(np.zeros(layers.placement.geometry.shape, np.uint8))
    drawn.mode = "paint"
    mouse.drag(*places(viewer, layers, (12, 8), (12, 20)))
    assert not mouse.handled
    assert len(measuring.measurements) == 1


def test_who_takes_a_click_sees_that_it_is_dealt_with(reading):
    viewer, _, layers, measuring, mouse = reading
    seen = []
    viewer.mouse_drag_callbacks.append(lambda _, event: seen.append(event.handled))
    mouse.click(places(viewer, layers, (8, 8))[0])
    measuring.use("distance")
    mouse.click(places(viewer, layers, (8, 8))[0])
    assert seen == [False, True]


def test_escape_gives_up_step_by_step_and_delete_drops_what_is_chosen(reading):
    viewer, _, layers, measuring, mouse = reading
    keys = {str(key): action for key, action in viewer.keymap.items()}
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (8, 8), (8, 20)))
    mouse.drag(*places(viewer, layers, (20, 8), (20, 20)))
    mouse.click(places(viewer, layers, (30, 30))[0])
    mouse.move(places(viewer, layers, (35, 30))[0])
    assert measuring.layer.layer.nshapes == 3
    keys["Escape"](viewer)
    assert (measuring.layer.layer.nshapes, measuring.tool) == (2, "distance")
    keys["Escape"](viewer)
    assert (measuring.tool, measuring.chosen) == (None, 1)
    keys["Delete"](viewer)
    assert [one.through for one in measuring.measurements] == [0]
    keys["Delete"](viewer)  # nothing is chosen
    assert len(measuring.found) == 1
    keys["Escape"](viewer)
    assert viewer.layers.selection.active is layers.study


def test_another_slice_ends_a_drawing_and_another_point_on_it_does_not(reading, scan):
    viewer, review, layers, measuring, mouse = reading
    measuring.use("distance")
    first, second = places(viewer, layers, (8, 8), (8, 20))
    mouse.click(first)
    at = np.array(on_slice(layers, (30, 30))[0])
    review.go_to(tuple(layers.placement.geometry.to_world(at)))
    mouse.click(second)
    assert len(measuring.found) == 1
    mouse.click(first)
    viewer.dims.set_current_step(0, viewer.dims.current_step[0] + 1)
    mouse.click(second)
    assert len(measuring.found) == 1


def test_a_click_is_no_region_and_no_distance(reading):
    viewer, _, layers, measuring, mouse = reading
    spot = places(viewer, layers, (20, 20))[0]
    for kind in ("ellipse", "freehand"):
        measuring.use(kind)
        mouse.click(spot)
    measuring.use("distance")
    mouse.click(spot)
    mouse.click(spot)
    assert measuring.found == ()


def test_each_study_keeps_its_own(reading, scan):
    viewer, review, layers, measuring, mouse = reading
    first = review.reading
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (8, 8), (8, 20)))
    length = measuring.found[0].size
    layer = measuring.layer.layer
    review.open(
        Volume(np.zeros((30, 30, 9), np.int16), Geometry((30, 30, 9), np.diag([-1, -1, 2, 1.0])), "CT", "HU")
    )
    assert (measuring.found, measuring.tool, layer.nshapes, layer.visible) == ((), None, 0, False)
    assert viewer.dims.nsteps == (9, 30, 30)
    review.show(first)
    assert [one.size for one in measuring.found] == [length]
    assert drawn_at(layer, 0) == pytest.approx(measuring.points(0), abs=1e-3)
    assert (measuring.layer.layer is layer, layer.nshapes, layer.visible) == (True, 1, True)
    for reading_ in review.readings:
        review.close(reading_)
    assert not layer.visible


def test_from_the_coronal_plane_of_one_study_to_what_was_drawn_on_another(reading, scan):
    viewer, review, layers, measuring, mouse = reading
    first = review.reading
    measuring.use("distance")
    for row in (8, 12):
        mouse.drag(*places(viewer, layers, (row, 8), (row, 20)))
    review.open(scan.cropped((0, 0, 0), (30, 30, 10)))
    layers.show_plane(1)
    measuring.use("distance")
    mouse.drag(*places(viewer, layers, (2, 8), (6, 20)))
    assert len(measuring.found) == 1
    review.show(first)  # turns to the axial plane on the way
    assert measuring.layer.layer.shape_type == ["line", "line"]
    assert len(measuring.found) == 2


def test_evidence_in_a_region_follows_what_is_looked_at(reading, scan, explained):
    viewer, review, layers, measuring, mouse = reading
    review.adopt(explained)
    review.step_peak("nodule")
    middle = layers.placement.to_display(review.point_mm)
    index = ((middle - layers.placement.translate) / layers.placement.scale)[1:]
    measuring.use("rectangle")
    mouse.drag(*places(viewer, layers, index - 2.4, index + 2.4))
    assert [name for name, _, _ in measuring.found[0].evidence] == ["nodule"]
    first, told = measuring.found[0].evidence[0][1], []
    measuring.changed.connect(lambda: told.append(1))
    review.set_look(threshold=0.4)
    assert told == []  # the same evidence, seen otherwise
    assert 1 < first < 3
    review.show_method("layer-cam")  # its planted evidence is twice as high
    assert measuring.found[0].evidence[0][1] == pytest.approx(2 * first)
    review.show_class("effusion")
    assert [name for name, _, _ in measuring.found[0].evidence] == ["nodule", "effusion"]


def test_in_time_the_numbers_are_of_the_moment_on_the_screen(reading, scan):
    viewer, review, layers, measuring, mouse = reading
    moments = np.stack([np.full(scan.shape, value, np.int16) for value in (5, 25, 45)], axis=-1)
    review.open(Volume(moments, scan.geometry, "MR"))
    measuring.use("rectangle")
    mouse.drag(*places(viewer, layers, (8, 8), (20, 20)))
    assert measuring.found[0].grey.mean == 5
    viewer.dims.set_current_step(0, 2)
    assert measuring.found[0].grey.mean == 45
    assert measuring.layer.layer.ndim == 3
    assert measuring.layer.captions.captions[0].words.startswith("1:  45 ± 0\n")
    assert len(measuring.layer.layer._view_indices) > 0


def test_words_stand_below_what_they_name_at_its_left_on_the_screen(reading):
    viewer, review, layers, measuring, mouse = reading
    measuring.use("rectangle")
    mouse.drag(*places(viewer, layers, (8, 8), (20, 24)))
    corners = drawn_at(measuring.layer.layer, 0)
    (caption,) = measuring.layer.captions.captions
    assert caption.down > corners[:, 1].max()
    assert caption.across == pytest.approx(corners[:, 2].min())
    review.set_convention(neurological=True)
    (caption,) = measuring.layer.captions.captions
    assert caption.across == pytest.approx(corners[:, 2].max())


def test_words_are_hidden_with_what_they_name(reading):
    viewer, _, layers, measuring, mouse = reading
    measuring.use("rectangle")
    mouse.drag(*places(viewer, layers, (8, 8), (20, 24)))
    words = measuring.layer.captions
    assert words.visible
    measuring.layer.layer.visible = False
    assert not words.visible
    measuring.layer.layer.visible = True
    viewer.dims.ndisplay = 3
    assert not words.visible
