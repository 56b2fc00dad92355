from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from grids import poses
from hypothesis import given, settings
from napari.components import ViewerModel
from napari.layers import Image, Labels
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.resampling import Resampled
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.export.style import colours_of
from voxcam.plugin.canvas.appearance import appearance
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.review.review import Review


class Desk:
    """A review with its layers, without a window."""

    def __init__(self, volume=None, mask=None, *, layered=True):
        self.viewer, self.review = ViewerModel(), Review()
        self.layers = ReviewLayers(self.viewer, self.review)
        self.review.set_look(layered=layered)
        if volume is not None:
            self.review.open(volume, mask)

    def value(self, layer, point):
        """What is under the mouse at a display point, stepped to."""
        self.viewer.dims.set_point(range(3), point)
        return layer.get_value(point, world=True)

    def colours(self, name):
        """RGBA of the slice of a class's layer, as napari maps it."""
        layer = self.layers.classes.by_class[name]
        at = tuple(self.viewer.dims.current_step[-3:])
        low, high = layer.contrast_limits
        rgba = layer.colormap.map((np.asarray(layer.data[at[0]]) - low) / (high - low))
        rgba[..., 3] *= layer.opacity
        return rgba


@pytest.fixture
def desk(scan, explained):
    desk = Desk(scan)
    desk.review.adopt(explained)
    return desk


def stored_orientations():
    """The affines of all 48 ways to store axis-aligned voxels, right- and left-handed."""
    for axes in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = 0
            affine[list(axes), range(3)] = np.array(signs) * (0.7, 1.3, 4.0)
            affine[:3, 3] = (12, -40, 300)
            yield affine


def test_a_planted_voxel_is_read_at_its_world_point_in_every_stored_orientation():
    desk = Desk()
    for affine in stored_orientations():
        voxels = np.zeros((6, 7, 5), np.int16)
        voxels[1, 5, 3] = 700
        volume = Volume(voxels, Geometry(voxels.shape, affine), "CT", "HU")
        desk.review.open(volume)
        x, y, z = volume.geometry.to_world((1, 5, 3))
        assert desk.value(desk.layers.study, (-z, -y, -x)) == 700
        assert desk.value(desk.layers.study, (-z, -y, -x + desk.layers.study.scale[2])) == 0


@settings(max_examples=12)
@given(pose=poses(oblique=True, shear=True))
def test_evidence_lies_on_the_study_voxel_for_voxel_also_when_oblique(pose):
    values = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)
    volume = Volume(values, Geometry(values.shape, pose), "MR")
    desk = Desk(volume)
    desk.review.adopt(explanation_of(volume, {"a": (0.5, values)}))
    study, evidence = desk.layers.study, desk.layers.classes.by_class["a"]
    assert np.allclose(np.asarray(evidence.data), study.data, atol=1e-4)
    assert np.array_equal(evidence.scale, study.scale)
    assert np.array_equal(evidence.translate, study.translate)


def test_a_coarse_peak_is_hottest_at_its_world_point_in_every_stored_orientation():
    desk = Desk()
    for affine in stored_orientations():
        volume = Volume(np.zeros((12, 16, 20), np.int16), Geometry((12, 16, 20), affine))
        coarse = volume.geometry.coarsened((3, 4, 5))
        cells = np.zeros(coarse.shape, np.float32)
        cells[1, 2, 3] = 2.0
        desk.review.open(volume)
        desk.review.adopt(explanation_of(Volume(cells, coarse), {"a": (0.5, cells)}))
        layer = desk.layers.classes.by_class["a"]
        shown = np.asarray(layer.data)
        top = np.argwhere(shown > shown.max() - 1e-5).mean(axis=0)
        x, y, z = coarse.to_world((1, 2, 3))
        assert np.abs((np.array(layer.data_to_world(top)) - (-z, -y, -x)) / layer.scale).max() <= 0.5


