"""A bundle's files, in a folder or in a zip archive."""

from __future__ import annotations

import hashlib
import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = 10_000
_BLOCK_BYTES = 2**20


class BundleFiles(ABC):
    """The files below a bundle's top, by names such as ``configs/inference.json``."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all files, sorted."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def lies_within(self, name: str) -> bool:
        """Whether a file lies in the bundle itself, and is no link out of it."""

    @abstractmethod
    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield what a file holds."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return where a file can be opened."""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a file, cut where it is one byte longer than `limit`; None if there is none."""
        if not self.has(name):
            return None
        data = b""
        for block in self.blocks(name):
            data += block
            if len(data) > limit:
                return data[: limit + 1]
        return data

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        digest = hashlib.sha256()
        for block in self.blocks(name):
            digest.update(block)
        return digest.hexdigest()

    def code_digest(self) -> str:
        """Return one SHA-256 over the names and contents of all files.

        That of the lines ``<SHA-256 of the file>  <name>``, in the order of names: what
        ``find . -type f | LC_ALL=C sort | xargs sha256sum`` prints, less the ``./``.
        """
        lines = [f"{self.sha256(name)}  {name}\n" for name in sorted(self.names, key=os.fsencode)]
        return hashlib.sha256(b"".join(map(os.fsencode, lines))).hexdigest()


class FolderFiles(BundleFiles):
    """The files of a folder.

    A link to a file is the file it leads to, as in the caches that models are downloaded to; a link to
    a folder is refused.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all files, sorted.

        Raises
        ------
        ClassifierError
            There are too many, or one is a link to a folder, or no file.
        """
        return tuple(sorted(_walked(self._folder, PurePosixPath())))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            return self.path(name).is_file()
        except OSError as error:
            raise ClassifierError(f"{name} of the bundle cannot be read: {error.strerror}") from None

    def lies_within(self, name: str) -> bool:
        """Whether a file lies in the folder itself, and is no link out of it."""
        try:
            return self.path(name).resolve().is_relative_to(self._folder.resolve())
        except (OSError, RuntimeError):
            return False

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield what a file holds."""
        try:
            with self.path(name).open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    yield block
        except OSError as error:
            raise ClassifierError(f"{name} of the bundle cannot be read: {error.strerror}") from None

    def path(self, name: str) -> Path:
        """Return where a file lies."""
        return self._folder / name


def _walked(folder: Path, below: PurePosixPath) -> Iterator[str]:
    """Yield the names of the files in a folder and all below it."""
    count = 0
    waiting = [below]
    while waiting:
        here = waiting.pop()
        for entry in _listed(folder / here):
            count += 1
            if count > FILES:
                raise ClassifierError(f"the folder holds more than {FILES:,} files: it is no bundle")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(here / entry.name)
            elif _is_file(entry):
                yield str(here / entry.name)
            else:
                raise ClassifierError(
                    f"the bundle holds a link to a folder or to nothing, or a device, below "
                    f"{here.parts[0] if here.parts else 'its top'!r}: replace it by what it stands for"
                )


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ClassifierError(f"a folder of the bundle cannot be read: {error.strerror}") from None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False
