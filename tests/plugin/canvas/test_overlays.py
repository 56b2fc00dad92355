from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.overlays import Overlays
from voxcam.plugin.review.review import Review


def desk(volume=None):
    viewer, review = ViewerModel(), Review()
    layers = ReviewLayers(viewer, review)
    overlays = Overlays(viewer, review)
    if volume is not None:
        review.open(volume)
    return viewer, review, layers, overlays


def edges(overlays):
    words = overlays.words()
    return words["top"], words["bottom"], words["left"], words["right"]


def test_an_empty_room_says_what_to_do():
    viewer, _, _, overlays = desk()
    assert overlays.words()["welcome"] == "drop a scan here"
    assert viewer.canvas.overlays["voxcam_welcome"].visible


def test_letters_follow_the_plane(scan):
    viewer, _, layers, overlays = desk(scan)
    assert edges(overlays) == ("A", "P", "R", "L")
    layers.show_plane(1)
    assert edges(overlays) == ("S", "I", "R", "L")
    layers.show_plane(2)
    assert edges(overlays) == ("S", "I", "A", "P")
    assert viewer.canvas.overlays["voxcam_left"].text == "A"
    viewer.dims.ndisplay = 3
    assert edges(overlays) == ("", "", "", "")
    assert not viewer.canvas.overlays["voxcam_left"].visible


def test_letters_follow_the_neurological_convention(scan):
    viewer, _, _, overlays = desk(scan)
    viewer.scene.camera.orientation2d = ("down", "left")
    assert edges(overlays) == ("A", "P", "L", "R")
    assert viewer.canvas.overlays["voxcam_left"].text == "L"


def test_the_slice_is_named_as_in_figures(scan):
    viewer, review, _, overlays = desk(scan)
    review.set_window(Window(-600, 1500, "lung"))
    viewer.dims.set_current_step(0, 0)
    assert overlays.words()["where"] == "CT   lung W 1500 / L -600\naxial, z = -23.0 mm\nslice 1 of 20"
    viewer.dims.set_current_step(0, 19)
    assert "z = -80.0 mm\nslice 20 of 20" in viewer.canvas.overlays["voxcam_where"].text


def test_an_oblique_scan_has_its_badge():
    turn = np.array([[1, 0, 0, 0], [0, 0.99, -0.14, 0], [0, 0.14, 0.99, 0], [0, 0, 0, 1.0]])
    volume = Volume(np.zeros((60, 60, 10), np.int16), Geometry((60, 60, 10), turn))
    viewer, *_ = desk(volume)
    assert "oblique 8.0°" in viewer.canvas.overlays["voxcam_badge"].text


def radiograph(stated, frame="unknown", codes=(-1.0, -1.0)):
    geometry = Geometry((5, 6, 1), np.diag([*codes, 1.0, 1.0]), frame)
    source = {"patient_orientation": stated} if stated else {}
    return Volume(np.zeros((5, 6, 1), np.int16), geometry, "CR", source=source)


def test_a_radiograph_that_states_its_orientation_has_its_letters():
    viewer, review, layers, overlays = desk(radiograph(["L", "F"]))
    assert edges(overlays) == ("S", "I", "R", "L")
    assert overlays.words()["badge"] == "projection:\nno pixel size, distances are in pixels"
    assert layers.study.metadata["badge"] == overlays.words()["badge"].replace("\n", " ")
    viewer.scene.camera.orientation2d = ("down", "left")
    assert edges(overlays) == ("S", "I", "L", "R")
    viewer.scene.camera.orientation2d = ("down", "right")
    layers.show_plane(1)
    assert edges(overlays) == ("", "", "", "")
    # Stored the other way round; reading gave it the affine that turns it.
    review.open(radiograph(["R", "H"], "detector", (1.0, 1.0)))
    assert edges(overlays) == ("S", "I", "R", "L")
    assert overlays.words()["badge"] == "projection:\nmillimetres on the detector"


def test_a_radiograph_that_states_none_has_no_letters():
    _, _, _, overlays = desk(radiograph(None))
    assert edges(overlays) == ("", "", "", "")
    assert overlays.words()["badge"] == "orientation unknown:\nthe file states none"


def test_evidence_on_the_screen_is_labelled(scan, explained):
    viewer, review, _, overlays = desk(scan)
    assert not viewer.canvas.overlays["voxcam_label"].visible
    review.adopt(explained)
    assert "Not for diagnosis" in viewer.canvas.overlays["voxcam_label"].text
    assert "nodule" in overlays.words()["badge"]
    assert "grad-cam at layer3\nin logit units" in overlays.words()["badge"]
    review.set_look(hidden=True)
    assert overlays.words()["badge"] == "evidence hidden"


def test_there_is_a_scale_bar_only_where_there_are_millimetres(scan):
    viewer, review, *_ = desk(scan)
    assert viewer.canvas.overlays.scale_bar.visible
    review.open(Volume(np.zeros((5, 5, 1), np.int16), Geometry((5, 5, 1), np.eye(4), "unknown")))
    assert not viewer.canvas.overlays.scale_bar.visible


def test_many_classes_are_counted_not_listed(scan):
    _, review, _, overlays = desk(scan)
    names = [f"class {n}" for n in range(8)]
    review.adopt(explanation_of(scan, {name: (0.1 * n, np.ones(scan.shape)) for n, name in enumerate(names)}))
    review.set_look(shown=frozenset(names))
    assert overlays.words()["badge"].splitlines()[0] == "class 7, class 6, class 5, + 5 more"
