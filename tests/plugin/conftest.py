from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

# napari's test fixture resets the settings: it must not find the developer's own.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("qtpy", reason="Qt is not installed")

from phantoms import ball, explanation_of

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume


def pytest_collection_modifyitems(items):
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        no_display = pytest.mark.skip(reason="no display: run under xvfb-run")
        for item in items:
            if "gui" in item.keywords:
                item.add_marker(no_display)


@pytest.fixture
def scan():
    """A CT of 48 x 40 x 20 voxels in LPS order, -1000 with one bright voxel."""
    affine = np.diag([-1.5, -1.5, 3.0, 1.0])
    affine[:3, 3] = (40, 25, -80)
    voxels = np.full((48, 40, 20), -1000, np.int16)
    voxels[10, 8, 15] = 900
    return Volume(voxels, Geometry(voxels.shape, affine), "CT", "HU")


@pytest.fixture
def explained(scan):
    """Three classes: strong evidence, weaker evidence elsewhere, and none at all."""
    strong = 3 * ball(scan.geometry, scan.geometry.to_world((10, 8, 15)), 12)
    weak = 0.5 * ball(scan.geometry, scan.geometry.to_world((35, 30, 4)), 12)
    nothing = -np.ones(scan.shape)
    return explanation_of(scan, {"nodule": (0.9, strong), "effusion": (0.3, weak), "clear": (0.1, nothing)})


@pytest.fixture(autouse=True)
def default_preferences(request, monkeypatch):
    """Rooms begin with the defaults: napari's settings would find, and register, installed plugins anew."""
    if "test_preferences" not in request.module.__name__:
        monkeypatch.setattr("voxcam.plugin.preferences._settings", lambda: None)
