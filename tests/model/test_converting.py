"""What is converted loads without running anything and answers the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import torch
from bundles import DENSENET_3D, write_bundle

from voxcam.errors import ChangedWeightsError, ClassifierError
from voxcam.model.converting import convert_model
from voxcam.model.loading import load_classifier
from voxcam.model.statement.beside import place_beside
from voxcam.model.trusted import code_digest

if TYPE_CHECKING:
    from pathlib import Path

CALL = f"DenseNet({', '.join(f'{key}={value!r}' for key, value in DENSENET_3D.items() if key != '_target_')})"
NOISE = torch.rand(2, 1, 16, 16, 16)


def test_a_bundle_of_pickled_weights_becomes_one_of_numbers(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "old", stated={"input_unit": "HU", "background": 0})
    before = load_classifier(bundle, "cpu")
    torch.save({"state_dict": before.network.state_dict()}, bundle / "models" / "model.pt")
    (bundle / "models" / "model.safetensors").unlink()
    place_beside(bundle).write_text(json.dumps({"temperature": 1.7}))
    convert_model(bundle, tmp_path / "new")
    after = load_classifier(tmp_path / "new", "cpu")
    assert (tmp_path / "new" / "models" / "model.safetensors").is_file()
    assert torch.equal(after.logits(NOISE), before.logits(NOISE))
    assert after.statement.answer.temperature == 1.7
    assert after.answer.background == 0
    assert after.preprocessing.steps == before.preprocessing.steps
    assert after.tiling == before.tiling
    assert after.classes == before.classes


def test_a_known_models_bundle_is_known_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "register"))
    bundle = write_bundle(tmp_path / "old")
    state = load_classifier(bundle, "cpu").network.state_dict()
    torch.save(state, bundle / "models" / "model.pt")
    (bundle / "models" / "model.safetensors").unlink()
    with pytest.raises(ChangedWeightsError):
        convert_model(bundle, tmp_path / "new")
    changed = hashlib.sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    convert_model(bundle, tmp_path / "new", accept_weights=changed)
    assert load_classifier(tmp_path / "new", "cpu").name == "old"


def test_loose_weights_become_a_bundle(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "old")
    loose = tmp_path / "net.safetensors"
    loose.write_bytes((bundle / "models" / "model.safetensors").read_bytes())
    notes = convert_model(loose, tmp_path / "new", network=CALL)
    assert torch.equal(
        load_classifier(tmp_path / "new", "cpu").logits(NOISE), load_classifier(bundle, "cpu").logits(NOISE)
    )
    assert "not stated: class names, activation" in notes[1]


def test_the_weights_of_trusted_torchscript_go_into_a_network_that_can_be_looked_into(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "old")
    eager = load_classifier(bundle, "cpu")
    script = tmp_path / "net.ts"
    torch.jit.trace(eager.network, NOISE).save(str(script))
    place_beside(script).write_text(json.dumps({"input_channels": 1, "input_shape": [16, 16, 16]}))
    trusted = f"sha256:{code_digest(script)}"
    with pytest.raises(ClassifierError, match="name it as one of MONAI's"):
        convert_model(script, tmp_path / "new", trust_code=trusted)
    assert not (tmp_path / "new").exists()
    convert_model(script, tmp_path / "new", network=CALL, trust_code=trusted)
    after = load_classifier(tmp_path / "new", "cpu")
    assert torch.allclose(after.logits(NOISE), eager.logits(NOISE), atol=1e-6)
    assert not after.is_opaque


def test_a_network_the_weights_do_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "old")
    other = CALL.replace("growth_rate=4", "growth_rate=8")
    with pytest.raises(ClassifierError, match="does not fit"):
        convert_model(bundle / "models" / "model.safetensors", tmp_path / "new", network=other)
    assert not (tmp_path / "new").exists()
