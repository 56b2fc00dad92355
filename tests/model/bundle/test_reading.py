"""Bundles are read as data: whatever they would run is refused, and does not run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from bundles import DENSENET_3D, PREPROCESSING, write_bundle

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import Section, read_bundle, target_of
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


BROKEN = {
    "nothing there": (lambda b: b / "elsewhere", "found nothing"),
    "a file": (lambda b: b / "configs" / "metadata.json", "found a file"),
    "no metadata": (lambda b: _without(b, "configs/metadata.json"), "no configs/metadata.json"),
    "no configuration": (
        lambda b: _without(b, "configs/inference.json"),
        "no configs/inference.json or .yaml",
    ),
    "one for training alone": (
        lambda b: _renamed(b, "configs/inference.json", "configs/train.json"),
        "only one for training; no configs/inference.json",
    ),
    "no weights": (lambda b: _without(b, "models/model.safetensors"), "expected models/model.safetensors or"),
    "weights of another form": (
        lambda b: _renamed(b, "models/model.safetensors", "models/model.onnx"),
        "models/model.onnx of the bundle is ONNX",
    ),
    "half a JSON": (lambda b: _written(b, "configs/inference.json", b'{"network_def": '), "line 1: expected"),
    "a JSON list": (lambda b: _written(b, "configs/inference.json", b"[]"), "found a list"),
    "nested without end": (lambda b: _written(b, "configs/inference.json", b'{"a":' + b"[" * 10**5), "deep"),
    "no text": (lambda b: _written(b, "configs/metadata.json", b"\xff\xfe\x00\xd8"), "expected UTF-8 text"),
    "no UTF-8 below": (lambda b: _written(b, "configs/metadata.json", b'{"a": 1,\n"b": "\xe9"}'), "line 2"),
    "metadata that is not finite": (
        lambda b: _written(b, "configs/metadata.json", b'{"a":\n[NaN]}'),
        "metadata.json line 2 (a::0): expected a number, found nan",
    ),
    "JSON and YAML that disagree": (
        lambda b: _written(b, "configs/inference.yaml", b"network_def: {_target_: ResNet}"),
        "configs/inference.json and configs/inference.yaml disagree",
    ),
    "a key that reaches elsewhere": (
        lambda b: _written(b, "configs/inference.json", b'{"network_def": {},\n"network_def#norm": 1}'),
        "inference.json line 2 (network_def#norm): a key that reaches into another section",
    ),
    "a key that adds": (
        lambda b: _written(b, "configs/inference.json", b'{"+preprocessing": []}'),
        "reaches",
    ),
}


def _without(bundle: Path, name: str) -> Path:
    (bundle / name).unlink()
    return bundle


def _renamed(bundle: Path, name: str, to: str) -> Path:
    (bundle / name).rename(bundle / to)
    return bundle


def _written(bundle: Path, name: str, data: bytes) -> Path:
    (bundle / name).write_bytes(data)
    return bundle


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_bundle_is_one_clear_line(tmp_path: Path, what: str) -> None:
    change, match = BROKEN[what]
    place = change(write_bundle(tmp_path / "bundle"))
    with pytest.raises(ClassifierError) as error:
        read_bundle(place)
    assert match in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_json_and_yaml_that_agree_are_one(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "bundle")
    config = place / "configs" / "inference.json"
    (place / "configs" / "inference.yml").write_text(yaml.safe_dump(json.loads(config.read_text())))
    both = read_bundle(place)
    assert both.config_file.name == "inference.json"
    config.unlink()
    alone = read_bundle(place)
    assert alone.network == both.network == DENSENET_3D
    assert load_classifier(place, device="cpu").digests == alone.digests() != both.digests()


def test_a_bundle_without_a_network_says_nothing_of_one(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "bundle")
    (place / "configs" / "inference.json").write_text("{}")
    bundle = read_bundle(place)
    assert (bundle.network, bundle.preprocessing, bundle.inferer, bundle.postprocessing) == (None,) * 4
    assert (bundle.would_run, bundle.unused) == ((), ())
    with pytest.raises(ClassifierError, match="expected a network"):
        load_classifier(place, device="cpu")


@pytest.mark.parametrize("name", ["network", "net", "model"])
def test_sections_are_found_by_other_usual_names(tmp_path: Path, name: str) -> None:
    config = {name: DENSENET_3D, "transforms": PREPROCESSING["transforms"], "postprocess": PREPROCESSING}
    place = write_bundle(tmp_path / "bundle")
    (place / "configs" / "inference.json").write_text(json.dumps(config))
    bundle = read_bundle(place)
    assert bundle.network == DENSENET_3D
    assert bundle.preprocessing == bundle.postprocessing == PREPROCESSING
    assert bundle.preprocessing.where == "inference.json line 1 (transforms::0)"
    assert bundle.unused == ()


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.ts", "model.pt", "model.safetensors"], "model.safetensors"),
        (["model.ts", "model.ckpt", "model.pth", "model.pt"], "model.pt"),
        (["model.ts", "model.ckpt", "model.pth"], "model.pth"),
        (["model.ts", "model.ckpt", "model.onnx"], "model.ckpt"),
        (["model.ts", "model.onnx"], "model.ts"),
    ],
)
def test_the_safest_weights_are_chosen(tmp_path: Path, names: list[str], chosen: str) -> None:
    place = write_bundle(tmp_path / "bundle")
    (place / "models" / "model.safetensors").unlink()
    for name in names:
        (place / "models" / name).write_bytes(b"x")
    assert read_bundle(place).weights == place / "models" / chosen


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


def test_the_fingerprint_is_what_it_has_always_been(tmp_path: Path) -> None:
    """The formula in full: results made before are of the same classifier."""
    place = write_bundle(tmp_path / "bundle")
    files = {
        "weights": "models/model.safetensors",
        "config": "configs/inference.json",
        "metadata": "configs/metadata.json",
    }
    digests = {name: hashlib.sha256((place / file).read_bytes()).hexdigest() for name, file in files.items()}
    joined = "\n".join(f"{name} {digest}" for name, digest in digests.items())
    expected = digests | {"fingerprint": hashlib.sha256(joined.encode()).hexdigest()}
    assert read_bundle(place).digests() == expected


def test_a_file_that_is_copied_from_counts(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "bundle")
    config = place / "configs" / "inference.json"
    config.write_text(
        json.dumps(
            json.loads(config.read_text())
            | {"network_def": "%configs/nets.json::dense", "elsewhere": "%other.json"}
        )
    )
    (place / "configs" / "nets.json").write_text(json.dumps({"dense": DENSENET_3D}))
    (place / "configs" / "other.json").write_text("{}")
    before = read_bundle(place).digests()
    assert set(before) == {"weights", "config", "metadata", "config nets.json", "fingerprint"}
    (place / "configs" / "other.json").write_text('{"a": 1}')
    again = read_bundle(place)
    assert again.section("elsewhere") == {"a": 1}  # a section that is not read
    assert again.digests() == before
    (place / "configs" / "nets.json").write_text(json.dumps({"dense": DENSENET_3D | {"growth_rate": 8}}))
    assert read_bundle(place).digests()["fingerprint"] != before["fingerprint"]


@pytest.mark.parametrize(
    "name",
    ["models/model.safetensors", "configs/inference.json", "configs/metadata.json", "configs/nets.json"],
)
def test_a_bundle_changed_between_check_and_use_is_noticed(tmp_path: Path, name: str) -> None:
    place = write_bundle(tmp_path / "bundle")
    config = place / "configs" / "inference.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"network_def": "%nets.json::dense"}))
    (place / "configs" / "nets.json").write_text(json.dumps({"dense": DENSENET_3D}))
    bundle = read_bundle(place)
    network, digest = bundle.network, bundle.weights_sha256
    assert digest == hashlib.sha256((place / "models" / "model.safetensors").read_bytes()).hexdigest()
    assert bundle.unchanged()
    (place / name).write_bytes((place / name).read_bytes() + b" ")
    assert not bundle.unchanged()
    assert bundle.network == network  # read once
    assert bundle.weights_sha256 == digest
    (place / name).unlink()
    assert not bundle.unchanged()


def test_the_digest_of_the_code_is_that_of_every_file(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "bundle")
    (place / "scripts").mkdir()
    script = place / "scripts" / "net é.py"
    script.write_text("x = 1\n")
    listed = sorted((str(p.relative_to(place)).encode(), p) for p in place.rglob("*") if p.is_file())
    lines = b"".join(
        hashlib.sha256(p.read_bytes()).hexdigest().encode() + b"  " + name + b"\n" for name, p in listed
    )
    digest = read_bundle(place).code_digest()
    assert digest == hashlib.sha256(lines).hexdigest()
    script.write_text("x = 2\n")
    assert read_bundle(place).code_digest() != digest
    script.write_text("x = 1\n")
    script.rename(script.with_name("net.py"))
    assert read_bundle(place).code_digest() != digest


def test_links_to_files_are_files_and_links_to_folders_take_no_trust(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "bundle")
    plain = read_bundle(place)
    digests, code = plain.digests(), plain.code_digest()
    for number, name in enumerate(("models/model.safetensors", "configs/inference.json")):
        (place / name).rename(tmp_path / str(number))
        (place / name).symlink_to(tmp_path / str(number))  # as the caches of model hubs have it
    linked = read_bundle(place)
    assert (linked.digests(), linked.code_digest()) == (digests, code)
    (place / "scripts").symlink_to(tmp_path)
    bundle = read_bundle(place)
    assert bundle.network == DENSENET_3D
    with pytest.raises(ClassifierError, match="a link to a folder"):
        bundle.code_digest()
    assert "a link to a folder" in bundle.also_holds[0]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("DenseNet", None),
        ("monai.networks.nets.DenseNet", None),
        ("DenseNet12", "the nearest it knows: DenseNet121, DenseNet"),
        ("evil.DenseNet", "the nearest it knows: DenseNet"),
        ("monaievil.DenseNet", "'monaievil.DenseNet' is not one"),
        ("os.system", "it knows DenseNet, DenseNet121, ResNet and 2 more"),
    ],
)
def test_a_target_is_one_of_the_list_or_named_with_the_nearest(
    tmp_path: Path, target: str, message: str | None
) -> None:
    section = Section({"_target_": target, "a": 1}, "inference.json line 3 (network_def)")
    known = {"DenseNet", "DenseNet121", "ResNet", "SENet154", "ViT"}
    if message is None:
        assert target_of(section, known, "network") == ("DenseNet", {"a": 1})
        return
    with pytest.raises(UntrustedCodeError) as refused:
        target_of(section, known, "network")
    assert str(refused.value).startswith(
        f"inference.json line 3 (network_def): network {target!r} is not one"
    )
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "target",
    (
        "os.system~subprocess.run~builtins.eval~importlib.import_module~pickle.loads~torch.load~torch.hub.load~"
        "scripts.net.DenseNet~monai.bundle.run~monai.apps.download_url~DenseNet.forward~.DenseNet~densenet~"
        "monai~DenseNet;os~~ DenseNet~DenseNet\n~os.system('x') or DenseNet"
    ).split("~"),
)
def test_no_other_target_is_one(target: str) -> None:
    with pytest.raises(UntrustedCodeError) as refused:
        target_of({"_target_": target}, {"DenseNet"}, "network")
    assert "\n" not in str(refused.value)


def test_a_place_that_may_not_be_opened_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_bundle(tmp_path / "bundle")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    for name, match in (("open", "configs/metadata.json of the bundle cannot be read"), ("stat", "opened")):
        monkeypatch.setattr(Path, name, refuse)
        with pytest.raises(ClassifierError, match=f"{match}: Permission denied|{match}") as refused:
            read_bundle(place)
        assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("section", [None, [], "x", {}, {"_target_": 3}, {"_target_": ["DenseNet"]}])
def test_a_section_without_a_target_is_one_line(section: object) -> None:
    with pytest.raises(ClassifierError, match="expected a network with a '_target_'"):
        target_of(section, {"DenseNet"}, "network")
