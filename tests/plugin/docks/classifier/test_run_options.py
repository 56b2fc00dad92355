"""The dialog of the run's options gives back what was chosen, and offers only what can be asked."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QDialogButtonBox

from voxcam.plugin.docks.classifier.run_options import RunOptionsDialog
from voxcam.plugin.work.options import MORE_METHODS, RunOptions

pytestmark = pytest.mark.gui
NETWORK = "DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)"


@pytest.fixture
def ask(qtbot):
    def make(options=None, **about):
        dialog = RunOptionsDialog(options or RunOptions(), **about)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (RunOptions(), {}),
        (RunOptions(NETWORK), {"weights": True}),
        (RunOptions(moment=2), {"moments": 4}),
        (RunOptions(moment="all"), {"moments": 4}),
        (RunOptions(augment=("i", "k"), methods=("occlusion", "eigen-cam")), {}),
    ],
)
def test_it_gives_back_what_it_was_given(ask, options, about):
    found = ask(options, **about).options()
    assert set(found.methods) == set(options.methods)
    assert (found.network, found.moment, found.augment) == (options.network, options.moment, options.augment)


def test_what_is_chosen_is_told_by_ok_alone(ask):
    dialog, chosen = ask(moments=3), []
    dialog.chosen.connect(chosen.append)
    dialog.moment.setCurrentIndex(1)
    dialog.mirrors[1].setChecked(True)
    dialog.methods["score-cam"].setChecked(True)
    dialog.buttons.button(QDialogButtonBox.Cancel).click()
    assert chosen == []
    dialog.show()
    dialog.buttons.button(QDialogButtonBox.Ok).click()
    assert chosen == [RunOptions(moment=1, augment=("j",), methods=("score-cam",))]
    assert not dialog.isVisible()


def test_of_a_bundle_no_network_and_of_a_still_scan_no_moment_is_asked(ask):
    dialog = ask(RunOptions(NETWORK, moment=3))
    assert (dialog.network.isVisible(), dialog.moment.isVisible()) == (False, False)
    assert dialog.options() == RunOptions()


def test_a_line_that_is_no_network_cannot_be_taken(ask):
    dialog = ask(weights=True)
    ok = dialog.buttons.button(QDialogButtonBox.Ok)
    assert ok.isEnabled(), "none is fine: the file beside the weights may state it"
    for text, fine in (("DenseNet121(3", False), ("DenseNet121", False), (NETWORK, True)):
        dialog.network.setText(text)
        assert (ok.isEnabled(), dialog.mistake.isVisible()) == (fine, not fine), text


def test_methods_the_model_was_found_unable_to_are_not_offered(ask):
    assert set(ask().methods) == set(MORE_METHODS)
    assert set(ask(methods=("grad-cam", "occlusion", "smooth-grad")).methods) == {"occlusion", "smooth-grad"}


def test_defaults_are_restored(ask):
    dialog = ask(RunOptions(NETWORK, "all", ("i",), ("legrad",)), weights=True, moments=5)
    dialog.buttons.button(QDialogButtonBox.RestoreDefaults).click()
    assert dialog.options() == RunOptions(moment=0)
