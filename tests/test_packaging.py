"""The manifest is found from a wheel and from a checkout, and the wheel holds what a user needs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="building a wheel needs the extra dev")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(out.glob("voxcam-*.whl"))


def _validated(site: Path | None) -> str:
    """Run npe2 on the installed distribution, or on the one unpacked at `site`."""
    environment = dict(os.environ) | ({"PYTHONPATH": str(site)} if site else {})
    code = (
        "import voxcam; from npe2 import PluginManifest;"
        "m = PluginManifest.from_distribution('voxcam'); m.validate_imports();"
        "print(voxcam.__file__, m.name, len(m.contributions.commands))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=site or ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_the_manifest_works_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    printed = _validated(tmp_path)
    assert str(tmp_path) in printed
    assert " voxcam " in printed


def test_the_manifest_works_from_this_installation() -> None:
    assert " voxcam " in _validated(None)


@pytest.mark.slow
def test_the_wheel_holds_scans_models_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for file in (
        "voxcam/napari.yaml",
        "voxcam/py.typed",
        "voxcam/sample_scans/SOURCES.md",
        "voxcam/sample_scans/lung_tumour_ct.nii.gz",
        "voxcam/sample_scans/models/lung_nodule_3d/models/model.safetensors",
        "voxcam/sample_scans/models/ct_organs_2d/configs/inference.json",
    ):
        assert file in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < 40e6
