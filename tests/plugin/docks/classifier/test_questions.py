"""Whether a model's code may run is asked with what would run, and means no unless somebody says yes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bundles import write_bundle
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from voxcam.errors import ChangedWeightsError
from voxcam.model.bundle import Need
from voxcam.model.trusted import Code
from voxcam.plugin.docks.classifier.questions import TrustDialog, WeightsDialog, listing, places

CODE = Code(
    "Nodules",
    "ab" * 32,
    (Need("inference.json", 12, "network_def", "an expression", "$1/0"),),
    ("3 scripts",),
)


def test_it_shows_file_line_place_text_and_digest() -> None:
    lines = listing(CODE).splitlines()
    assert lines[:3] == ["inference.json", "  line 12: an expression at network_def", "      $1/0"]
    assert "It also holds 3 scripts." in lines
    assert lines[-1] == "sha256:" + "ab" * 32


def test_long_code_is_listed_by_file_each_place_once() -> None:
    needs = tuple(
        Need(f"{name}.json", n, f"at::{n}", "an import", f"$import m{n}") for name in "ab" for n in range(200)
    )
    code = replace(CODE, would_run=needs)
    lines = listing(code).splitlines()
    assert [line for line in lines if line.endswith(".json")] == ["a.json", "b.json"]
    assert [line.strip() for line in lines if line.startswith("      ")] == [
        f"$import m{n}" for n in range(200)
    ] * 2
    assert places(code) == "It would do so in 400 places of 2 files:"
    assert places(CODE) == "It would do so in 1 place of 1 file:"


def test_enter_and_escape_mean_no_and_only_the_button_means_yes(qtbot) -> None:
    said = []
    for act in (
        lambda d: qtbot.keyClick(d, Qt.Key_Return),
        lambda d: qtbot.keyClick(d, Qt.Key_Escape),
        lambda d: d.close(),
    ):
        dialog = TrustDialog(CODE)
        qtbot.addWidget(dialog)
        dialog.trusted.connect(said.append)
        dialog.show()
        act(dialog)
        assert not dialog.isVisible()
    assert said == []
    dialog = TrustDialog(CODE)
    qtbot.addWidget(dialog)
    dialog.trusted.connect(said.append)
    next(b for b in dialog.buttons.buttons() if "Trust" in b.text()).click()
    assert said == ["sha256:" + "ab" * 32]


@pytest.mark.gui
def test_a_run_that_would_run_code_asks_and_runs_once_trusted(
    make_napari_viewer, scan, tmp_path, qtbot
) -> None:
    from voxcam.plugin.room import Room

    steps = {
        "_target_": "Compose",
        "transforms": [{"_target_": "ScaleIntensityd", "keys": "image", "factor": "$(lambda: 0.5)()"}],
    }
    model = write_bundle(tmp_path / "coded", preprocessing=steps, inferer={"_target_": "SimpleInferer"})
    room = Room(make_napari_viewer(show=True))
    qtbot.addWidget(room)
    room.review.open(scan)
    room.review.choose(model, "cpu")
    room.runner.explain()
    qtbot.waitUntil(lambda: getattr(room, "dialog", None) is not None, timeout=60_000)
    assert room.review.running is None
    assert "preprocessing::transforms::0::factor" in room.dialog.listing.toPlainText()
    offered = [room.dialog.files.item(row).text() for row in range(room.dialog.files.count())]
    assert "configs/inference.json" in offered
    digest = room.dialog.digest
    room.dialog.trusted.emit(digest)
    room.dialog.accept()
    qtbot.waitUntil(lambda: room.review.explanation is not None, timeout=60_000)
    assert room.review.trusted == digest
    assert "geometry cannot be followed" in room.evidence.note.text(), "the code ran, heatmaps are refused"
    assert [row.explained for row in room.review.rows] == [False, False]
    room.runner.wait(20)


def test_changed_weights_are_asked_about_and_closing_means_no(qtbot) -> None:
    changed = ChangedWeightsError("weights of 'X' are not those seen before: expected sha256:1", "cd" * 32)
    said = []
    for act in (lambda d: d.close(), lambda d: qtbot.keyClick(d, Qt.Key_Return)):
        dialog = WeightsDialog(changed)
        qtbot.addWidget(dialog)
        dialog.accepted_weights.connect(said.append)
        dialog.show()
        act(dialog)
    assert said == []
    dialog = WeightsDialog(changed)
    qtbot.addWidget(dialog)
    dialog.accepted_weights.connect(said.append)
    next(b for b in dialog.buttons.buttons() if "meant" in b.text()).click()
    assert said == ["sha256:" + "cd" * 32]


@pytest.mark.gui
def test_a_run_with_changed_weights_asks_and_goes_on_once_they_are_meant(
    make_napari_viewer, scan, tmp_path, qtbot, monkeypatch
) -> None:
    from safetensors.torch import load_file, save_file

    from voxcam.model.loading import load_classifier
    from voxcam.plugin.room import Room

    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "register"))
    model = write_bundle(tmp_path / "model", inferer={"_target_": "SimpleInferer"})
    load_classifier(model, "cpu")
    weights = model / "models" / "model.safetensors"
    state = load_file(weights)
    state["class_layers.out.bias"] += 0.5
    save_file(state, weights)
    room = Room(make_napari_viewer(show=True))
    qtbot.addWidget(room)
    room.review.open(scan)
    room.review.choose(model, "cpu")
    room.runner.explain()
    qtbot.waitUntil(lambda: getattr(room, "dialog", None) is not None, timeout=60_000)
    room.dialog.accepted_weights.emit(room.dialog.digest)
    room.dialog.accept()
    qtbot.waitUntil(lambda: room.review.explanation is not None, timeout=60_000)
    room.runner.wait(20)


def test_a_models_name_is_text_and_cannot_dress_itself_up(qtbot) -> None:
    dialog = TrustDialog(replace(CODE, name="<h1>Safe</h1>"))
    qtbot.addWidget(dialog)
    shown = [label.text() for label in dialog.findChildren(QLabel)]
    assert any("&lt;h1&gt;Safe" in text for text in shown)


def test_the_text_of_the_files_can_be_read_and_nothing_of_it_runs(qtbot, tmp_path) -> None:
    model, ran = write_bundle(tmp_path / "coded"), tmp_path / "ran"
    (model / "scripts").mkdir()
    (model / "scripts" / "steps.py").write_text(f"open({str(ran)!r}, 'w')  # <b>grüße</b>\n")
    (model / "scripts" / "long.py").write_text("x = 1\n" * 100_000)
    (model / "scripts" / "fast.so").write_bytes(b"\x7fELF\0")
    dialog = TrustDialog(CODE)
    qtbot.addWidget(dialog)
    dialog.show_files(model)
    dialog.show()
    names = [dialog.files.item(row).text() for row in range(dialog.files.count())]
    assert names[:4] == ["What would run", "scripts/long.py", "scripts/steps.py", "scripts/fast.so"]
    assert "configs/inference.json" in names
    assert not any(name.endswith((".pt", ".safetensors")) for name in names)
    assert dialog.listing.toPlainText() == listing(CODE)
    read = {}
    for row, name in enumerate(names):
        dialog.files.setCurrentRow(row)
        read[name] = dialog.listing.toPlainText()
    assert read["scripts/steps.py"].endswith("# <b>grüße</b>\n")
    assert len(read["scripts/long.py"]) < 300_000
    assert "cut here" in read["scripts/long.py"]
    assert "no text" in read["scripts/fast.so"]
    assert read["configs/inference.json"] == (model / "configs" / "inference.json").read_text()
    assert dialog.listing.isReadOnly()
    assert not ran.exists()


def test_of_a_program_in_one_file_the_code_within_is_shown(qtbot, tmp_path) -> None:
    import zipfile

    script = tmp_path / "model.ts"
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("model/constants.pkl", b"x")
        archive.writestr("model/code/__torch__/net.py", "class Net(Module):\n")
    dialog = TrustDialog(CODE)
    qtbot.addWidget(dialog)
    dialog.show_files(script)
    dialog.files.setCurrentRow(1)
    assert dialog.listing.toPlainText() == "class Net(Module):\n"
    dialog = TrustDialog(CODE)
    qtbot.addWidget(dialog)
    dialog.show_files(tmp_path / "gone")
    assert not dialog.files.isVisibleTo(dialog)
