"""A bundle in a zip archive: nothing is unpacked by name, and only the weights are written to disk.

Python's `zipfile` (before 3.12.2) does not see members that overlap; names are not asked where to go.
"""

from __future__ import annotations

import shutil
import stat
import struct
import tempfile
import unicodedata
import weakref
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from voxcam.errors import ClassifierError
from voxcam.model.bundle.files import FILES, BundleFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

# Caps on bytes that really come out, whatever the archive states.
UNPACKED_BYTES = 4 * 2**30
_SMALL_BYTES = 64 * 2**20
_RATIO = 200
_DIRECTORY_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**20

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES = 20
_HEADER = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x0041
METADATA = "configs/metadata.json"

# What `zipfile` raises on damaged archives.
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile)


class ArchiveFiles(BundleFiles):
    """The files of a bundle in an archive, at its top or in its only folder."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        members = _members(archive)
        top = _top([_name(member) for member in members])
        self._members = {
            _name(member).removeprefix(top): (number, member)
            for number, member in enumerate(members, start=1)
            if _name(member).startswith(top) and not member.is_dir()
        }
        self._left = min(UNPACKED_BYTES, max(_SMALL_BYTES, _RATIO * archive.stat().st_size))
        if sum(member.file_size for member in members) > self._left:
            raise ClassifierError("the archive unpacks to far more than it takes, as in a zip bomb")
        self._copies: dict[str, Path] = {}
        self._folder: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all files, sorted."""
        return tuple(sorted(self._members))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._members

    def lies_within(self, name: str) -> bool:
        """Whether a file lies in the bundle itself: links are refused before."""
        return name in self._members

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield what a member holds, within the caps."""
        number, member = self._members[name]
        left = self._left
        try:
            with zipfile.ZipFile(self._archive) as archive, archive.open(member) as stream:
                while block := stream.read(_BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise _refusal(number, "unpacks to far more than it takes, as in a zip bomb")
                    yield block
        except _UNREADABLE:
            raise _refusal(number, "is damaged or cannot be read: copy the archive again") from None

    def path(self, name: str) -> Path:
        """Return where a member can be opened: a copy, private and removed with this object.

        Asked for names of ours only, such as ``models/model.pt``: never for one out of the archive.
        """
        if name not in self._copies:
            copy = self._private_folder() / Path(name).name
            try:
                with copy.open("xb") as stream:
                    for block in self.blocks(name):
                        stream.write(block)
            except OSError as error:
                raise ClassifierError(f"the weights cannot be unpacked: {error.strerror}") from None
            self._copies[name] = copy
        return self._copies[name]

    def _private_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="voxcam-bundle-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by what it holds."""
    try:
        return zipfile.is_zipfile(path)
    except OSError:
        return False


def _members(path: Path) -> list[zipfile.ZipInfo]:
    """Return the members, every one checked; none is opened."""
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
            members = archive.infolist()
            _check_overlaps(members, stream, archive.start_dir)
    except _UNREADABLE:
        raise ClassifierError("the archive is damaged: copy it again, or unpack it first") from None
    met: set[str] = set()
    for number, member in enumerate(members, start=1):
        why = _why_not(member)
        key = unicodedata.normalize("NFC", _name(member)).casefold().rstrip("/")
        if why or key in met:
            raise _refusal(number, why or "has the name of another, or differs from it by case alone")
        met.add(key)
    return members


def _check_directory(path: Path) -> None:
    """Refuse a directory so long that listing it takes the memory, before `zipfile` reads it."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 2**16 - _END.size))
        tail = stream.read()
    at = max(0, tail.rfind(b"PK\x05\x06"))
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    wide = tail[max(0, at - _LOCATOR_BYTES - _END_64.size) : at]
    if wide.startswith(b"PK\x06\x06"):
        count, length = _END_64.unpack_from(wide)[7:9]
    if count > FILES or length > _DIRECTORY_BYTES:
        raise ClassifierError(f"the archive holds more than {FILES:,} files: it is no bundle")


def _check_overlaps(members: list[zipfile.ZipInfo], stream: BinaryIO, directory: int) -> None:
    """Refuse members that share bytes: they unpack to more than an archive can hold."""
    ordered = sorted(enumerate(members, start=1), key=lambda entry: entry[1].header_offset)
    begins = [member.header_offset for _, member in ordered] + [directory]
    for (number, member), (begin, next_begin) in zip(ordered, pairwise(begins), strict=True):
        if begin + _header_bytes(stream, begin) + member.compress_size > next_begin:
            raise _refusal(number, "overlaps what follows it, as in a zip bomb")


def _header_bytes(stream: BinaryIO, begin: int) -> int:
    stream.seek(begin)
    fields = _HEADER.unpack(stream.read(_HEADER.size))
    return _HEADER.size + int(fields[-2]) + int(fields[-1])


def _why_not(member: zipfile.ZipInfo) -> str:
    """Return why a member makes the archive one not to be read, or ""."""
    name = member.orig_filename
    parts = name.rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or any(c in name for c in "\\:\0"):
        return "has a name that leads out of the archive"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link, or no file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted: unpack the archive with its password first"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed by another method than deflate: unpack the archive first"
    return ""


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename


def _top(names: list[str]) -> str:
    """Return the folder of the bundle in the archive, with its slash; "" for the top."""
    tops = [
        name.removesuffix(METADATA)
        for name in names
        if name == METADATA or (name.endswith(f"/{METADATA}") and name.count("/") == 2)
    ]
    if len(tops) > 1:
        raise ClassifierError(f"expected one bundle in the archive, found {len(tops)}: give each its own")
    if not tops:
        raise ClassifierError(
            f"the archive is no MONAI bundle: it has no {METADATA}, at its top or in one folder"
        )
    return tops[0]


def _refusal(number: int, why: str) -> ClassifierError:
    return ClassifierError(f"member {number} of the bundle's archive {why}")
