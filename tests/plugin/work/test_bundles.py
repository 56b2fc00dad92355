"""Models are described by their files alone, and what is wrong with them is words."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
from bundles import write_bundle

from voxcam.plugin.work.bundles import (
    DEMO,
    RECENT,
    Offer,
    demo_bundles,
    describe,
    may_be_model,
    offers,
)


def zipped(model, target):
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(model.rglob("*")):
            if file.is_file():
                archive.write(file, f"{model.name}/{file.relative_to(model)}")
    return target


def test_a_bundle_is_described_by_what_it_states(tmp_path):
    model = write_bundle(
        tmp_path / "tiny", classes=["clear", "nodule"], stated={"input_unit": "HU", "temperature": 2}
    )
    found = describe(model)
    assert (found.kind, found.wrong, found.runs_code) == ("MONAI bundle", "", 0)
    assert found.line == "2 classes, CT, version 1.2.3"
    assert found.statement.classes == ("clear", "nodule")
    assert found.statement.answer.temperature == 2
    assert found.statement.answer.activation == "softmax", "its postprocessing says so"


def test_what_lies_beside_a_model_goes_first(tmp_path):
    model = write_bundle(tmp_path / "tiny")
    (tmp_path / "tiny.voxcam.json").write_text(json.dumps({"classes": ["a", "b"], "input_modality": "MR"}))
    assert describe(model).line == "2 classes, MR, version 1.2.3"


def test_the_weights_are_never_read(tmp_path):
    model = write_bundle(tmp_path / "tiny")
    (model / "models" / "model.safetensors").write_bytes(b"no weights at all")
    assert describe(model).wrong == ""


def test_an_archive_is_described_without_unpacking_its_weights(tmp_path, monkeypatch):
    from voxcam.model.bundle.archive import ArchiveFiles

    archive = zipped(write_bundle(tmp_path / "tiny"), tmp_path / "tiny.zip")
    opened = []
    blocks = ArchiveFiles.blocks
    monkeypatch.setattr(ArchiveFiles, "blocks", lambda self, name: opened.append(name) or blocks(self, name))
    found = describe(archive)
    assert found.line == "zipped bundle, 2 classes, CT, version 1.2.3"
    assert opened == ["configs/metadata.json"]


def test_weights_and_torchscript_are_described_by_name_and_by_what_lies_beside(tmp_path):
    for name, line in (("net.pt", "weights"), ("net.ts", "TorchScript")):
        (tmp_path / name).write_bytes(b"")
        assert describe(tmp_path / name).line == line
    (tmp_path / "net.pt.voxcam.json").write_text(json.dumps({"classes": ["a"], "input_modality": "CT"}))
    assert describe(tmp_path / "net.pt").line == "weights, 1 class, CT"


@pytest.mark.parametrize("name", ["nothing", "nothing.zip", "nothing.pt"])
def test_what_is_not_there_is_said(tmp_path, name):
    found = describe(tmp_path / name)
    assert found.wrong
    assert str(tmp_path) not in found.wrong
    assert found.line == ""


def test_what_is_broken_is_said_in_one_line(tmp_path):
    (tmp_path / "b.zip").write_bytes(b"PK no archive")
    folder = write_bundle(tmp_path / "tiny")
    (folder / "configs" / "metadata.json").write_text("{")
    for place in (tmp_path / "b.zip", folder, tmp_path):
        found = describe(place)
        assert found.line == ""
        assert found.wrong
        assert "\n" not in found.wrong


def test_code_of_its_own_is_counted_and_nothing_runs(tmp_path):
    trap = tmp_path / "ran"
    step = {"_target_": "ScaleIntensityd", "keys": "image", "factor": f"$open({str(trap)!r}, 'w')"}
    steps = {"_target_": "Compose", "transforms": [step, dict(step)]}
    found = describe(write_bundle(tmp_path / "coded", preprocessing=steps, postprocessing=steps))
    assert found.runs_code >= 2
    assert found.wrong == ""
    assert not trap.exists()


def test_recent_models_come_first_and_demonstrations_are_not_listed_twice(tmp_path):
    there, gone, demo = tmp_path / "there", tmp_path / "gone", tmp_path / "demo"
    there.mkdir()
    assert offers([gone, demo, there], {"Demo": demo}) == (
        Offer("gone", gone, RECENT, there=False),
        Offer("there", there, RECENT, there=True),
        Offer("Demo", demo, DEMO, there=True),
    )


def test_the_demonstration_models_are_offered_and_can_be_described():
    found = demo_bundles()
    assert len(found) == 2
    assert all(describe(place).wrong == "" for place in found.values())


def test_what_may_be_a_model_is_told_by_name(tmp_path):
    assert may_be_model(tmp_path)
    assert may_be_model(tmp_path / "a.SafeTensors")
    assert not may_be_model(tmp_path / "scan.dcm")


def test_a_model_is_described_without_torch(tmp_path):
    model = write_bundle(tmp_path / "tiny")
    code = (
        "import sys; from pathlib import Path; from voxcam.plugin.work.bundles import describe; "
        f"print(describe(Path({str(model)!r})).line, {{'torch', 'monai', 'napari'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 classes, CT, version 1.2.3 set()"
