"""The classifiers the room offers, and what their bundles say; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.errors import ReadError, VoxcamError
from voxcam.samples import MODELS, model_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.model.statement import Statement


def demo_bundles() -> dict[str, Path]:
    """Return title and folder of the demo classifiers this installation has."""
    found = {}
    for name, title in MODELS.items():
        try:
            found[title] = model_path(name)
        except ReadError:
            continue
    return found


def bundle_words(model: Path | None) -> tuple[str, str]:
    """Return what a model says of itself in one line, and what is wrong with it; either may be "".

    Weights are not read, nor is an archive unpacked: that is for the run, off the window's thread.
    """
    if model is None:
        return "", ""
    try:
        return (_folder_words(model), "") if not model.is_file() else (_file_words(model), "")
    except VoxcamError as error:
        return "", str(error)


def _folder_words(bundle: Path) -> str:
    from voxcam.model.bundle import read_bundle
    from voxcam.model.statement import read_statement
    from voxcam.model.statement.beside import read_beside

    return _words(read_statement(read_bundle(bundle).metadata, None, read_beside(bundle).stated))


def _file_words(file: Path) -> str:
    from voxcam.model.statement import read_statement
    from voxcam.model.statement.beside import read_beside

    words = _words(read_statement({}, None, read_beside(file).stated))
    kind = {".zip": "zipped bundle", ".ts": "TorchScript"}.get(file.suffix.lower(), "weights")
    return ", ".join(filter(None, [kind, words]))


def _words(statement: Statement) -> str:
    count = len(statement.classes)
    words = [f"{count} class{'es' * (count != 1)}" if count else "", statement.modality]
    words += [f"version {statement.version}" if statement.version else ""]
    return ", ".join(filter(None, words))


def preferred_device(known: Sequence[str]) -> str:
    """Return the device of the plugin's preferences, "auto" if there is none."""
    try:
        from napari.settings import get_plugin_settings

        device = str(get_plugin_settings("voxcam").inference.device)
    except (ImportError, AttributeError, KeyError):  # napari before 0.9, or VoxCAM not installed as a plugin
        return "auto"
    return device if device in known else "auto"
