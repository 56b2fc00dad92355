"""Bundles are read as data: whatever they would run is refused, and does not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundles import DENSENET_3D, PREPROCESSING, write_bundle

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import read_bundle
from voxcam.model.loading import load_classifier


def _hostile(marker: Path) -> dict[str, dict]:
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    command = f"touch {marker}"
    transform = {
        "_target_": "Compose",
        "transforms": [{"_target_": "Lambdad", "keys": "image", "func": f"${touch}"}],
    }
    return {
        "a network that is os.system": {"network_def": {"_target_": "os.system", "command": command}},
        "a network of that name elsewhere": {"network_def": DENSENET_3D | {"_target_": "evil.DenseNet"}},
        "a network argument that is an expression": {
            "network_def": DENSENET_3D | {"out_channels": f"${touch}"}
        },
        "a reference to an expression": {
            "payload": f"${touch}",
            "network_def": DENSENET_3D | {"norm": "@payload"},
        },
        "a requirement": {"network_def": DENSENET_3D | {"_requires_": [f"${touch}"]}},
        "a mode": {"network_def": DENSENET_3D | {"_mode_": "debug"}},
        "a transform with a function": {"preprocessing": transform},
        "a macro": {"preprocessing": "%/etc/passwd"},
        "an inferer from elsewhere": {"inferer": {"_target_": "subprocess.run", "args": command}},
        "a callable preprocessing": {"preprocessing": {"_target_": "os.system", "command": command}},
    }


@pytest.mark.parametrize("what", list(_hostile(Path("marker"))))
def test_a_bundle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path: Path, what: str) -> None:
    marker = tmp_path / "marker"
    changes = _hostile(marker)[what]
    bundle = write_bundle(tmp_path / "bundle")
    config = json.loads((bundle / "configs" / "inference.json").read_text()) | changes
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(UntrustedCodeError) as refused:
        load_classifier(bundle, device="cpu")
    assert not marker.exists()
    assert "\n" not in str(refused.value)


def test_monai_would_run_the_same_configuration(tmp_path: Path) -> None:
    """The control: without it the test above could pass on a harmless configuration."""
    from monai.bundle import ConfigParser

    marker = tmp_path / "marker"
    config = _hostile(marker)["a network argument that is an expression"]
    ConfigParser(config).get_parsed_content("network_def", instantiate=False)
    parser = ConfigParser({"payload": config["network_def"]["out_channels"]})
    parser.get_parsed_content("payload")
    assert marker.exists()


def test_references_are_followed_and_circles_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", growth=4, network_def=DENSENET_3D | {"growth_rate": "@growth"})
    assert read_bundle(bundle).section("network_def") == DENSENET_3D
    config = tmp_path / "bundle" / "configs" / "inference.json"
    config.write_text(json.dumps({"network_def": "@a", "a": "@b", "b": "@a"}))
    with pytest.raises(ClassifierError, match="itself"):
        read_bundle(bundle).section("network_def")
    config.write_text(json.dumps({"network_def": "@no::where"}))
    with pytest.raises(ClassifierError, match="not in inference.json"):
        read_bundle(bundle).section("network_def")


def _break(bundle: Path, what: str) -> Path:
    configs = bundle / "configs"
    match what:
        case "nothing there":
            return bundle / "elsewhere"
        case "a file":
            return configs / "metadata.json"
        case "no metadata":
            (configs / "metadata.json").unlink()
        case "no configuration":
            (configs / "inference.json").unlink()
        case "no weights":
            (bundle / "models" / "model.safetensors").unlink()
        case "half a JSON":
            (configs / "inference.json").write_text('{"network_def": ')
        case "a JSON list":
            (configs / "inference.json").write_text("[]")
        case "nested without end":
            (configs / "inference.json").write_text("[" * 100_000)
        case "no text":
            (configs / "metadata.json").write_bytes(b"\xff\xfe\x00\xd8")
    return bundle


@pytest.mark.parametrize(
    "what",
    [
        "nothing there",
        "a file",
        "no metadata",
        "no configuration",
        "no weights",
        "half a JSON",
        "a JSON list",
        "nested without end",
        "no text",
    ],
)
def test_a_broken_bundle_is_one_clear_line(tmp_path: Path, what: str) -> None:
    place = _break(write_bundle(tmp_path / "bundle"), what)
    with pytest.raises(ClassifierError) as error:
        read_bundle(place)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_any_change_of_weights_or_configuration_changes_the_fingerprint(tmp_path: Path) -> None:
    one = read_bundle(write_bundle(tmp_path / "one"))
    same = read_bundle(write_bundle(tmp_path / "two", metadata={"name": "one"}))
    assert one.digests() == same.digests()
    other = read_bundle(
        write_bundle(tmp_path / "three", metadata={"name": "one"}, preprocessing=PREPROCESSING | {"x": 1})
    )
    assert other.digests()["fingerprint"] != one.digests()["fingerprint"]
    blob = bytearray(same.weights.read_bytes())
    blob[-1] ^= 1
    same.weights.write_bytes(blob)
    assert same.digests()["fingerprint"] != one.digests()["fingerprint"]


def test_sections_that_nothing_reads_are_named_and_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    changes = {"evil": {"_target_": "os.system", "command": f"touch {marker}"}, "growth": 4}
    bundle = write_bundle(
        tmp_path / "bundle", network_def=DENSENET_3D | {"growth_rate": "@growth"}, **changes
    )
    assert load_classifier(bundle, device="cpu").unused == ("evil",)
    assert not marker.exists()
