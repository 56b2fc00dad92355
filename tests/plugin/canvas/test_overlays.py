from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from phantoms import explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.plugin.canvas.depth import Depth
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


def test_letters_follow_the_neurological_convention(scan):
    viewer, _, _, overlays = desk(scan)
    viewer.scene.camera.orientation2d = ("down", "left")
    assert edges(overlays) == ("A", "P", "L", "R")
    assert viewer.canvas.overlays["voxcam_left"].text == "L"


def test_the_slice_is_named_as_in_figures(scan):
    viewer, review, _, overlays = desk(scan)
    review.set_window(Window(-600, 1500, "lung"))
    viewer.dims.set_current_step(0, 0)
    assert (
        overlays.words()["where"] == "CT   window lung, W 1500 / L -600\naxial, z = -23.0 mm\nslice 1 of 20"
    )
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


def shown(viewer):
    return {name for name, overlay in viewer.canvas.overlays.items() if overlay.visible}


def test_letters_in_depth_are_those_of_the_camera(scan):
    """In pixels of a real window they are compared with where a marked corner is drawn."""
    viewer, _, _, overlays = desk(scan)
    viewer.dims.ndisplay = 3
    camera = viewer.scene.camera
    for view, up, expected, words in [
        ((0, 1, 0), (-1, 0, 0), ("S", "I", "R", "L"), "seen from the front"),
        ((0, -1, 0), (-1, 0, 0), ("S", "I", "L", "R"), "seen from the back"),
        ((0, 0, -1), (-1, 0, 0), ("S", "I", "A", "P"), "seen from the left"),
        ((-1, 0, 0), (0, -1, 0), ("A", "P", "R", "L"), "seen from below"),
    ]:
        camera.set_view_direction(view, up)
        assert edges(overlays) == expected
        assert words in viewer.canvas.overlays["voxcam_where"].text
    camera.set_view_direction((0, 1, 0.9), (-1, 0, 0))
    assert edges(overlays)[2:] == ("RP", "LA") or edges(overlays)[2:] == ("RA", "LP")


def test_the_badge_names_the_model_above_classes_and_method(scan, explained):
    _, review, _, overlays = desk(scan)
    review.adopt(replace(explained, provenance={"classifier": {"name": "Chest CNN"}}))
    assert overlays.words()["badge"].splitlines()[:3] == ["Chest CNN", "nodule", "grad-cam at layer3"]
    members = [{"name": n, "classifier": {"name": n.split()[0]}} for n in ("A", "B", "B mirrored")]
    review.adopt(replace(explained, provenance={"classifier": {"name": "A"}, "members": members}))
    assert overlays.words()["badge"].splitlines()[:3] == ["A", "B", "nodule"]
    review.adopt(replace(explained, provenance={"classifier": {"name": "x" * 80}}))
    assert len(overlays.words()["badge"].splitlines()[0]) < 40


def test_a_class_without_evidence_says_so(scan, explained):
    _, review, _, overlays = desk(scan)
    review.adopt(explained)
    review.set_look(shown=frozenset({"clear"}))
    assert overlays.words()["badge"].splitlines()[:2] == ["clear", "(no positive evidence)"]
    review.set_look(shown=frozenset({"clear", "nodule"}))
    assert overlays.words()["badge"].splitlines()[:2] == ["nodule, clear", "(clear: no positive evidence)"]


def test_in_depth_only_the_class_that_is_drawn_is_named(scan, explained):
    viewer, review, layers, _ = desk(scan)
    depth = Depth(viewer, review, layers)
    review.adopt(explained)
    review.set_look(shown=frozenset({"nodule", "effusion"}))
    depth.set(True)
    badge = viewer.canvas.overlays["voxcam_badge"]
    assert badge.text.splitlines()[0] == "nodule"
    depth.choose("effusion")
    assert badge.text.splitlines()[0] == "effusion"
    depth.set(False)
    assert badge.text.splitlines()[0] == "nodule, effusion"


@pytest.mark.parametrize("in_time", [False, True])
def test_an_emptied_list_of_layers_leaves_no_word_and_raises_nothing(scan, explained, in_time):
    volume = replace(scan, voxels=np.stack([scan.voxels] * 3, axis=-1)) if in_time else scan
    viewer, review, _, _ = desk(volume)
    if not in_time:
        review.adopt(explained)
    viewer.layers.clear()
    assert not shown(viewer)
    review.set_look(threshold=0.2)
    review.set_window(Window(0, 100))
    review.go_to((0.0, 0.0, -50.0))
    review.open(scan)
    assert {"voxcam_left", "voxcam_where", "scale_bar"} <= shown(viewer)


def test_letters_and_slice_are_said_only_of_a_study_that_is_seen(scan, explained):
    viewer, review, layers, _ = desk(scan)
    review.adopt(explained)
    layers.study.visible = False
    assert shown(viewer) == {"voxcam_label", "voxcam_badge"}  # the evidence is still there
    layers.study.visible = True
    assert {"voxcam_left", "voxcam_where"} <= shown(viewer)
    viewer.layers.remove(layers.study)
    assert not {"voxcam_left", "voxcam_where", "scale_bar"} & shown(viewer)


def test_the_canvas_is_black_while_a_room_has_it(scan):
    viewer, _, _, overlays = desk(scan)
    viewer.theme = "light"
    assert not viewer.canvas.background_color[:3].any()
    overlays.close()
    assert viewer.canvas.background_color[:3].all()
