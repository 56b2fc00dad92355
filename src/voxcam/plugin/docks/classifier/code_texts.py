"""The text of the code that lies in a model, to be read: bounded, never imported, never run."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voxcam.errors import VoxcamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_BYTES, MOST_FILES = 256 * 1024, 500
# What can be read: code first, then the configurations that call it.
_CODE = (".py", ".sh", ".ipynb")
_STATED = (".json", ".yaml", ".yml", ".conf", ".toml", ".txt", ".md")
# Programs that have no text.
_COMPILED = (".pyc", ".pyd", ".so", ".dll")


@dataclass(frozen=True)
class CodeText:
    """A file of a model by its name, and how its text is read."""

    name: str
    read: Callable[[], bytes | None]

    @property
    def text(self) -> str:
        """What stands in it, as far as it is shown."""
        if self.name.lower().endswith(_COMPILED):
            return "A compiled program: it has no text to read."
        try:
            found = self.read()
        except (OSError, VoxcamError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
            found = None
        if found is None:
            return "This file cannot be read."
        cut = "" if len(found) <= MOST_BYTES else f"\n\n[cut here: only {MOST_BYTES // 1024} KiB are shown]"
        return found[:MOST_BYTES].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}") + cut


def code_texts(place: Path | None) -> tuple[CodeText, ...]:
    """Return the files of a model that hold code or say what of it is called; code first, none of weights."""
    if place is None:
        return ()
    try:
        found = _of_folder(place) if place.is_dir() else _of_archive(place)
    except (OSError, VoxcamError, zipfile.BadZipFile, NotImplementedError):
        return ()
    return tuple(sorted(found, key=lambda one: (_rank(one.name), one.name))[:MOST_FILES])


def _of_folder(folder: Path) -> list[CodeText]:
    from voxcam.model.bundle.files import FolderFiles

    files = FolderFiles(folder)
    return [CodeText(name, partial(files.read, name, MOST_BYTES)) for name in files.names if _is_text(name)]


def _of_archive(archive: Path) -> list[CodeText]:
    """Return the code of a TorchScript program, which is a zip archive."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if _is_text(name)]

    def read(name: str) -> bytes:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as stream:
            return stream.read(MOST_BYTES + 1)

    return [CodeText(name, partial(read, name)) for name in names]


def _is_text(name: str) -> bool:
    return name.lower().endswith((*_CODE, *_COMPILED, *_STATED))


def _rank(name: str) -> int:
    kinds = (_CODE, _COMPILED, _STATED)
    return next(n for n, kind in enumerate(kinds) if name.lower().endswith(kind))
