"""The model panel shows what is chosen, how the scan fits and how far the run is, and asks by signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bundles import write_bundle
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from voxcam.core.volume import Axis, Volume
from voxcam.model.fitness import Fit, fit_of
from voxcam.plugin.docks.classifier.model_panel import DEVICES, ModelPanel
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.review.review import Review
from voxcam.plugin.work.bundles import DEMO, RECENT, Offer, describe
from voxcam.plugin.work.options import RunOptions

pytestmark = pytest.mark.gui


@pytest.fixture
def review(scan):
    found = Review()
    found.open(scan)
    return found


@pytest.fixture
def panel(qtbot, tmp_path):
    found = ModelPanel({"Demo": tmp_path / "demo"})
    qtbot.addWidget(found)
    found.resize(318, 300)
    found.show()
    return found


def entries(panel):
    box = panel.bundles
    return [
        (box.itemText(n), bool(box.model().flags(box.model().index(n, 0)) & Qt.ItemIsEnabled))
        for n in range(box.count())
        if box.itemText(n)
    ]


def pick(panel, text):
    at = panel.bundles.findText(text)
    panel.bundles.setCurrentIndex(at)
    panel.bundles.activated.emit(at)


# --- the list


def test_models_are_listed_by_group_and_what_is_gone_cannot_be_chosen(panel, tmp_path):
    panel.show_offers(
        (
            Offer("nodule", tmp_path / "nodule", RECENT),
            Offer("lost", tmp_path / "lost", RECENT, there=False),
            Offer("Demo", tmp_path / "demo", DEMO),
        )
    )
    assert entries(panel)[:-2] == [
        ("Chosen before", False),
        ("nodule", True),
        ("lost  (not there)", False),
        ("Demonstration", False),
        ("Demo", True),
    ]
    assert panel.bundles.currentIndex() == -1


def test_choosing_asks_for_the_path_and_browsing_for_none(panel, tmp_path):
    asked, files = [], []
    panel.bundle_asked.connect(asked.append)
    panel.file_asked.connect(lambda: files.append(True))
    pick(panel, "Demo")
    pick(panel, "Browse for a MONAI bundle…")
    assert asked == [tmp_path / "demo", None]
    assert files == []
    pick(panel, "Browse for a file: zip, weights, TorchScript…")
    assert files == [True]


def test_a_model_that_is_not_on_the_list_is_put_there_once_chosen(panel, review, tmp_path):
    review.choose(tmp_path / "mine")
    panel.show_bundle(review)
    panel.show_bundle(review)
    assert panel.bundles.currentText() == "mine"
    assert [text for text, _ in entries(panel)].count("mine") == 1
    review.choose(None)
    panel.show_bundle(review)
    assert panel.bundles.currentIndex() == -1


def test_two_models_of_one_name_are_told_apart(panel, tmp_path):
    panel.show_offers(tuple(Offer("net", tmp_path / year / "net", RECENT) for year in ("2023", "2024")))
    assert [text for text, on in entries(panel)[:-2] if on] == ["net in 2023", "net in 2024"]


def test_what_was_chosen_before_can_be_forgotten_and_a_demo_cannot(panel, tmp_path):
    panel.show_offers((Offer("a & b", tmp_path / "a", RECENT), Offer("Demo", tmp_path / "demo", DEMO)))
    asked = []
    panel.forget_asked.connect(asked.append)
    (action,) = panel.box.forgettable.actions()
    assert action.text() == "a && b"
    action.trigger()
    assert asked == [tmp_path / "a"]
    panel.show_offers((Offer("Demo", tmp_path / "demo", DEMO),))
    assert not panel.box.forgettable.isEnabled()


def dropped(panel, *places):
    drop = QMimeData()
    drop.setUrls([QUrl.fromLocalFile(str(place)) for place in places])
    enter = QDragEnterEvent(panel.rect().center(), Qt.CopyAction, drop, Qt.LeftButton, Qt.NoModifier)
    QApplication.sendEvent(panel, enter)
    if not enter.isAccepted():
        return False
    at = QPointF(panel.rect().center())
    QApplication.sendEvent(panel, QDropEvent(at, Qt.CopyAction, drop, Qt.LeftButton, Qt.NoModifier))
    return True


def test_a_model_dropped_on_it_is_chosen_and_a_scan_is_left_to_the_window(panel, tmp_path):
    asked = []
    panel.bundle_asked.connect(asked.append)
    weights, scan = tmp_path / "net.SAFETENSORS", tmp_path / "scan.nii.gz"
    for file in (weights, scan):
        file.write_bytes(b"")
    assert dropped(panel, weights)
    assert dropped(panel, tmp_path)
    assert not dropped(panel, scan)
    assert not dropped(panel, weights, tmp_path)
    assert asked == [weights, tmp_path]


# --- the description and the fit


def test_a_model_is_described_and_what_is_wrong_is_in_the_colour_of_errors(panel, review, tmp_path):
    review.choose(write_bundle(tmp_path / "tiny"))
    panel.show_bundle(review)
    assert not panel.words.isVisible()
    assert not panel.box.about.isEnabled()
    panel.show_description(describe(review.bundle))
    assert panel.words.text() == "2 classes, CT, version 1.2.3"
    assert panel.box.about.isEnabled()
    assert not panel.wrong.isVisible()
    review.choose(tmp_path)
    panel.show_bundle(review)
    panel.show_description(describe(tmp_path))
    assert "is no MONAI bundle" in panel.wrong.text()
    assert panel.wrong.isVisible()
    assert colours().error in panel.wrong.styleSheet()


def test_words_of_a_model_are_text_whatever_they_hold(panel, review, tmp_path):
    model = write_bundle(tmp_path / "tiny", metadata={"version": "<b>9</b>"})
    panel.show_description(describe(model))
    assert "<b>9</b>" in panel.words.text()
    assert panel.words.textFormat() == Qt.PlainText


def test_another_model_takes_the_words_of_the_one_before_away(panel, review, tmp_path):
    review.choose(write_bundle(tmp_path / "tiny"))
    panel.show_description(describe(review.bundle))
    panel.show_fit(Fit(("it expects modality MR, found CT",), ("voxels are 9 mm",)))
    review.choose(tmp_path / "other")
    panel.show_bundle(review)
    for label in (panel.words, panel.wrong, panel.warned):
        assert not label.isVisible()
    assert panel.ask_about() is None


def test_what_does_not_fit_is_told_before_a_run_in_words_and_colours(panel, review, scan, tmp_path):
    stated = {"input_modality": "MR", "input_unit": "HU", "input_spacing_mm": [1, 1, 1]}
    model = describe(write_bundle(tmp_path / "tiny", stated=stated))
    panel.show_description(model)
    panel.show_fit(fit_of(model.statement, scan, look=True))
    assert panel.wrong.text() == "A run would be refused: it expects modality MR, found CT."
    assert "Mind: voxels are 3 mm from slice to slice, the model was trained on 1 mm." in panel.warned.text()
    assert (colours().error in panel.wrong.styleSheet(), colours().warning in panel.warned.styleSheet()) == (
        True,
        True,
    )
    panel.show_fit(Fit((), ()))
    assert (panel.wrong.isVisible(), panel.warned.isVisible()) == (False, False)


def test_what_only_the_command_line_can_do_is_not_told(panel, scan, tmp_path):
    model = describe(write_bundle(tmp_path / "tiny", stated={"input_modality": "MR"}))
    panel.show_fit(fit_of(model.statement, replace(scan, modality="")))
    assert "--" not in panel.wrong.text()
    assert "found none stated." in panel.wrong.text()


def test_code_of_a_model_is_told_of_before_a_run(panel, tmp_path):
    step = {"_target_": "ScaleIntensityd", "keys": "image", "factor": "$(lambda: 0.5)()"}
    model = write_bundle(tmp_path / "coded", preprocessing={"_target_": "Compose", "transforms": [step]})
    panel.show_description(describe(model))
    assert "only running code that came with it" in panel.warned.text()


# --- the run


def test_run_and_cancel_ask_and_are_off_while_they_would_do_nothing(panel, review, tmp_path, qtbot):
    asked = []
    panel.run_asked.connect(lambda: asked.append("run"))
    panel.cancel_asked.connect(lambda: asked.append("cancel"))
    panel.show_running(review)
    assert not panel.run.isEnabled()
    assert panel.run.toolTip() == review.missing
    review.choose(tmp_path)
    panel.show_running(review)
    assert "(Ctrl+Enter)" in panel.run.toolTip()
    qtbot.mouseClick(panel.run, Qt.LeftButton)
    ticket = review.start()
    panel.show_running(review)
    assert (panel.run.isEnabled(), panel.cancel.isEnabled()) == (False, True)
    qtbot.mouseClick(panel.cancel, Qt.LeftButton)
    assert asked == ["run", "cancel"]
    review.cancel()
    panel.show_running(review)
    assert not panel.cancel.isEnabled()
    review.fail(ticket)
    panel.show_running(review)
    assert panel.run.isEnabled()


def test_the_bar_and_the_words_tell_how_far_it_is_and_how_long_it_takes(panel, review, tmp_path):
    review.choose(tmp_path)
    ticket = review.start()
    panel.show_running(review)
    assert (panel.bar.minimum(), panel.bar.maximum()) == (0, 0), "it moves to and fro"
    review.progress(ticket, 30, 120)
    review.forecast(ticket, "about 40 s")
    panel.show_running(review)
    assert (panel.bar.value(), panel.bar.maximum()) == (30, 120)
    assert panel.progress.text() == "explaining: 30 of 120 (about 40 s)"
    assert panel.progress.isVisible()
    review.fail(ticket)
    panel.show_running(review)
    assert not panel.progress.isVisible()
    assert (panel.bar.value(), panel.bar.maximum()) == (0, 1)


def test_the_device_is_asked_for(panel):
    asked = []
    panel.device_asked.connect(asked.append)
    assert [panel.devices.itemText(n) for n in range(panel.devices.count())] == list(DEVICES)
    panel.devices.setCurrentText("cpu")
    assert asked == ["cpu"]


# --- the options


def test_options_are_shown_in_a_line_when_there_are_any(panel):
    panel.show_options(RunOptions())
    assert not panel.asked.isVisible()
    panel.show_options(RunOptions(augment=("i", "j"), methods=("occlusion",)))
    assert panel.asked.text() == "The run: 2 mirrored views, 1 more method"


def test_of_a_study_in_time_it_is_said_which_moment_is_explained(panel, review, scan):
    moments = np.zeros((*scan.shape[:3], 4), np.float32)
    review.open(Volume(moments, scan.geometry, "MR", "", fourth=Axis("time", "s", (0.0, 1.0, 2.0, 3.0))))
    panel.show_running(review)
    assert panel.asked.text().startswith("The scan has 4 moments: the one on the screen")
    panel.show_options(RunOptions(moment=2))
    assert panel.asked.text() == "The run: moment 3"


def test_the_dialog_asks_for_options_by_signal(panel, review, tmp_path, qtbot):
    asked = []
    panel.options_asked.connect(asked.append)
    review.choose(tmp_path / "net.pt")
    panel.show_bundle(review)
    dialog = panel.ask_options()
    assert dialog.network.isVisible()
    dialog.network.setText("DenseNet121(3, 1, out_channels=2)")
    dialog.buttons.accepted.emit()
    assert asked == [RunOptions(network="DenseNet121(3, 1, out_channels=2)")]


def test_a_network_named_for_weights_is_not_kept_for_a_bundle(panel, review, tmp_path):
    asked = []
    panel.options_asked.connect(asked.append)
    options = RunOptions(network="Net(1)", augment=("k",))
    panel.show_options(options)
    review.choose(tmp_path / "other.pth")
    panel.show_bundle(review)
    assert asked == []
    review.choose(tmp_path)
    panel.show_bundle(review)
    assert asked == [replace(options, network="")]


def test_about_opens_what_the_files_say(panel, tmp_path):
    panel.show_description(describe(write_bundle(tmp_path / "tiny")))
    dialog = panel.ask_about()
    assert dialog.isVisible()
    assert "A network for tests." in dialog.text.toPlainText()
    dialog.close()


def test_it_is_used_by_keyboard_alone_and_fits_the_dock(panel, qtbot):
    panel.window().activateWindow()
    panel.bundles.setFocus()
    qtbot.waitUntil(panel.bundles.hasFocus)
    met = []
    for _ in range(4):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key_Tab)
        met.append(QApplication.focusWidget())
    assert panel.box.more in met
    assert panel.devices in met
    assert panel.minimumSizeHint().width() <= 302


def test_nothing_of_it_loads_torch():
    import subprocess
    import sys

    code = (
        "import sys, voxcam.plugin.docks.classifier.model_panel; print({'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
