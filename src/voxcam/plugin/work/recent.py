"""The models that were chosen last: where they lie, in a file in the user's own folder. Never a study.

``VOXCAM_MODELS=DIR`` puts it elsewhere, ``VOXCAM_MODELS=off`` remembers nothing. The list is a convenience:
where it cannot be read it is empty, where it cannot be written nothing is said.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 12

_OPTION, _FILE, _FORMAT = "VOXCAM_MODELS", "recent_models.json", 1
_MOST_BYTES = 1 << 20


def recent() -> tuple[Path, ...]:
    """Return the models chosen last, the newest first; whether they are still there is not looked at."""
    folder = _folder()
    if folder is None:
        return ()
    try:
        with (folder / _FILE).open("rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
        return _models(document) if document["format"] == _FORMAT else ()
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()


def remember(model: Path) -> tuple[Path, ...]:
    """Put a model at the head of the list, and return it."""
    place = _plain(model)
    return _write((place, *(other for other in recent() if other != place)))


def forget(model: Path) -> tuple[Path, ...]:
    """Take a model off the list, and return it; the model itself stays where it is."""
    place = _plain(model)
    return _write(other for other in recent() if other != place)


def _plain(model: Path) -> Path:
    # Not resolved: a link keeps the name by which its owner knows it.
    return Path(os.path.abspath(model))  # noqa: PTH100 - Path.absolute keeps "..", which would list it twice


def _models(document: dict[str, object]) -> tuple[Path, ...]:
    models = document["models"]
    if not isinstance(models, list):
        raise TypeError
    places = [Path(model) for model in models if isinstance(model, str) and Path(model).is_absolute()]
    return tuple(dict.fromkeys(places))[:MOST]


def _write(models: Iterable[Path]) -> tuple[Path, ...]:
    """Write the list whole or not at all, for the user alone."""
    folder, kept = _folder(), tuple(models)[:MOST]
    if folder is None:
        return ()
    document = {"format": _FORMAT, "models": [str(model) for model in kept]}
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=folder)  # mode 0600
        beside = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(folder / _FILE)
        finally:
            beside.unlink(missing_ok=True)
    return kept


def _folder() -> Path | None:
    chosen = os.environ.get(_OPTION, "")
    if chosen.lower() == "off":
        return None
    return Path(chosen) if chosen else platformdirs.user_config_path("voxcam")
