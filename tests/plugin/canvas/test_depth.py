from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.export.style import colours_of
from voxcam.plugin.canvas.depth import MOST_VOXELS, Depth, thinned
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.review.review import Review


class Desk:
    def __init__(self, volume, explanation=None):
        self.viewer, self.review = ViewerModel(), Review()
        self.layers = ReviewLayers(self.viewer, self.review)
        self.depth = Depth(self.viewer, self.review, self.layers)
        self.review.open(volume)
        if explanation is not None:
            self.review.adopt(explanation)

    def visible(self):
        return [layer.name for layer in self.viewer.layers if layer.visible]


@pytest.fixture
def desk(scan, explained):
    return Desk(scan, explained)


def test_there_and_back_the_slice_is_the_one_left(desk):
    desk.review.step_peak("nodule")
    before = desk.layers.display_point()
    desk.depth.set(True)
    assert desk.visible() == ["study in 3D", "evidence in 3D: nodule"]
    desk.depth.set()
    assert desk.visible() == ["CT", "evidence"]
    assert desk.layers.display_point() == pytest.approx(before)
    desk.depth.set()
    assert desk.visible() == ["study in 3D", "evidence in 3D: nodule"]


def test_one_class_at_a_time(desk):
    desk.review.show_class("effusion")
    desk.depth.set(True)
    assert desk.visible()[1] == "evidence in 3D: nodule"
    desk.depth.choose("effusion")
    assert desk.visible()[1:] == ["evidence in 3D: effusion"]
    desk.review.set_look(hidden=True)
    assert desk.visible() == ["study in 3D"]
    desk.review.set_look(hidden=False)
    assert desk.visible()[1:] == ["evidence in 3D: effusion"]


def test_layers_are_made_once(desk, scan, explained):
    desk.depth.set(True)
    before = list(desk.viewer.layers)
    desk.depth.set(False)
    desk.review.open(scan)
    desk.review.adopt(explained)
    desk.depth.set(True)
    assert list(desk.viewer.layers) == before


def test_the_peak_is_where_it_is_in_the_slices(desk, scan):
    desk.depth.set(True)
    layer = desk.depth.evidence
    at = np.unravel_index(int(np.argmax(layer.data)), layer.data.shape)
    x, y, z = scan.geometry.to_world((10, 8, 15))
    assert (
        np.abs(np.array(layer.data_to_world(at)) - (-z, -y, -x)).max() <= np.max(scan.geometry.spacing_mm) / 2
    )


def test_evidence_has_the_colours_of_the_legend_and_none_below_the_threshold(desk):
    desk.review.adjust(None, threshold=0.5)
    desk.depth.set(True)
    layer, style = desk.depth.evidence, desk.review.style("nodule")
    assert layer.blending == "translucent_no_depth"  # added light would burn out over bone
    shares = np.array([0.0, 0.49, 0.75, 1.0])
    colours = layer.colormap.map(shares)
    assert not colours[:2, 3].any()
    truth = colours_of(shares * style.high, replace(style, opacity=1.0))
    assert np.abs(colours[2:] - truth[2:]).max() < 0.02
    assert layer.opacity == style.opacity


def test_what_is_drawn_in_depth_is_no_scan_that_could_be_opened(desk):
    """A layer with a volume of its own would be taken for one that a reader brings, and opened."""
    desk.depth.set(True)
    assert all("volume" not in layer.metadata for layer in (desk.depth.study, desk.depth.evidence))


def test_another_study_is_shown_in_slices(desk, scan):
    desk.depth.set(True)
    desk.review.open(Volume(np.zeros((9, 8, 7), np.int16), Geometry((9, 8, 7), np.eye(4)), "MR"))
    assert desk.viewer.dims.ndisplay == 2
    assert desk.visible() == ["MR"]


def test_a_radiograph_has_no_depth():
    desk = Desk(Volume(np.zeros((9, 8, 1), np.int16), Geometry((9, 8, 1), np.eye(4)), "CR"))
    said = []
    desk.review.said.connect(lambda line, wrong: said.append(line))
    desk.depth.set()
    assert desk.viewer.dims.ndisplay == 2
    assert "several slices" in said[0]


def test_a_large_study_is_thinned_over_the_same_box():
    grid = Geometry((512, 512, 300), np.diag([-0.7, -0.7, 1.0, 1]))
    thin = thinned(grid)
    assert thin.shape == (MOST_VOXELS,) * 3
    assert np.allclose(thin.to_world((-0.5,) * 3), grid.to_world((-0.5,) * 3))
    assert np.allclose(thin.to_world([MOST_VOXELS - 0.5] * 3), grid.to_world(np.array(grid.shape) - 0.5))
