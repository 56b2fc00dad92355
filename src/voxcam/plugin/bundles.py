"""The classifiers the room offers, and what their bundles say; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.errors import ReadError, VoxcamError
from voxcam.samples import MODELS, model_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def demo_bundles() -> dict[str, Path]:
    """Return title and folder of the demo classifiers this installation has."""
    found = {}
    for name, title in MODELS.items():
        try:
            found[title] = model_path(name)
        except ReadError:
            continue
    return found


def bundle_words(bundle: Path | None) -> tuple[str, str]:
    """Return what a bundle says of itself in one line, and what is wrong with it; either may be ""."""
    from voxcam.model.bundle import read_bundle

    if bundle is None:
        return "", ""
    try:
        read = read_bundle(bundle)
    except VoxcamError as error:
        return "", str(error)
    formats = read.metadata.get("network_data_format", {})
    inputs, outputs = (_only(formats.get(side)) for side in ("inputs", "outputs"))
    classes = outputs.get("channel_def", {})
    words = [f"{len(classes)} classes"] if isinstance(classes, dict) and classes else []
    words += [str(inputs["modality"])] if inputs.get("modality") else []
    words += [f"version {read.version}"] if read.version else []
    return ", ".join(words), ""


def preferred_device(known: Sequence[str]) -> str:
    """Return the device of the plugin's preferences, "auto" if there is none."""
    try:
        from napari.settings import get_plugin_settings

        device = str(get_plugin_settings("voxcam").inference.device)
    except (ImportError, AttributeError, KeyError):  # napari before 0.9, or VoxCAM not installed as a plugin
        return "auto"
    return device if device in known else "auto"


def _only(formats: object) -> dict[str, object]:
    """Return the single entry of a bundle's inputs or outputs."""
    entries = list(formats.values()) if isinstance(formats, dict) else []
    return entries[0] if entries and isinstance(entries[0], dict) else {}