def test_no_layer_is_given_a_turned_affine():
    turn = np.array([[0.99, -0.14, 0, 0], [0.14, 0.99, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    volume = Volume(np.zeros((60, 60, 10), np.int16), Geometry((60, 60, 10), turn))
    desk = Desk(volume)
    assert np.array_equal(desk.layers.study.affine.affine_matrix, np.eye(4))
    assert "oblique" in desk.layers.study.metadata["badge"]
    assert not np.allclose(desk.layers.study.metadata["affine"][:3, :3], np.diag(desk.layers.study.scale))


def test_layers_are_in_millimetres_with_named_axes(desk):
    for layer in desk.viewer.layers:
        assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
        assert layer.axis_labels == ("I", "P", "L")
    assert desk.viewer.dims.axis_labels == ("I", "P", "L")


def test_names_are_neutral(desk):
    assert [layer.name for layer in desk.viewer.layers] == ["CT", "evidence: nodule"]


def test_layers_are_made_once_and_used_again(desk, scan, explained):
    desk.review.show_class("effusion")
    before = list(desk.viewer.layers)
    desk.review.set_look(method="layer-cam")
    desk.review.show_class("nodule", on=False)
    desk.review.show_class("nodule")
    desk.review.open(scan)
    desk.review.adopt(explained)
    desk.review.show_class("effusion")
    assert list(desk.viewer.layers) == before


def test_a_layer_the_reader_deleted_is_made_again(desk):
    desk.viewer.layers.remove(desk.layers.classes.by_class["nodule"])
    desk.review.set_look(opacity=0.5)
    assert desk.layers.classes.by_class["nodule"] in desk.viewer.layers


def test_switching_the_method_swaps_the_values(desk, explained):
    layer = desk.layers.classes.by_class["nodule"]
    assert np.nanmax(np.asarray(layer.data)) == pytest.approx(explained.heatmap("nodule").largest)
    desk.review.set_look(method="layer-cam")
    assert np.nanmax(np.asarray(layer.data)) == pytest.approx(
        explained.heatmap("nodule", "layer-cam").largest
    )
    assert layer.contrast_limits[1] == pytest.approx(explained.heatmap("nodule", "layer-cam").largest)


def test_evidence_is_computed_slice_by_slice(desk):
    assert isinstance(desk.layers.classes.by_class["nodule"].data, Resampled)


def test_one_stroke_hides_all_evidence_and_nothing_else(desk):
    desk.review.show_class("effusion")
    desk.review.set_look(hidden=True)
    assert [layer.visible for layer in desk.viewer.layers] == [True, False, False]
    desk.review.set_look(hidden=False)
    assert all(layer.visible for layer in desk.viewer.layers)


def test_a_class_without_evidence_stays_fully_transparent(desk):
    desk.review.show_class("clear")
    desk.review.set_look(shared_range=False)
    assert desk.layers.classes.by_class["clear"].visible
    assert desk.colours("clear")[..., 3].max() == 0


def test_the_screen_has_the_colours_of_the_figures(desk):
    desk.review.step_peak("nodule")
    desk.review.set_look(threshold=0.25, opacity=0.6)
    layer = desk.layers.classes.by_class["nodule"]
    evidence = np.asarray(layer.data[desk.viewer.dims.current_step[0]])
    truth = colours_of(evidence, desk.layers.styles()["nodule"])
    assert truth[..., 3].max() > 0.5
    assert np.allclose(desk.colours("nodule"), truth, atol=2e-6)


def test_styles_are_read_back_from_the_layers(desk):
    desk.layers.classes.by_class["nodule"].contrast_limits = (0, 7)
    desk.layers.classes.by_class["nodule"].opacity = 0.33
    style = desk.layers.styles()["nodule"]
    assert (style.low, style.high, style.opacity) == (0, 7, pytest.approx(0.33))
    assert set(desk.layers.styles()) == {"nodule"}


def test_jump_steps_to_the_slice_of_the_peak(desk, scan):
    assert desk.review.step_peak("nodule")
    x, y, z = scan.geometry.to_world((10, 8, 15))
    assert desk.layers.display_point() == pytest.approx((-z, -y, -x))
    assert desk.layers.study.data[desk.viewer.dims.current_step] == 900


def test_there_is_no_jump_to_evidence_outside_the_scan(desk, scan):
    affine = np.array(scan.affine)
    affine[0, 3] += 1000
    far = Geometry(scan.shape, affine)
    outside = explanation_of(Volume(np.ones(scan.shape), far), {"a": (0.5, np.ones(scan.shape))})
    desk.review.adopt(outside)
    before = desk.layers.display_point()
    assert desk.review.step_peak("a") is None
    assert desk.layers.display_point() == before


def test_planes_are_set_in_radiological_order(desk):
    for through, order in ((0, (0, 1, 2)), (1, (1, 0, 2)), (2, (2, 0, 1))):
        desk.layers.show_plane(through)
        assert desk.viewer.dims.order == order


def test_another_study_moves_everything_so_that_the_sliders_fit_it(desk):
    small = Volume(np.zeros((5, 6, 7), np.int16), Geometry((5, 6, 7), np.eye(4)), "MR")
    desk.review.open(small)
    assert desk.viewer.dims.nsteps == (7, 6, 5)
    assert [layer.visible for layer in desk.viewer.layers] == [True, False]
    assert desk.layers.study.name == "MR"


def test_studies_of_other_kinds_of_numbers_and_in_time_share_the_layer(scan):
    desk = Desk(scan)
    first = desk.layers.study
    moving = np.random.default_rng(0).normal(size=(5, 6, 7, 4)).astype(np.float32)
    desk.review.open(Volume(moving, Geometry((5, 6, 7), np.eye(4)), "MR"))
    assert desk.layers.study is first
    assert desk.viewer.dims.nsteps == (4, 7, 6, 5)
    values = np.zeros((5, 6, 7), np.float32)
    values[1, 2, 3] = 1
    volume = desk.review.volume
    desk.review.adopt(explanation_of(volume, {"a": (0.9, values)}))
    desk.viewer.dims.set_current_step(0, 2)
    assert desk.review.step_peak(None)
    assert desk.viewer.dims.current_step == (2, 7 - 1 - 3, 6 - 1 - 2, 5 - 1 - 1)
    desk.review.open(scan)
    assert desk.viewer.dims.ndim == 3


def test_a_radiograph_is_shown_in_its_own_plane_with_low_values_bright():
    affine = np.array([[0, 0.2, 0, 0], [0, 0, 1, 0], [-0.2, 0, 0, 0], [0, 0, 0, 1.0]])
    pixels = np.random.default_rng(0).integers(0, 4000, (30, 20, 1)).astype(np.int16)
    volume = Volume(pixels, Geometry(pixels.shape, affine, "detector"), "CR", inverted=True)
    desk = Desk(volume)
    assert desk.viewer.dims.order[0] == 1
    assert desk.layers.study.colormap.map(np.array([0.0]))[0, 0] == 1
    assert np.shares_memory(desk.layers.study.data, pixels)


def test_a_sigmoid_window_is_drawn_as_such(scan):
    window = Window(40, 400, function="SIGMOID")
    desk = Desk(scan)
    desk.review.set_window(window)
    low, high = desk.layers.study.contrast_limits
    values = np.linspace(low, high, 50)
    shown = desk.layers.study.colormap.map((values - low) / (high - low))[:, 0]
    assert np.allclose(shown, window.apply(values), atol=2e-3)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_table_of_grey_levels_is_drawn_as_such(scan, inverted):
    steps = np.clip(np.sin(np.linspace(0, 5, 400)) ** 2, 0, 1)  # up and down: no ramp would do
    window = Window.of_table(-160, steps, "normal")
    desk = Desk(replace(scan, inverted=inverted))
    desk.review.set_window(window)
    assert tuple(desk.layers.study.contrast_limits) == (-160, 239)
    values = np.linspace(-160, 239, 333)
    shown = desk.layers.study.colormap.map((values + 160) / 399)[:, 0]
    assert np.allclose(shown, 1 - window.apply(values) if inverted else window.apply(values), atol=2e-3)
    before = desk.layers.study.colormap.name
    desk.review.set_window(Window.of_table(-160, steps[::-1]))
    assert desk.layers.study.colormap.name != before


def test_a_linear_window_sets_the_contrast_and_leaves_room_to_drag(scan):
    desk = Desk(scan)
    desk.review.set_window(Window(-600, 1500, "lung"))
    assert tuple(desk.layers.study.contrast_limits) == (-1350, 150)
    assert desk.layers.study.contrast_limits_range[1] >= 900


def test_a_drawn_finding_is_an_outline_on_the_study_grid(scan):
    drawn = np.zeros(scan.shape, np.uint8)
    drawn[8:13, 6:11, 13:18] = 4
    desk = Desk(scan, Volume(drawn, scan.geometry, unit="label"))
    assert isinstance(desk.layers.finding, Labels)
    x, y, z = scan.geometry.to_world((10, 8, 15))
    assert desk.value(desk.layers.finding, (-z, -y, -x)) == 1
    lines = desk.viewer.scene.overlays["voxcam_finding"]
    assert lines.visible
    desk.layers.finding.visible = False
    assert not lines.visible
    desk.layers.finding.visible = True
    desk.viewer.dims.ndisplay = 3
    assert not lines.visible
    desk.viewer.dims.ndisplay = 2
    desk.review.open(scan)
    assert not desk.layers.finding.visible
    assert not lines.visible


def test_the_outline_runs_between_the_voxels_in_every_plane(scan):
    drawn = np.zeros(scan.shape, np.uint8)
    drawn[8:13, 6:11, 13:18] = 1
    desk = Desk(scan, Volume(drawn, scan.geometry, unit="label"))
    lines = desk.viewer.scene.overlays["voxcam_finding"]
    # The box's faces half a voxel round it, from the affine: I, P, L.
    faces = -np.sort([scan.geometry.to_world(at) for at in ((7.5, 5.5, 12.5), (12.5, 10.5, 17.5))], axis=0)
    low, high = faces[1][::-1], faces[0][::-1]
    for through in range(3):
        desk.layers.show_plane(through)
        desk.viewer.dims.set_point(range(3), (low + high) / 2)
        plane = [axis for axis in range(3) if axis != through]
        ends = lines.ends.places
        assert lines.visible
        assert len(ends) == 8
        assert np.allclose([ends.min(0), ends.max(0)], [low[plane], high[plane]], atol=1e-4)
        desk.viewer.dims.set_point(through, high[through] + 3)
        assert not lines.visible


def test_a_finding_that_comes_later_is_outlined(scan):
    desk = Desk(scan)
    desk.review.outline(Volume(np.ones(scan.shape, np.uint8), scan.geometry, unit="label"))
    assert desk.viewer.scene.overlays["voxcam_finding"].visible
    assert "volume" not in desk.layers.finding.metadata  # it is not one that a reader brings


def test_a_study_taken_over_lies_under_the_evidence_and_that_under_the_finding(scan, explained):
    drawn = Volume(np.ones(scan.shape, np.uint8), scan.geometry, unit="label")
    desk = Desk(scan, drawn, layered=False)
    desk.review.adopt(explained)
    own = Image(np.zeros((4, 4, 4)), name="of the reader")
    desk.viewer.layers.append(own)
    data, attributes = appearance(scan)
    attributes.pop("contrast_range")
    desk.viewer.layers.append(Image(data, name="brought", **attributes))
    before = set(desk.viewer.layers)
    desk.layers.adopt(desk.viewer.layers["brought"])
    desk.review.open(scan, drawn)
    desk.review.adopt(explained)
    names = [layer.name for layer in desk.viewer.layers if layer.visible]
    assert names == ["CT [1]", "evidence", "finding, as drawn", "of the reader"]
    assert set(desk.viewer.layers) == before


def test_the_scan_stays_selected(desk):
    desk.review.show_class("effusion")
    assert desk.viewer.layers.selection.active is desk.layers.study


def test_a_layer_of_the_reader_is_taken_over_not_copied(scan):
    from voxcam.plugin.reader import as_layer

    desk = Desk()
    voxels, attributes, _ = as_layer(scan)
    layer = Image(voxels, **attributes)
    desk.viewer.layers.append(layer)
    desk.layers.adopt(layer)
    desk.review.open(scan)
    assert list(desk.viewer.layers) == [layer]


def test_unchanged_layers_are_not_drawn_again(desk):
    redrawn = []
    desk.layers.classes.by_class["nodule"].events.colormap.connect(lambda event: redrawn.append(event))
    desk.review.set_look(opacity=0.5)
    assert redrawn == []
    desk.review.set_look(threshold=0.5)
    assert len(redrawn) == 1
