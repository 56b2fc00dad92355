"""What a model says of itself is shown as text, and what it leaves out is named with what follows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import write_bundle
from napari.settings import get_settings
from qtpy.QtGui import QTextDocument

from voxcam.core.answer import ACTIVATIONS, Answer
from voxcam.model.statement import Statement
from voxcam.plugin.docks.classifier import model_details as module
from voxcam.plugin.docks.classifier.model_details import (
    FOLLOWS,
    ModelDetails,
    code_words,
    details_as_html,
    facts,
    left_out,
    origin,
)
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.work.bundles import Description, describe

STATED = Statement(
    name="Nodules",
    version="2.0",
    description="Finds nodules.",
    intended_use="Teaching.",
    classes=("none", "nodule"),
    answer=Answer("softmax", 1.5, "mean", 0, {"nodule": 0.4}),
    modality="CT",
    unit="HU",
    value_range=(-1000, 400),
    spacing_mm=((0.5, 1.0), (0.5, 1.0), (2.0, 2.0)),
    input_shape=(40, 40, 40),
    slices_along=2,
    neighbours=3,
)


def page(description):
    document = QTextDocument()
    document.setHtml(details_as_html(description))
    return document.toPlainText()


def test_every_statement_is_told_in_words(qapp):
    said = dict(facts(Description(Path("/m"), "MONAI bundle", STATED)))
    assert said["Classes"] == "none, nodule"
    assert said["Called from"] == "nodule 0.4"
    assert said["Temperature"] == "1.5"
    assert said["Grey values"] == "-1000 to 400 HU"
    assert said["Voxels"] == "0.5 to 1 x 0.5 to 1 x 2 mm"
    read = "windows of 40 x 40 x 40 voxels, slice by slice along its third axis, 3 slices at once"
    assert said["Reads"] == read
    assert said["Over the scan"] == "the mean of all windows"
    assert said["Intended use"] == "Teaching."
    assert left_out(Description(Path("/m"), "", STATED)) == []


def test_of_a_hundred_classes_the_first_twenty_are_named(qapp):
    names = tuple(f"class {n}" for n in range(100))
    said = dict(facts(Description(Path("/m"), "", replace(STATED, classes=names))))
    assert said["Classes"].endswith("class 18, class 19, and 80 more")


def test_everything_a_statement_can_miss_has_what_follows():
    assert set(Statement().missing) == set(FOLLOWS)
    assert dict(left_out(Description(Path("/m"), "", Statement()))) == FOLLOWS


def test_every_way_to_answer_has_words():
    assert set(module._ANSWERS) == set(ACTIVATIONS)


def test_the_page_names_what_is_not_stated_and_what_follows(qapp):
    text = page(Description(Path("/m"), "weights", replace(STATED, modality="", classes=())))
    assert "Not stated, and what follows" in text
    assert "a scan of another modality is not refused" in text
    assert "classes are called output 0" in text
    assert "Not stated" not in page(Description(Path("/m"), "weights", STATED))


def test_the_card_of_a_bundle_and_its_digests_are_told(tmp_path, qapp):
    model = write_bundle(tmp_path / "tiny")
    metadata = json.loads((model / "configs" / "metadata.json").read_text())
    metadata |= {"authors": ["A. One", "B. Two"], "copyright": "CC0", "references": ["A\n paper"]}
    (model / "configs" / "metadata.json").write_text(json.dumps(metadata))
    found = dict(origin(replace(describe(model), digests={"weights": "ab" * 32})))
    assert found["Authors"] == "A. One; B. Two"
    assert found["Licence"] == "CC0"
    assert found["References"] == "A paper"
    assert found["SHA-256, weights"] == "ab" * 32
    assert found["Lies in"] == str(model)


def test_nothing_a_model_says_is_taken_for_markup(qapp):
    nasty = "<h1>Safe</h1><img src='file:///etc/passwd'>"
    statement = replace(STATED, name=nasty, description=nasty, classes=(nasty, "b"), modality=nasty)
    description = Description(
        Path(f"/{nasty}"), nasty, statement, {"Licence": nasty}, {"w": nasty}, wrong=nasty
    )
    document = QTextDocument()
    document.setHtml(details_as_html(description))
    assert document.toPlainText().count("<h1>Safe</h1>") >= 7
    assert "<img" not in details_as_html(description)


def test_code_is_told_of_and_that_none_of_it_ran(qapp):
    assert "Nothing of it has run" in page(Description(Path("/m"), runs_code=3))
    assert code_words(1).startswith("In 1 place only")
    assert code_words(0) == ""


@pytest.mark.gui
def test_the_dialog_follows_the_theme_and_leads_nowhere(qtbot):
    appearance = get_settings().appearance
    before = appearance.theme
    try:
        appearance.theme = "dark"
        dialog = ModelDetails(Description(Path("/m"), "weights", Statement()))
        qtbot.addWidget(dialog)
        dark = colours().warning
        assert dark in dialog.text.toHtml()
        appearance.theme = "light"
        assert colours().warning != dark
        assert colours().warning in dialog.text.toHtml()
        assert colours().background in dialog.text.styleSheet()
        assert not dialog.text.openLinks()
    finally:
        appearance.theme = before
