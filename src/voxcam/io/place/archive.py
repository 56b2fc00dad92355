"""Zip archives of studies, unpacked under names of our own and within caps: nothing they say is trusted.

Names of members are never used as paths; they only say which files lay in one folder, and which share a
stem (``.hdr`` and ``.img``). A header that names its data file (``.mhd``, ``.nhdr``) does not find it again,
and is refused by its reader.
"""

from __future__ import annotations

import shutil
import stat
import zlib
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, BinaryIO

from voxcam.errors import ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.place.caps import Caps, how_to_raise
from voxcam.io.place.zip_directory import UnreadableArchiveError, members
from voxcam.io.place.zip_member import SpoiltError, blocks, is_folder, own_names, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voxcam.io.place.zip_directory import Member
    from voxcam.io.study import Progress

__all__ = ["Caps", "is_archive", "unpack"]

_CANNOT_READ = "the archive cannot be opened or read: check that it is still there and may be read"
# An empty mask packs 1000:1; what is small harms nobody at any ratio.
_HARMLESS_BYTES = 64 * 2**20
_KEPT_FREE_BYTES = 2**30
_CHECK_EVERY_BYTES = 64 * 2**20


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with `head` looks like a zip archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def unpack(
    archive: Path, folder: Path, progress: Progress | None = None, caps: Caps | None = None
) -> tuple[list[Path], list[LeftOut]]:
    """Write the members of a zip archive to `folder`, under numbers for names.

    Files of one folder of the archive stay in one folder, in the order of their names. Each member that is
    no folder is one of the paths or one of those left out; an archive within it stands for its members.
    When it is refused as a whole, or cancelled, nothing of it stays in `folder`.

    Parameters
    ----------
    folder
        Private to the caller, who removes it in the end.
    progress
        Called with (done, total) members; may raise `voxcam.errors.Cancelled` to stop.
    caps
        None: the usual, or what the environment sets.

    Raises
    ------
    ReadError
        It is no zip archive that can be read, lies about itself, unpacks to more than the caps, or the disk
        has no room for it.
    """
    caps = caps or Caps.of_environment()
    unpacking = _Unpacking(_new_folder(folder), caps, progress)
    try:
        unpacking.outermost(archive)
    except BaseException:
        shutil.rmtree(unpacking.folder, ignore_errors=True)
        raise
    return sorted(unpacking.files), unpacking.left_out


