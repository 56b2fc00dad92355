from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.export.style import colours_of
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.picture import Picture
from voxcam.plugin.review.review import Review


class Desk:
    def __init__(self, volume, explanation):
        self.viewer, self.review = ViewerModel(), Review()
        self.layers = ReviewLayers(self.viewer, self.review)
        self.review.open(volume)
        self.review.adopt(explanation)

    @property
    def layer(self):
        return self.layers.picture.layer

    def drawn(self):
        """The RGBA that napari has of the slice on the screen."""
        return np.asarray(self.layer._slice.image.raw)


@pytest.fixture
def desk(scan, explained):
    return Desk(scan, explained)


def test_all_classes_are_one_layer_above_the_study(desk):
    desk.review.show_class("effusion")
    assert [layer.name for layer in desk.viewer.layers] == ["CT", "evidence"]
    assert desk.layer.rgb
    assert isinstance(desk.layer.data, Picture)


def test_it_is_made_once_and_used_again(desk, scan, explained):
    before = list(desk.viewer.layers)
    desk.review.set_look(drawn="cells")
    desk.review.set_look(drawn="contours", method="layer-cam")
    for through in (1, 2, 0):
        desk.layers.show_plane(through)
    desk.review.open(scan)
    assert not desk.layer.visible
    desk.review.adopt(explained)
    assert list(desk.viewer.layers) == before
    assert desk.layer.visible


@pytest.mark.parametrize("through", [0, 1, 2])
def test_napari_draws_the_colours_of_the_figures_in_every_plane(desk, through):
    desk.layers.show_plane(through)
    desk.review.step_peak("nodule")
    at = desk.viewer.dims.current_step[through]
    evidence = np.asarray(desk.review.heatmap("nodule").on(desk.layers.placement.geometry).voxels)
    truth = colours_of(np.take(evidence, at, axis=through), desk.review.style("nodule"))
    assert truth[..., 3].max() > 0.5
    assert np.abs(desk.drawn()[..., 3] / 255 - truth[..., 3]).max() < 0.02


def test_a_change_of_look_is_drawn_at_once_and_computes_only_the_slice_on_the_screen(desk, monkeypatch):
    asked = []
    whole = Picture.__getitem__
    monkeypatch.setattr(Picture, "__getitem__", lambda self, key: (asked.append(key), whole(self, key))[1])
    desk.review.step_peak("nodule")
    before = desk.drawn()
    asked.clear()
    for threshold in (0.2, 0.4, 0.6):
        desk.review.adjust(None, threshold=threshold)
    assert (desk.drawn()[..., 3] > 0).sum() < (before[..., 3] > 0).sum()
    at = desk.viewer.dims.current_step[0]
    assert len(asked) == 3
    assert all(key[0] in (at, slice(at, at + 1)) for key in asked)


def test_one_class_of_its_own_leaves_the_others(desk):
    desk.review.adjust("effusion", opacity=0.1)
    assert desk.review.style("effusion").opacity == 0.1
    assert desk.review.style("nodule").opacity == 0.8
    desk.review.adjust_alike("effusion")
    assert desk.review.style("effusion").opacity == 0.8


def test_hiding_takes_every_colour_away_and_a_layer_each_takes_its_place(desk):
    desk.review.set_look(hidden=True)
    assert not desk.layer.visible
    desk.review.set_look(hidden=False, layered=True)
    assert not desk.layer.visible
    assert desk.layers.classes.by_class["nodule"].visible
    desk.review.set_look(layered=False)
    assert desk.layer.visible
    assert not desk.layers.classes.by_class["nodule"].visible


def test_a_thinner_picture_lies_on_the_box_of_the_study(explained):
    volume = Volume(
        np.zeros((640, 512, 4), np.int16), Geometry((640, 512, 4), np.diag([-1.0, -1, 3, 1])), "CT"
    )
    desk = Desk(volume, explained)
    study, layer = desk.layers.study, desk.layer
    assert layer.data.shape[1] < study.data.shape[1]
    for index in (0.0, 1.0):  # both ends of the box
        ends = [
            np.array(one.data_to_world([index * n - 0.5 for n in one.data.shape[:3]]))
            for one in (study, layer)
        ]
        assert np.allclose(*ends)


def test_neurological_turns_axial_and_coronal_but_not_sagittal(desk):
    camera = desk.viewer.scene.camera
    desk.review.set_convention(neurological=True)
    across = []
    for through in (0, 1, 2):
        desk.layers.show_plane(through)
        across.append(str(camera.orientation2d[1]))
    assert across == ["left", "left", "right"]
    desk.layers.show_plane(0)
    desk.review.set_convention(neurological=False)
    assert str(camera.orientation2d[1]) == "right"


def test_stepping_moves_the_point_and_the_point_steps(desk, scan):
    x, y, z = scan.geometry.to_world((10, 8, 15))
    desk.review.go_to((x, y, z))
    assert desk.layers.display_point() == pytest.approx((-z, -y, -x))
    desk.viewer.dims.set_current_step(0, 2)
    assert desk.review.point_mm == pytest.approx((x, y, scan.geometry.to_world((0, 0, 17))[2]))


def test_another_study_opens_in_its_middle_whatever_slice_was_shown(desk, scan):
    desk.viewer.dims.set_current_step(0, 19)
    tall = Geometry((30, 30, 90), np.diag([-1.0, -1.0, 1.0, 1.0]))
    desk.review.open(Volume(np.zeros(tall.shape, np.int16), tall, "CT", "HU"))
    assert desk.viewer.dims.current_step == (44, 15, 15)
    desk.review.show(desk.review.readings[0])
    assert desk.viewer.dims.current_step[0] == 19  # as it was left
