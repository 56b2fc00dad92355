"""Sixty bundles that want to run code: none does, and none reaches for the network."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import DENSENET_3D, PREPROCESSING, write_bundle

from voxcam.errors import ClassifierError
from voxcam.model.bundle import read_bundle
from voxcam.model.loading import load_classifier

PLACES = ("network argument", "reference", "transform argument", "requirement", "switch")
# A tag of YAML's is looked at apart: MONAI, too, loads by a safe loader.
PAYLOADS = (
    "os.system",
    "subprocess",
    "__import__",
    "getattr chain",
    "format string",
    "lambda",
    "comprehension",
    "monai.bundle.run",
    "monai.apps.download_url",
    "torch.load",
    "file macro",
)


class _Touch:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def _payload(what: str, marker: Path, outside: Path) -> Any:
    """Return a value of a configuration that makes `marker` when MONAI resolves it."""
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    outside.mkdir(exist_ok=True)
    (outside / "evil.json").write_text(json.dumps({"x": f"${touch}", "run": [f"${touch}"]}))
    (outside / "evil.pt").write_bytes(pickle.dumps(_Touch(marker)))
    evil = f"{outside / 'evil.json'}"
    return {
        "os.system": {"_target_": "os.system", "command": f"touch {marker}"},
        "subprocess": {"_target_": "subprocess.run", "args": ["touch", str(marker)]},
        "__import__": f"${touch}",
        "getattr chain": f"$getattr(getattr(torch, 'os'), 'system')('touch {marker}')",
        "format string": f'$f"{{{touch}}}"',
        "lambda": f"$(lambda: {touch})()",
        "comprehension": f"$[__import__('pathlib').Path(p).touch() for p in [{str(marker)!r}]]",
        "monai.bundle.run": f"$monai.bundle.run(run_id='run', config_file={evil!r})",
        "monai.apps.download_url": f"$monai.apps.download_url('file://{evil}', {str(marker)!r})",
        "torch.load": f"$torch.load({str(outside / 'evil.pt')!r}, weights_only=False)",
        "file macro": f"%{evil}::x",
    }[what]


def _sections(place: str, payload: Any) -> dict[str, Any]:
    step = {"_target_": "ScaleIntensityd", "keys": "image"}
    match place:
        case "network argument":
            return {"network_def": DENSENET_3D | {"norm": payload}}
        case "reference":
            return {"network_def": DENSENET_3D | {"norm": "@payload"}, "payload": payload}
        case "transform argument":
            return {"preprocessing": {"_target_": "Compose", "transforms": [step | {"factor": payload}]}}
        case "requirement":
            return {"network_def": DENSENET_3D | {"_requires_": [payload]}}
    return {"preprocessing": {"_target_": "Compose", "transforms": [step | {"_disabled_": payload}]}}


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses that something tried to reach."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        tried.append(arguments)
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", PAYLOADS)
def test_nothing_of_the_bundle_runs(tmp_path: Path, attempts: list[Any], what: str, place: str) -> None:
    marker = tmp_path / "marker"
    payload = _payload(what, marker, tmp_path / "outside")
    place_ = write_bundle(tmp_path / "bundle", **_sections(place, payload))
    bundle = read_bundle(place_)
    assert bundle.would_run  # all of it is said beforehand
    with pytest.raises(ClassifierError) as refused:
        load_classifier(place_, device="cpu")
    assert "\n" not in str(refused.value)
    bundle.also_holds, bundle.unused, bundle.digests(), bundle.code_digest()
    assert not marker.exists()
    assert attempts == []


@pytest.mark.parametrize("place", PLACES)
def test_no_tag_of_yaml_is_followed(tmp_path: Path, attempts: list[Any], place: str) -> None:
    marker = tmp_path / "marker"
    place_ = write_bundle(tmp_path / "bundle", **_sections(place, "PAYLOAD"))
    config = place_ / "configs" / "inference.json"
    tag = f'!!python/object/apply:os.system ["touch {marker}"]'
    text = config.read_text().replace('"PAYLOAD"', tag)
    config.unlink()
    config.with_suffix(".yaml").write_text(text)
    with pytest.raises(ClassifierError, match=r"inference.yaml line 1: the tag '!!python/object/apply"):
        load_classifier(place_, device="cpu")
    assert not marker.exists()
    import yaml

    yaml.unsafe_load(text)  # the control: the tag is live
    assert marker.exists()
    assert attempts == []


CONTROL = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from monai.bundle import ConfigParser
ran = []
for case in json.loads(Path(sys.argv[1]).read_text()):
    parser = ConfigParser()
    try:
        parser.read_config(case["config"])
        parser.get_parsed_content(case["section"])
    except Exception:
        pass  # a network with the norm None cannot be built: by then, the payload has run
    ran.append(Path(case["marker"]).exists())
print(json.dumps(ran))
"""


@pytest.mark.slow
def test_monai_runs_them_all(tmp_path: Path) -> None:
    """The control: MONAI's own parser makes the marker of every one of the configurations refused above."""
    cases = []
    for what in PAYLOADS:
        for place in PLACES:
            folder = tmp_path / f"{len(cases)}"
            folder.mkdir()
            marker = folder / "marker"
            sections = {"preprocessing": PREPROCESSING} | _sections(
                place, _payload(what, marker, folder / "outside")
            )
            config = folder / "inference.json"
            config.write_text(json.dumps(sections))
            section = "network_def" if "network_def" in sections else "preprocessing"
            cases.append({"config": str(config), "section": section, "marker": str(marker)})
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    ran = subprocess.run(
        [sys.executable, "-c", CONTROL, str(tmp_path / "cases.json")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == [True] * len(cases)


def test_code_that_lies_in_the_bundle_stays_where_it_is(tmp_path: Path, attempts: list[Any]) -> None:
    """Scripts, a package that shadows MONAI, a logging.conf with calls, imports: none is needed."""
    marker = tmp_path / "marker"
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    place = write_bundle(tmp_path / "bundle", imports=["$import scripts", "$import os"], go=f"${touch}")
    for package in ("scripts", "monai", "torch"):
        (place / package).mkdir()
        (place / package / "__init__.py").write_text(touch)
    (place / "configs" / "logging.conf").write_text(
        f"[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n"
        f"[handler_h]\nclass={touch}\nargs=()\n"
    )
    bundle = read_bundle(place)
    assert bundle.would_run == ()
    assert bundle.also_holds == (
        "files of code: 3",
        "logging.conf, whose entries MONAI evaluates: 1",
        "imports: 2",
        "expressions in sections that are not read: 1",
    )
    assert set(bundle.unused) == {"imports", "go"}
    classifier = load_classifier(place, device="cpu")
    assert classifier.network(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 2)
    assert not marker.exists()
    assert attempts == []
