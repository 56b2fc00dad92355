"""The dock, by real Qt events."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from builders import noise, write_dicom_series
from bundles import write_bundle
from qtpy.QtCore import Qt

from voxcam.errors import Cancelled, ClassifierError
from voxcam.plugin.opening import open_review
from voxcam.plugin.review.review import LABEL, METHODS
from voxcam.plugin.room import Room
from voxcam.plugin.work import runner as running

pytestmark = pytest.mark.gui
LOAD_MS = 180_000  # torch and MONAI are imported in the first run


@pytest.fixture
def room(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    yield room
    room.runner.close()
    assert room.runner.wait(60)


@pytest.fixture
def ready(room, scan, tmp_path):
    """A room with a scan and a tiny classifier."""
    room.review.open(scan)
    room.review.choose(write_bundle(tmp_path / "tiny"), "cpu")
    return room


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.LeftButton)


def slow_job(monkeypatch, steps=600):
    """Let an explanation take its time; return what tells that it began and how it ended."""
    began, ended = threading.Event(), []

    def explain_study(volume, classifier, methods, layers, progress, announce=None, **asked):
        try:
            for step in range(steps):
                progress(step, steps)
                began.set()
                time.sleep(0.02)
        except Cancelled:
            ended.append("cancelled")
            raise

    monkeypatch.setattr(running, "explain_study", explain_study)
    monkeypatch.setattr(running.Classifiers, "load", lambda self, *asked, **allowed: None)
    return began, ended


def test_a_run_by_the_button_shows_scores_and_evidence(ready, qtbot):
    press(qtbot, ready.classifier.run)
    assert not ready.classifier.run.isEnabled()
    assert ready.classifier.cancel.isEnabled()
    qtbot.waitUntil(lambda: ready.review.explanation is not None, timeout=LOAD_MS)
    explanation = ready.review.explanation
    assert explanation.methods == METHODS
    assert len(ready.evidence.table.names()) == 2
    assert ready.evidence.table.names()[0] == explanation.top_class
    assert ready.layers.picture.layer.visible
    assert ready.classifier.run.isEnabled()
    assert len(ready.review.layers) > 1


def test_cancel_stops_the_run_and_changes_nothing(ready, qtbot, monkeypatch):
    began, ended = slow_job(monkeypatch)
    press(qtbot, ready.classifier.run)
    qtbot.waitUntil(lambda: began.is_set() and ready.classifier.bar.maximum() == 600, timeout=10_000)
    press(qtbot, ready.classifier.cancel)
    qtbot.waitUntil(lambda: ready.review.running is None, timeout=10_000)
    assert ended == ["cancelled"]
    assert ready.message.text() == "Stopped: nothing was changed."
    assert ready.review.explanation is None
    assert ready.classifier.run.isEnabled()


def test_another_study_during_a_run_never_gets_its_result(ready, scan, explained, qtbot, monkeypatch):
    release = threading.Event()

    def explain_study(volume, classifier, methods, layers, progress, announce=None, **asked):
        release.wait(10)
        return explained

    monkeypatch.setattr(running, "explain_study", explain_study)
    monkeypatch.setattr(running.Classifiers, "load", lambda self, *asked, **allowed: None)
    press(qtbot, ready.classifier.run)
    ready.review.open(scan)
    release.set()
    assert ready.runner.wait(10)
    qtbot.wait(100)
    assert ready.review.explanation is None
    assert ready.review.running is None


def test_a_failed_run_is_one_line(ready, qtbot, monkeypatch):
    def explain_study(volume, classifier, methods, layers, progress, announce=None, **asked):
        raise ClassifierError("the scan does not fit: it expects MR, found CT")

    monkeypatch.setattr(running, "explain_study", explain_study)
    monkeypatch.setattr(running.Classifiers, "load", lambda self, *asked, **allowed: None)
    press(qtbot, ready.classifier.run)
    qtbot.waitUntil(lambda: ready.review.running is None, timeout=10_000)
    assert ready.message.text() == "the scan does not fit: it expects MR, found CT"
    assert ready.message.isVisible()


def test_a_bug_shows_no_traceback(ready, qtbot, monkeypatch, caplog):
    def explain_study(volume, classifier, methods, layers, progress, announce=None, **asked):
        raise KeyError("secret")

    monkeypatch.setattr(running, "explain_study", explain_study)
    monkeypatch.setattr(running.Classifiers, "load", lambda self, *asked, **allowed: None)
    press(qtbot, ready.classifier.run)
    qtbot.waitUntil(lambda: ready.review.running is None, timeout=10_000)
    assert "KeyError" in ready.message.text()
    assert "secret" not in ready.message.text()
    assert "\n" not in ready.message.text()


def test_closing_the_window_stops_the_run(make_napari_viewer, scan, tmp_path, qtbot, monkeypatch):
    viewer = make_napari_viewer(show=True)
    room = Room(viewer)
    viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    room.review.open(scan)
    room.review.choose(tmp_path)
    began, ended = slow_job(monkeypatch)
    runner = room.runner
    press(qtbot, room.classifier.run)
    qtbot.waitUntil(began.is_set, timeout=10_000)
    viewer.close()
    qtbot.waitUntil(lambda: runner.closed, timeout=5_000)
    assert runner.wait(5)
    assert ended == ["cancelled"]
    qtbot.wait(50)


def test_run_is_off_until_scan_and_classifier_are_chosen_and_says_what_is_missing(
    room, scan, explained, qtbot, tmp_path
):
    run, hint = room.classifier.run, room.evidence.hint
    press(qtbot, run)
    assert room.review.running is None
    assert (run.isEnabled(), hint.isVisible()) == (False, False)
    assert run.toolTip() == "Before a run: open a scan and choose a classifier."
    room.review.open(scan)
    assert (run.isEnabled(), hint.isVisible()) == (False, False)
    assert run.toolTip() == "Before a run: choose a classifier."
    room.review.choose(write_bundle(tmp_path / "tiny"), "cpu")
    assert (run.isEnabled(), hint.isVisible()) == (True, True)
    assert hint.text() == "Press Run to explain this scan."
    assert "evidence for every class" in run.toolTip()
    room.review.adopt(explained)
    assert (run.isEnabled(), hint.isVisible()) == (True, False)
    room.review.choose(None)
    assert not run.isEnabled()


def test_a_classifier_without_a_scan_cannot_be_run(room, qtbot, tmp_path):
    room.review.choose(write_bundle(tmp_path / "tiny"), "cpu")
    assert not room.classifier.run.isEnabled()
    assert room.classifier.run.toolTip() == "Before a run: open a scan."
    assert not room.evidence.hint.isVisible()


def test_the_word_to_press_run_is_gone_during_a_run_and_back_after_it(ready, qtbot, monkeypatch):
    began, _ = slow_job(monkeypatch)
    press(qtbot, ready.classifier.run)
    assert not ready.evidence.hint.isVisible()
    qtbot.waitUntil(began.is_set, timeout=10_000)
    press(qtbot, ready.classifier.cancel)
    qtbot.waitUntil(lambda: ready.review.running is None, timeout=10_000)
    assert ready.evidence.hint.isVisible()


def test_what_is_no_bundle_is_refused_in_words(room, tmp_path, qtbot):
    room.choose_bundle(tmp_path)
    qtbot.waitUntil(lambda: "is no MONAI bundle" in room.classifier.wrong.text(), timeout=20_000)


def test_a_bundle_is_described_before_anything_is_loaded(ready, qtbot):
    expected = "2 classes, CT, version 1.2.3"
    qtbot.waitUntil(lambda: ready.classifier.words.text() == expected, timeout=20_000)


def test_check_boxes_turn_evidence_on_and_off(ready, explained, qtbot):
    ready.review.adopt(explained)
    table = ready.evidence.table
    assert table.names() == ("nodule", "effusion", "clear")
    qtbot.mouseClick(table.view.viewport(), Qt.LeftButton, pos=table.check_rect("effusion").center())
    assert ready.review.visible == ("nodule", "effusion")
    assert table.row("clear").evidence == "no positive evidence"


def test_sliders_and_boxes_change_the_look_and_the_layers_of_classes(ready, explained):
    ready.review.set_look(layered=True)
    ready.review.adopt(explained)
    layer = ready.layers.classes.by_class["nodule"]
    ready.evidence.opacity.setValue(0.35)
    ready.evidence.threshold.setValue(0.5)
    assert layer.opacity == pytest.approx(0.35)
    assert layer.colormap.map(np.array([0.49]))[0, 3] == 0
    assert layer.colormap.map(np.array([0.8]))[0, 3] > 0
    ready.review.show_class("effusion")
    ready.evidence.shared.setChecked(False)
    effusion = ready.layers.classes.by_class["effusion"]
    assert effusion.contrast_limits[1] == pytest.approx(0.5, abs=0.05)


def test_methods_switch_without_a_run(ready, explained, qtbot):
    ready.review.adopt(explained)
    ready.evidence.methods.setCurrentIndex(1)
    ready.evidence.methods.textActivated.emit("layer-cam")
    assert ready.review.look.method == "layer-cam"
    assert ready.review.heatmap("nodule").method == "layer-cam"


def test_a_method_that_needs_a_run_is_offered_marked_and_shown_after_it(ready, qtbot):
    press(qtbot, ready.classifier.run)
    qtbot.waitUntil(lambda: ready.review.explanation is not None, timeout=LOAD_MS)
    box = ready.evidence.methods
    offered = [box.itemText(n) for n in range(box.count())]
    assert offered[: len(METHODS)] == list(METHODS)
    assert "occlusion (not run)" in offered
    assert not any(text.startswith("refine-cam") for text in offered)  # joins several layers
    assert "are one and the same map" in ready.evidence.note.text()
    first = ready.review.explanation
    box.textActivated.emit("layer-cam")
    assert ready.evidence.note.text() == ""
    box.textActivated.emit("occlusion (not run)")
    assert "press Run" in ready.message.text()
    press(qtbot, ready.classifier.run)
    qtbot.waitUntil(lambda: ready.review.explanation is not first, timeout=LOAD_MS)
    assert ready.review.look.method == "occlusion"
    assert box.currentText() == "occlusion"
    assert ready.review.heatmap(ready.review.explanation.top_class).layer == "network"


def test_keys_work_on_the_canvas(ready, explained):
    ready.review.adopt(explained)
    keys = ready.viewer.keymap
    by_name = {str(key): action for key, action in keys.items()}
    by_name["E"](ready.viewer)
    assert ready.review.look.hidden
    by_name["C"](ready.viewer)
    assert ready.viewer.dims.order == (1, 0, 2)
    by_name["J"](ready.viewer)
    assert ready.layers.study.data[ready.viewer.dims.current_step] == 900


def test_jumping_for_a_class_without_evidence_says_so(ready, explained):
    ready.review.adopt(explained)
    ready.evidence.table.choose("clear")
    ready.step_peak()
    assert ready.message.text() == "clear: no positive evidence in this scan."


def test_the_exported_figure_has_the_numbers_of_the_screen(ready, explained, qtbot, tmp_path):
    import json

    from PIL import Image

    ready.review.adopt(explained)
    ready.review.set_look(threshold=0.2, opacity=0.7, method="layer-cam")
    ready.step_peak()
    ready.layers.show_plane(1)
    target = tmp_path / "figure.png"
    options = ready.figure_options("nodule")
    assert (options["plane"], options["index"], options["method"]) == ("coronal", 8, "layer-cam")
    assert (options["style"].threshold, options["style"].opacity) == (0.2, pytest.approx(0.7))
    ready.export_figure(target)
    qtbot.waitUntil(lambda: ready.review.running is None and ready.message.text() != "", timeout=60_000)
    assert ready.message.text() == "Saved figure.png."
    told = json.loads(Image.open(target).text["voxcam"])
    assert told["class"] == "nodule"
    ready.export_figure(target)
    qtbot.waitUntil(lambda: "exists already" in ready.message.text(), timeout=60_000)


def test_a_scan_dropped_into_an_empty_room_is_opened_in_it(room, scan, qtbot):
    from napari.layers import Image

    from voxcam.plugin.reader import as_layer

    voxels, attributes, _ = as_layer(scan)
    room.viewer.add_layer(Image(voxels, **attributes))
    qtbot.waitUntil(lambda: room.review.volume is scan, timeout=5_000)
    assert [layer.name for layer in room.viewer.layers if layer.visible] == ["CT"]


def test_a_layer_of_unknown_place_is_not_taken(room):
    room.viewer.add_image(np.zeros((4, 5, 6)))
    room.open_layer()
    assert "Select an image layer that VoxCAM opened" in room.message.text()


def test_a_scan_is_read_in_the_background(room, tmp_path, qtbot):
    from builders import write_dicom_series

    write_dicom_series(tmp_path / "a", np.zeros((4, 4, 3), np.int16))
    write_dicom_series(tmp_path / "b", np.ones((8, 9, 4), np.int16))
    room.runner.read(tmp_path)
    qtbot.waitUntil(lambda: room.review.volume is not None, timeout=60_000)
    assert room.review.volume.shape == (8, 9, 4)
    room.runner.read(tmp_path / "absent")
    qtbot.waitUntil(lambda: "expected a folder or a file" in room.message.text(), timeout=60_000)


def test_nothing_is_clipped_and_the_label_is_seen_at_1280_by_800(scan, explained, qtbot):
    viewer = open_review(volume=scan, explanation=explained)
    try:
        room = viewer.window.dock_widgets["VoxCAM"]
        qtbot.wait(200)
        labels = [child for child in room.findChildren(type(room.message)) if child.text() == LABEL]
        assert len(labels) == 1
        room.tabs.show_panel(room.classifier)
        qtbot.wait(50)
        for child in (labels[0], room.evidence.export, room.evidence.shared, room.classifier.run):
            corner = child.mapTo(room.window(), child.rect().bottomRight())
            assert child.isVisible()
            assert child.width() >= min(child.sizeHint().width(), room.width() - 20)
            assert corner.x() < 1280
            assert corner.y() < 800
    finally:
        viewer.close()


def test_opening_the_dock_is_quick_and_loads_no_torch(make_napari_viewer):
    import subprocess
    import sys

    code = "import sys, voxcam.plugin.room; print({'torch', 'monai'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_list_of_windows_names_the_one_on_the_screen(room, scan):
    from voxcam.core.windows import Window

    room.review.open(scan)
    assert room.scan.windows.currentText() == str(scan.window)
    for window in (Window(-600, 1500, "lung"), Window(7, 9, "mine")):
        room.review.set_window(window)
        assert room.scan.windows.currentText() == str(window)
        assert room.scan.windows.currentData() == window


def test_other_series_of_the_place_can_be_opened_and_are_kept(room, qtbot, tmp_path):
    uids = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    write_dicom_series(tmp_path / "a", noise((9, 8, 6)), SeriesNumber="1", SeriesDescription="thin", **uids)
    write_dicom_series(tmp_path / "b", noise((5, 4, 3)), SeriesNumber="2", SeriesDescription="thick", **uids)
    with qtbot.waitSignal(room.review.places_changed, timeout=20_000):
        room.runner.read(tmp_path)
    qtbot.waitUntil(lambda: room.review.volume is not None, timeout=20_000)
    assert room.review.volume.shape == (9, 8, 6)
    ((place, study),) = room.review.places.items()
    room.runner.read_series(place, study, study.series[::-1])
    qtbot.waitUntil(lambda: room.review.volume.shape == (5, 4, 3), timeout=20_000)
    assert len(room.review.readings) == 2
    room.runner.read_series(place, study, study.series[:1])  # is open: shown at once
    assert room.review.volume.shape == (9, 8, 6)


def test_a_modality_that_the_file_does_not_state_can_be_said(room, qtbot, tmp_path):
    import nibabel

    voxels = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)  # nothing that looks like HU
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1, 1, 1])), tmp_path / "scan.nii.gz")
    room.runner.read(tmp_path / "scan.nii.gz")
    qtbot.waitUntil(lambda: room.review.volume is not None, timeout=20_000)
    assert (room.review.volume.modality, room.scan.modality.isVisible()) == ("", True)
    room.scan.modality.setCurrentText("CT")
    room.scan.modality.activated.emit(room.scan.modality.currentIndex())
    qtbot.waitUntil(lambda: room.review.volume.modality == "CT", timeout=20_000)
    assert room.review.volume.unit == "HU"
    assert not room.scan.modality.isVisible()
    assert len(room.review.readings) == 1


def test_a_closed_dock_leaves_the_viewer_and_can_be_opened_anew(make_napari_viewer, scan, explained, qtbot):
    from voxcam.plugin.desk import desk_of

    viewer = make_napari_viewer(show=True)
    first = desk_of(viewer)
    assert desk_of(viewer) is first
    first.review.open(scan)
    first.review.adopt(explained)
    first.show_planes()
    qtbot.wait(50)
    viewer.window.remove_dock_widget(first.parent())
    assert first.runner.closed
    assert [layer.name for layer in viewer.layers if layer.visible] == ["CT"]  # nothing that nobody explains
    assert not any(o.visible for name, o in viewer.canvas.overlays.items() if name.startswith("voxcam"))
    told = []
    first.review.look_changed.connect(lambda: told.append("look"))
    canvas = viewer.window._qt_viewer.canvas.native
    for key in (Qt.Key_E, Qt.Key_J, Qt.Key_C, Qt.Key_M):
        qtbot.keyClick(canvas, key)
    viewer.dims.set_current_step(0, 3)
    assert told == []
    second = desk_of(viewer)
    assert second is not first
    second.review.open(scan)
    second.review.adopt(explained)
    qtbot.keyClick(canvas, Qt.Key_E)
    assert second.review.look.hidden
    second.runner.close()


def test_a_scan_that_napari_brings_beside_an_open_one_has_its_own_name(room, scan, explained, qtbot):
    from napari.layers import Image

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume
    from voxcam.plugin.reader import as_layer

    room.review.open(scan)
    room.review.adopt(explained)
    other = Volume(np.zeros((9, 8, 7), np.int16), Geometry((9, 8, 7), np.eye(4)), "MR")
    voxels, attributes, _ = as_layer(other)
    brought = Image(voxels, **attributes)
    room.viewer.add_layer(brought)
    qtbot.waitUntil(lambda: room.review.volume is other, timeout=5_000)
    assert not brought.visible
    assert [layer for layer in room.viewer.layers if layer.visible] == [room.layers.study]
    assert room.overlays.words()["where"].startswith("MR")
    assert len(room.review.readings) == 2
    room.review.show(room.review.readings[0])
    assert room.review.explanation is explained


def test_a_single_image_has_no_other_planes(room):
    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume

    room.review.open(Volume(np.zeros((9, 8, 1), np.int16), Geometry((9, 8, 1), np.eye(4), "detector"), "CR"))
    before = room.layers.order()
    room.show_plane(1)
    assert room.layers.order() == before
    assert room.message.text() == "This is a single image: it has no other planes."


def test_the_room_follows_the_viewer_s_own_theme(room):
    from voxcam.plugin.docks.theme import colours

    room.viewer.theme = "dark"
    dark = colours().text
    room.viewer.theme = "light"
    assert colours().text != dark
    assert colours().warning in room.label.styleSheet()
    room.viewer.theme = "dark"
    assert colours().text == dark


def test_napari_s_proxy_of_a_viewer_is_taken_for_the_viewer(make_napari_viewer):
    from napari.utils._proxies import PublicOnlyProxy

    viewer = make_napari_viewer()
    room = Room(PublicOnlyProxy(viewer))
    assert room.viewer is viewer
    room.leave()


def test_labels_that_napari_brings_are_outlined_not_laid_under_the_evidence(room, scan, qtbot):
    from napari.layers import Image, Labels

    from voxcam.core.volume import Volume
    from voxcam.plugin.reader import as_layer

    drawn = np.zeros(scan.shape, np.uint8)
    drawn[5:15, 5:15, 10:18] = 2
    mask = Volume(drawn, scan.geometry, unit="label")
    voxels, attributes, _ = as_layer(scan)
    labels, of_labels, _ = as_layer(mask, "labels")
    room.viewer.add_layer(Image(voxels, **attributes))
    room.viewer.add_layer(Labels(labels, **of_labels))
    qtbot.waitUntil(lambda: room.review.mask is mask, timeout=5_000)
    assert room.review.volume is scan
    assert not room.viewer.layers["labels"].visible