class _Unpacking:
    """What was unpacked so far, and what may still be."""

    def __init__(self, folder: Path, caps: Caps, progress: Progress | None) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self.left_out: list[LeftOut] = []
        self._caps = caps
        self._progress = progress
        self._most_bytes = 0
        self._members = 0
        self._bytes = 0
        self._done = 0
        self._total = 0

    def outermost(self, archive: Path) -> None:
        with _opened(archive) as (stream, size, _):
            self._most_bytes = max(self._caps.ratio * size, _HARMLESS_BYTES)
            listed = self._files(stream)
            self._total = len(listed)
            for member, target in self._placed(listed, self.folder):
                self._take(stream, member, target, (member.number,))
                self._done += 1
                self._tell()

    def _nested(self, archive: Path, place: tuple[int, ...]) -> None:
        with _opened(archive) as (stream, _, _):
            listed = self._files(stream)
            if not listed:
                self.left_out.append(LeftOut("archive (zip) with no files in it"))
            for member, target in self._placed(listed, archive.with_name(f"{archive.name}.members")):
                self._take(stream, member, target, (*place, member.number))

    def _files(self, stream: BinaryIO) -> list[Member]:
        try:
            listed = members(stream, self._admit)
        except OSError:
            raise UnreadableArchiveError(_CANNOT_READ) from None
        return [member for member in listed if not is_folder(member)]

    def _admit(self) -> None:
        self._members += 1
        if self._members > self._caps.members:
            raise ReadError(
                f"the archive has more than {self._caps.members} members{how_to_raise('members')}"
            )

    def _placed(self, listed: list[Member], folder: Path) -> Iterator[tuple[Member, Path]]:
        """Return each member with its place, once there is room for all of them."""
        stated = sum(member.size for member in listed if not member.fault and why_not(member) is None)
        self._refuse_beyond_caps(self._bytes + stated)
        _refuse_full_disk(self.folder, stated)
        for member, name in zip(listed, own_names(listed), strict=True):
            yield member, folder / name

    def _take(self, stream: BinaryIO, member: Member, target: Path, place: tuple[int, ...]) -> None:
        left_out = why_not(member)
        if left_out is None:
            try:
                self._write(stream, member, target)
            except SpoiltError as spoilt:
                with _writing():
                    target.unlink(missing_ok=True)
                left_out = LeftOut(f"{_named(place)} of an archive {spoilt}", refused=True)
            else:
                self._keep(target, place)
        if left_out is not None:
            self.left_out.append(left_out)

    def _write(self, stream: BinaryIO, member: Member, target: Path) -> None:
        """Write a member; the caps count what comes, not what is stated."""
        if member.fault:
            raise SpoiltError(member.fault)
        size = crc = 0
        with _created(target) as file:
            for block in blocks(stream, member):
                size += len(block)
                if size > member.size:
                    raise SpoiltError("holds more bytes than stated")
                crc = zlib.crc32(block, crc)
                self._count(len(block))
                with _writing():
                    file.write(block)
        if size != member.size:
            raise SpoiltError("holds fewer bytes than stated")
        if crc != member.crc:
            raise SpoiltError("is damaged: its checksum is wrong")

    def _count(self, size: int) -> None:
        before = self._bytes // _CHECK_EVERY_BYTES
        self._bytes += size
        self._refuse_beyond_caps(self._bytes)
        if self._bytes // _CHECK_EVERY_BYTES > before:
            _refuse_full_disk(self.folder, 0)
            self._tell()

    def _refuse_beyond_caps(self, size: int) -> None:
        if size > self._caps.total_bytes:
            most = f"{self._caps.total_bytes / 2**30:.3g} GiB"
            raise ReadError(f"the archive unpacks to more than {most}{how_to_raise('total_bytes')}")
        if size > self._most_bytes:
            raise ReadError(
                f"the archive unpacks to more than {self._caps.ratio} times its size, as a zip bomb does"
                f"{how_to_raise('ratio')}"
            )

    def _keep(self, path: Path, place: tuple[int, ...]) -> None:
        """Take a written file as it is, or open it where it is an archive itself."""
        with _opened(path) as (_, _, head):
            pass
        if not is_archive(head):
            self.files.append(path)
            return
        if len(place) > self._caps.nesting:
            deep = f"archive (zip) more than {self._caps.nesting} deep in another: unpack it first"
            self.left_out.append(LeftOut(deep, refused=True))
        else:
            try:
                self._nested(path, place)
            except UnreadableArchiveError:
                damaged = f"{_named(place)} of an archive is an archive itself, and damaged"
                self.left_out.append(LeftOut(damaged, refused=True))
        with _writing():
            path.unlink()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int, bytes]]:
    """Give a file to read, its size and its first bytes."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ReadError("expected a zip archive, found something that is no file")
        stream = path.open("rb")
        head, size = stream.read(4), stream.seek(0, 2)
    except (OSError, ValueError):
        raise UnreadableArchiveError(_CANNOT_READ) from None
    with stream:
        yield stream, size, head


def _new_folder(folder: Path) -> Path:
    with _writing():
        for number in count(1):
            with suppress(FileExistsError):
                new = folder / f"{number:06d}"
                new.mkdir(mode=0o700)
                return new
    raise AssertionError("count has no end")


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    """Give a new file to write; it must not be there yet."""
    with _writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    try:
        yield file
        with _writing():
            file.close()
    finally:
        with suppress(OSError):
            file.close()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ReadError(f"the archive cannot be unpacked, the temporary folder gives: {reason}") from None


def _refuse_full_disk(folder: Path, size: int) -> None:
    with _writing():
        free = shutil.disk_usage(folder).free
    if free - size < _KEPT_FREE_BYTES:
        raise ReadError(
            f"expected {(size + _KEPT_FREE_BYTES) / 2**30:.3g} GiB free to unpack the archive, found "
            f"{free / 2**30:.3g} GiB: free some, or let the environment variable TMPDIR name another disk"
        )


def _named(place: tuple[int, ...]) -> str:
    return f"member {'.'.join(str(number) for number in place)}"
