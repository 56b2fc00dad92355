"""Where the mouse is, told from the real canvas."""

from __future__ import annotations

import numpy as np
import pytest
from builders import affine_of
from mouse import Mouse

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.readout import Hover
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("through", [0, 1, 2])
def test_the_place_under_the_mouse_is_that_of_the_voxel_drawn_there(make_napari_viewer, qtbot, through):
    viewer, review, told = make_napari_viewer(show=True), Review(), []
    layers, hover = ReviewLayers(viewer, review), Hover(viewer, review)
    hover.hovered.connect(told.append)
    voxels = np.zeros((40, 30, 20), np.int16)
    affine = affine_of((8, -4, 15), (1.0, 1.3, 2.0), shear=(1.0, 0.0))
    volume = Volume(voxels, Geometry(voxels.shape, affine), "CT", "HU")
    review.open(volume)
    layers.show_plane(through)
    point = volume.geometry.to_world((11, 9, 13))
    review.go_to(tuple(point))
    qtbot.wait(60)
    mouse = Mouse(viewer)
    mouse.move(mouse.pixel(layers.placement.to_display(point)))
    qtbot.waitUntil(lambda: bool(told) and told[-1] is not None, timeout=3_000)
    assert np.abs(volume.geometry.to_index(told[-1]) - (11, 9, 13)).max() < 0.5
    count = len(told)
    step = viewer.dims.current_step[through]
    viewer.dims.set_current_step(through, step + 2)  # the mouse rests, another slice comes under it
    qtbot.waitUntil(lambda: len(told) > count, timeout=3_000)
    moved = layers.placement.geometry.to_index(told[-1])[through]
    assert moved == pytest.approx(step + 2, abs=0.01)
    for reading in review.readings:
        review.close(reading)
    assert told[-1] is None


def test_a_resting_mouse_is_told_anew_of_plane_side_look_and_labels(
    make_napari_viewer, qtbot, scan, explained
):
    viewer, review, told = make_napari_viewer(show=True), Review(), []
    layers, hover = ReviewLayers(viewer, review), Hover(viewer, review)
    hover.hovered.connect(told.append)
    review.open(scan)
    point = scan.geometry.to_world((20, 12, 9))
    review.go_to(tuple(point))
    qtbot.wait(60)
    mouse = Mouse(viewer)
    at = mouse.pixel(layers.placement.to_display(point))
    mouse.move(at)
    qtbot.waitUntil(lambda: bool(told) and told[-1] is not None, timeout=3_000)

    def anew(act):
        count = len(told)
        act()
        qtbot.waitUntil(lambda: len(told) > count, timeout=3_000)
        qtbot.wait(80)
        return told[-1]

    def there():
        """The truth: what the mouse, moved by a pixel and back, is told."""
        mouse.move((at[0] + 1, at[1]))
        qtbot.wait(60)
        count = len(told)
        mouse.move(at)
        qtbot.waitUntil(lambda: len(told) > count, timeout=3_000)
        return told[-1]

    for act in (
        lambda: layers.show_plane(1),
        lambda: layers.show_plane(2),
        lambda: review.set_convention(neurological=True),
        lambda: review.go_to(tuple(point + 6)),
    ):
        assert anew(act) == pytest.approx(there(), abs=1e-3)
    anew(lambda: review.adopt(explained))
    anew(lambda: review.set_look(hidden=True))
    placed = {"scale": layers.study.scale, "translate": layers.study.translate}
    viewer.add_labels(np.full(layers.study.data.shape, 7, np.uint8), name="lobes", **placed)
    anew(lambda: review.set_look(hidden=False))
    assert hover.labels == (("lobes", 7),)
    hover.leave()
    count = len(told)
    review.set_look(hidden=True)
    qtbot.wait(100)
    assert len(told) == count
