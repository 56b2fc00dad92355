from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest
from voxcam.plugin.docks.model_panel import DEVICES

from voxcam.samples import SAMPLES

MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_file(MANIFEST)


def test_every_command_of_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_an_editable_install_finds_the_manifest_in_the_package():
    import voxcam

    assert (Path(voxcam.__file__).parent / "napari.yaml").read_text() == MANIFEST.read_text()


def test_every_sample_scan_is_offered(manifest):
    assert [sample.key for sample in manifest.contributions.sample_data] == list(SAMPLES)


def test_the_room_is_in_the_classify_menu(manifest):
    (item,) = manifest.contributions.menus["napari/layers/classify"]
    assert item.command == manifest.contributions.widgets[0].command == "voxcam.room"


def test_the_preferences_offer_the_devices_of_the_room(manifest):
    (device,) = manifest.contributions.configurations["inference"].properties.values()
    assert tuple(device.enum) == DEVICES
