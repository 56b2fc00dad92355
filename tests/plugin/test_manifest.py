"""The manifest names what is there: commands, menus, samples, preferences."""

from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest

from voxcam.plugin import commands
from voxcam.samples import SAMPLES

MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_file(MANIFEST)


def ids(manifest):
    return [command.id for command in manifest.contributions.commands]


def test_every_command_of_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_an_editable_install_finds_the_manifest_in_the_package():
    import voxcam

    assert (Path(voxcam.__file__).parent / "napari.yaml").read_text() == MANIFEST.read_text()


def test_every_sample_scan_is_offered(manifest):
    assert [sample.key for sample in manifest.contributions.sample_data] == list(SAMPLES)


def test_every_command_is_there_once_and_each_of_ours_is_a_function_of_that_name(manifest):
    assert len(ids(manifest)) == len(set(ids(manifest)))
    ours = [c for c in manifest.contributions.commands if "commands:" in c.python_name]
    assert len(ours) == 21
    for command in ours:
        name = command.id.removeprefix("voxcam.")
        assert command.python_name == f"voxcam.plugin.commands:{name}"
        assert callable(getattr(commands, name))
        assert "VoxCAM" not in command.title, "napari puts it behind every title"


def test_the_room_is_docked_from_the_plugins_menu(manifest):
    (widget,) = manifest.contributions.widgets
    assert widget.command == "voxcam.room"


@pytest.mark.parametrize(
    ("menu", "commands"),
    [
        ("napari/layers/classify", ["open_room", "run", "hide", "hottest"]),
        ("napari/file/io_utilities", ["export_figure"]),
        ("napari/layers/visualize", ["planes", "depth"]),
    ],
)
def test_the_menus_hold_commands_that_are_there_in_order(manifest, menu, commands):
    items = manifest.contributions.menus[menu]
    assert [item.command for item in items] == [f"voxcam.{name}" for name in commands]
    assert {item.command for item in items} <= set(ids(manifest))
    orders = [float((item.group or "@0").partition("@")[2] or 0) for item in items]
    assert orders == sorted(orders)


def test_napari_lets_plugins_into_these_menus(manifest):
    menus = pytest.importorskip("napari._app_model.constants._menus")
    assert all(menus.is_menu_contributable(menu) for menu in manifest.contributions.menus)
