"""Files and folders that appear whole or not at all: write beside, fsync, rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the name `path` when the block ends well.

    Raises
    ------
    ExportError
        If `path` exists already, or its folder cannot be written.
    """
    target = Path(path)
    _free_name(target)
    with _writable():
        target.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last: writers choose their format by it.
        handle, name = tempfile.mkstemp(
            prefix=".landing-", suffix="".join(target.suffixes), dir=target.parent
        )
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            _sync(beside)
            beside.chmod(0o666 & ~_umask())
            _free_name(target)  # a rename would silently replace what came here meanwhile
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it takes the name `path` when the block ends well.

    Raises
    ------
    ExportError
        If `path` exists and is not an empty folder, or cannot be written.
    """
    target = Path(path)
    free_place(target)
    with _writable():
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".landing-", dir=target.parent))
        try:
            yield beside
            for file in beside.rglob("*"):
                _sync(file)
            beside.chmod(0o777 & ~_umask())
            if target.is_dir():
                target.rmdir()
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def free_place(path: str | Path) -> None:
    """Raise ExportError unless `path` can be written: nothing there, or an empty folder.

    Worth calling before long work too, so that the work is not done in vain.
    """
    target = Path(path)
    with _writable():
        empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if not empty:
        _free_name(target)
    with _writable():
        above = next(folder for folder in target.absolute().parents if folder.exists())
        with tempfile.TemporaryDirectory(prefix=".landing-", dir=above):
            pass


def _free_name(target: Path) -> None:
    with _writable():
        taken = target.exists() or target.is_symlink()
    if taken:
        raise ExportError("the output exists already and is left as it is: choose another place")


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ExportError(f"the output cannot be written there: {reason.lower()}") from error


def _sync(path: Path) -> None:
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
