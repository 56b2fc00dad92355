from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import voxcam

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "monai", "napari", "qtpy", "magicgui", "superqt", "PySide6", "PyQt6"}
SCIENCE = {"scipy", "pydicom", "nibabel", "matplotlib", "safetensors", "PIL"}


def loaded_by(statement):
    """Top-level packages that a fresh interpreter holds after `statement`."""
    program = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def need(module):
    """Skip until `module` is there; a module that is there but broken fails the test instead."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} does not exist yet")


def test_import_voxcam_loads_nothing_heavy():
    assert not loaded_by("import voxcam; voxcam.__version__") & (HEAVY | SCIENCE | {"numpy"})


@pytest.mark.parametrize(
    "module", [f"voxcam.core.{path.stem}" for path in sorted((ROOT / "src/voxcam/core").glob("[!_]*.py"))]
)
def test_core_knows_numpy_and_scipy_alone(module):
    assert not loaded_by(f"import {module}") & (HEAVY | SCIENCE - {"scipy"})


@pytest.mark.parametrize("name", ["load_explanation"])
def test_a_saved_explanation_is_within_reach_without_torch(name):
    assert not loaded_by(f"import voxcam; voxcam.{name}") & HEAVY


@pytest.mark.parametrize("module", ["voxcam.cli.main", "voxcam.plugin.reader"])
def test_the_command_line_and_the_reader_start_without_torch_monai_and_napari(module):
    need(module)
    assert not loaded_by(f"import {module}") & {"torch", "monai", "napari"}


@pytest.mark.parametrize("module", ["voxcam.io", "voxcam.export"])
def test_reading_and_writing_need_no_torch_and_no_window(module):
    need(module)
    assert not loaded_by(f"import {module}") & HEAVY


def test_the_command_lines_help_loads_neither_torch_nor_napari():
    need("voxcam.cli.main")
    said = loaded_by(
        "import contextlib, io\nfrom voxcam.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n    assert main(['--help']) == 0"
    )
    assert not said & {"torch", "monai", "napari"}


def test_an_unknown_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'voxcam' has no attribute 'no_such_name'"):
        _ = voxcam.no_such_name
    assert not hasattr(voxcam, "_no_such_name")


def test_every_public_name_is_within_reach():
    for name in voxcam.__all__:
        assert getattr(voxcam, name) is not None


def test_the_version_is_the_installed_ones():
    try:
        assert metadata.version("voxcam") == voxcam.__version__
    except metadata.PackageNotFoundError:
        pytest.skip("voxcam is not installed, it runs from its source folder")


def requirements():
    """(requirement, whether voxcam cannot do without) of every line of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [(line, True) for line in project["dependencies"]] + [(line, False) for line in optional]
    return [(line, needed) for line, needed in lines if Requirement(line).name != "voxcam"]


@pytest.mark.parametrize(("line", "needed"), requirements())
def test_what_is_installed_meets_the_floor_in_pyproject(line, needed):
    requirement = Requirement(line)
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        assert not needed, f"{requirement.name} is needed and not installed"
        pytest.skip(f"{requirement.name} is optional and not installed")
    assert requirement.specifier.contains(installed, prereleases=True)
