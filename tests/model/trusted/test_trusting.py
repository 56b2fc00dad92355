"""A model's own code runs only when its digest is trusted, and is tried in a child process first."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from bundles import DENSENET_3D, write_bundle

import voxcam
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import Cancelled, ClassifierError, ExplainError, UntrustedCodeError
from voxcam.model.loading import load_classifier
from voxcam.model.statement.beside import place_beside
from voxcam.model.trusted import can_be_trusted, code_digest, code_of
from voxcam.model.trusted.trying import try_in_child

MARKING = """
import pathlib
import torch

class Marking(torch.nn.Module):
    def __init__(self, marker):
        super().__init__()
        pathlib.Path(marker).touch()
        self.look = torch.nn.Conv3d(1, 2, 3)

    def forward(self, x):
        return self.look(x).mean((2, 3, 4))
"""


def _coded_bundle(folder: Path, marker: Path) -> Path:
    """A bundle whose network is a class of its own script; making it leaves a marker."""
    bundle = write_bundle(folder, stated={"input_unit": "HU"})
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "__init__.py").touch()
    (bundle / "scripts" / "marking.py").write_text(MARKING)
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    config["network_def"] = {"_target_": "scripts.marking.Marking", "marker": str(marker)}
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    torch.save(
        torch.nn.ModuleDict({"look": torch.nn.Conv3d(1, 2, 3)}).state_dict(), bundle / "models/model.pt"
    )
    (bundle / "models" / "model.safetensors").unlink()
    return bundle


class Script(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.look = torch.nn.Conv3d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.look(x).mean((2, 3, 4))


def _script(place: Path) -> Path:
    torch.manual_seed(0)
    torch.jit.script(Script().eval()).save(str(place))
    place_beside(place).write_text(
        json.dumps({"input_channels": 1, "input_shape": [16, 16, 16], "classes": ["a", "b"]})
    )
    return place


def test_without_trust_nothing_runs_and_the_message_names_the_line_and_the_digest(tmp_path: Path) -> None:
    bundle = _coded_bundle(tmp_path / "coded", tmp_path / "marker")
    with pytest.raises(UntrustedCodeError, match=r"inference.json.*network_def") as error:
        load_classifier(bundle, "cpu")
    assert f"--trust-code sha256:{code_digest(bundle)}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "marker").exists()
    code = code_of(bundle)
    assert code is not None
    assert any(need.place.startswith("network_def") for need in code.would_run)
    assert any("code" in words for words in code.also_holds)


def test_trusted_by_digest_it_runs_in_a_child_first_and_then_here(tmp_path: Path) -> None:
    bundle = _coded_bundle(tmp_path / "coded", tmp_path / "marker")
    classifier = load_classifier(bundle, "cpu", f"sha256:{code_digest(bundle)}")
    assert (tmp_path / "marker").exists(), "the control: the code is live"
    assert classifier.layers()[-1].name == "look"
    assert any("its code ran, as trusted: network_def" in note for note in classifier.notes)
    assert str(bundle) not in sys.path


def test_two_bundles_whose_scripts_have_one_name_do_not_share_them(tmp_path: Path) -> None:
    first = _coded_bundle(tmp_path / "first", tmp_path / "marker")
    second = _coded_bundle(tmp_path / "second", tmp_path / "marker")
    doubled = MARKING.replace("self.look(x).mean((2, 3, 4))", "2 * self.look(x).mean((2, 3, 4))")
    (second / "scripts" / "marking.py").write_text(doubled)
    (second / "models" / "model.pt").write_bytes((first / "models" / "model.pt").read_bytes())
    one, two = (load_classifier(b, "cpu", f"sha256:{code_digest(b)}") for b in (first, second))
    noise = torch.rand(one.example_shape)
    assert torch.allclose(two.logits(noise), 2 * one.logits(noise))
    assert code_digest(first) == one_more_time(first), "no bytecode was left beside the scripts"


def one_more_time(bundle: Path) -> str:
    load_classifier(bundle, "cpu", f"sha256:{code_digest(bundle)}")
    return code_digest(bundle)


def test_trust_is_of_this_digest_and_no_other(tmp_path: Path) -> None:
    bundle = _coded_bundle(tmp_path / "coded", tmp_path / "marker")
    before = code_digest(bundle)
    (bundle / "scripts" / "marking.py").write_text(MARKING + "\n# changed\n")
    with pytest.raises(UntrustedCodeError, match="it changed since"):
        load_classifier(bundle, "cpu", f"sha256:{before}")
    with pytest.raises(UntrustedCodeError, match="whoever trusts code says which"):
        load_classifier(bundle, "cpu", trust_code=True)
    assert not (tmp_path / "marker").exists()


def test_what_was_trusted_once_is_remembered_wherever_it_lies_until_a_byte_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXCAM_MODELS", str(tmp_path / "register"))
    script = _script(tmp_path / "model.ts")
    load_classifier(script, "cpu", f"sha256:{code_digest(script)}")
    moved = _script(tmp_path / "moved.ts")
    moved.write_bytes(script.read_bytes())
    assert load_classifier(moved, "cpu").classes == ("a", "b")
    moved.write_bytes(script.read_bytes() + b" ")
    with pytest.raises(ClassifierError):
        load_classifier(moved, "cpu")


def test_a_script_gives_scores_and_occlusion_and_says_what_it_cannot(tmp_path: Path) -> None:
    script = _script(tmp_path / "model.ts")
    with pytest.raises(UntrustedCodeError, match="TorchScript"):
        load_classifier(script, "cpu")
    classifier = load_classifier(script, "cpu", f"sha256:{code_digest(script)}")
    assert classifier.is_opaque
    assert classifier.layers() == ()
    voxels = torch.rand(16, 16, 16).numpy()
    volume = Volume(voxels, Geometry(voxels.shape, torch.eye(4).numpy()))
    own = torch.jit.load(script)(torch.from_numpy(voxels)[None, None])[0]
    found = voxcam.explain(volume, classifier, ("occlusion", "integrated-gradients"), options=SMALL)
    assert found.logits["a"] == pytest.approx(float(own[0]), abs=1e-6)
    assert {heatmap.method for heatmap in found.heatmaps} == {"occlusion", "integrated-gradients"}
    with pytest.raises(ExplainError, match="grad-cam looks inside.*shows nothing.*occlusion"):
        voxcam.explain(volume, classifier)


SMALL = {"occlusion": {"size": 8, "stride": 8}, "integrated-gradients": {"steps": 2}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import os; os._exit(7)", r"ended its process in a trial \(exit 7\)"),
        ("raise ValueError('no luck')", "failed in a trial: .*no luck"),
        ("while True: pass", "took longer than"),
        ("import torch; torch.empty(2**42)", "failed in a trial"),
    ],
)
def test_code_that_crashes_hangs_or_hoards_does_so_in_the_child_alone(
    tmp_path: Path, body: str, says: str
) -> None:
    bundle = _coded_bundle(tmp_path / "coded", tmp_path / "marker")
    script = MARKING.replace("        super().__init__()", f"        super().__init__()\n        {body}")
    (bundle / "scripts" / "marking.py").write_text(script)
    with pytest.raises(ClassifierError, match=says):
        try_in_child(bundle, seconds=25.0 if "while" not in body else 12.0)


def test_a_trial_can_be_cancelled_and_leaves_no_child(tmp_path: Path) -> None:
    script = _script(tmp_path / "model.ts")
    with pytest.raises(Cancelled):
        try_in_child(script, lambda: True)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    assert f"voxcam.model.trusted.child {script}" not in running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process leave its network")
def test_the_child_has_no_network_where_the_system_allows_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        probe = textwrap.dedent(f"""
            import socket
            from voxcam.model.trusted.child import _without_network
            socket.create_connection(("127.0.0.1", {port}), timeout=2).close()
            _without_network()
            try:
                socket.create_connection(("127.0.0.1", {port}), timeout=2)
            except OSError:
                print("unreachable")
        """)
        said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    if "unreachable" not in said.stdout:
        pytest.skip("this system does not let a process leave its network")
    assert said.returncode == 0


def test_an_expression_in_the_preprocessing_gives_scores_and_refuses_heatmaps(tmp_path: Path) -> None:
    steps = {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x.flip(1) / 1000"},
        ],
    }
    whole = {"_target_": "SimpleInferer"}
    bundle = write_bundle(tmp_path / "flips", DENSENET_3D, preprocessing=steps, inferer=whole)
    with pytest.raises(UntrustedCodeError, match="Lambda|lambda"):
        load_classifier(bundle, "cpu")
    classifier = load_classifier(bundle, "cpu", f"sha256:{code_digest(bundle)}")
    voxels = torch.rand(32, 32, 32).numpy() * 500
    volume = Volume(voxels, Geometry(voxels.shape, torch.eye(4).numpy()), "CT", "HU")
    expected = classifier.network(torch.from_numpy(voxels).flip(0)[None, None] / 1000)[0]
    scored = voxcam.explain(volume, classifier, ())
    assert scored.heatmaps == ()
    assert scored.logits["class 1"] == pytest.approx(float(expected[1]), abs=1e-5)
    with pytest.raises(ExplainError, match="geometry cannot be followed"):
        voxcam.explain(volume, classifier)


def test_an_archives_code_is_never_run(tmp_path: Path) -> None:
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(ClassifierError, match="unpack it"):
        code_digest(archive)
    assert code_of(archive) is None


def test_a_pickled_network_is_refused_and_trust_is_not_offered(tmp_path: Path) -> None:
    torch.save(Script(), tmp_path / "whole.pt")
    assert not can_be_trusted(tmp_path / "whole.pt")
    assert code_of(tmp_path / "whole.pt") is None
    call = "DenseNet(spatial_dims=3, in_channels=1, out_channels=2)"
    with pytest.raises(UntrustedCodeError, match="whole pickled network") as error:
        load_classifier(tmp_path / "whole.pt", "cpu", network=call)
    assert "--trust-code" not in str(error.value)
    assert can_be_trusted(_script(tmp_path / "net.ts"))
