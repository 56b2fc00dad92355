"""What headers said at the last scan of a place, kept for the next one, for files unchanged since.

One file a place, in the user's own cache folder: names of folders and files are keyed hashes, the texts are
as given. ``VOXCAM_CACHE=off`` turns it off, ``VOXCAM_CACHE=DIR`` puts it elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import platformdirs

FORMAT = 1

_OPTION = "VOXCAM_CACHE"
_SUFFIX, _UNFINISHED = ".scan", ".part"
_SALT_BYTES = 32
_CHECK_BYTES = 32
_MOST_BYTES = 256 * 2**20
# What a file system's clock cannot tell apart: 2 s on FAT. A file written so shortly before a scan may be
# written again after it without its times showing it.
_TICK_NS = 2 * 10**9
_UNFINISHED_AFTER_S = 3600

# Size, times, inode and device. Where ctime is the time of creation (Windows), a change of content that keeps
# size and mtime is not seen.
_Stamp = tuple[int, int, int, int, int]
_Texts = dict[str, tuple[_Stamp, str]]


class HeaderCache:
    """The texts remembered of one place. Any failure means that nothing is remembered; none is raised."""

    def __init__(self, root: Path, version: str, file: Path | None, salt: bytes) -> None:
        self._version = version
        self._file = file
        self._salt = salt
        # Of a path, what follows the root is hashed: cut off as text, much faster than by `relative_to`.
        self._prefix = "" if root == Path() else str(root)
        self._begun_ns = time.time_ns()
        self._remembered: _Texts = {} if file is None else _loaded(file, salt, version)
        self._seen: _Texts = {}

    @classmethod
    def of(cls, root: Path, version: str) -> HeaderCache:
        """Return what is remembered of a place: nothing if it is new, damaged, or of another version.

        Parameters
        ----------
        root
            The place as it will be scanned: paths asked for begin with it. The scan begins now.
        version
            Of what writes and reads the texts.
        """
        with suppress(OSError, ValueError, RuntimeError):
            folder = _own_folder()
            if folder is not None:
                salt = _own_salt(folder)
                place = os.fsencode(os.path.realpath(root))
                return cls(root, version, folder / f"{_hashed(place, salt)}{_SUFFIX}", salt)
        return cls(root, version, None, b"")

    @property
    def keeps(self) -> bool:
        """Whether anything put here is remembered at all."""
        return self._file is not None

    def get(self, path: Path, status: os.stat_result) -> str | None:
        """Return the text remembered for a file, if nothing about it changed.

        Parameters
        ----------
        status
            Of the file now, links followed.
        """
        if not self._remembered:
            return None
        key = self._key(path)
        found = self._remembered.get(key)
        if found is None or found[0] != _stamp(status):
            return None
        self._seen[key] = found
        return found[1]

    def put(self, path: Path, status: os.stat_result, text: str) -> None:
        """Remember a text for a file, unless it was written so lately that it might change unseen.

        Parameters
        ----------
        status
            Of the file before it was read.
        """
        settled = max(status.st_mtime_ns, status.st_ctime_ns) <= self._begun_ns - _TICK_NS
        if settled and self._file is not None:
            self._seen[self._key(path)] = (_stamp(status), text)

    def save(self) -> None:
        """Keep what was got and put since the scan began, whole or not at all; other files are forgotten."""
        if self._file is None:
            return
        with suppress(OSError, ValueError):
            if self._seen != self._remembered:
                _land(self._file, _written(self._seen, self._salt, self._version))
            else:
                os.utime(self._file)  # used now
        with suppress(OSError):
            _trim(self._file.parent)

    def _key(self, path: Path) -> str:
        text = str(path)
        below = text[len(self._prefix) :] if text.startswith(self._prefix) else text
        return _hashed(os.fsencode(below.removeprefix(os.sep)), self._salt)


def _own_folder() -> Path | None:
    """Return the folder of the cache, for the user alone; None where it is turned off or not the user's."""
    chosen = os.environ.get(_OPTION, "")
    if chosen.lower() == "off":
        return None
    folder = Path(chosen or platformdirs.user_cache_dir("voxcam")) / "scans"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
        return None
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _own_salt(folder: Path) -> bytes:
    """Return the user's secret, without which no name can be tested against a hash; make it if need be."""
    file = folder / "salt"
    with suppress(FileNotFoundError):
        salt = file.read_bytes()
        if len(salt) == _SALT_BYTES:
            return salt
    # Of two processes that make one, the later wins: the other's places are new next time.
    _land(file, secrets.token_bytes(_SALT_BYTES))
    return file.read_bytes()


def _hashed(text: bytes, salt: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16, key=salt).hexdigest()


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _written(texts: _Texts, salt: bytes, version: str) -> bytes:
    """Return a checksum, a line of JSON that says whose texts follow and how long each is, and the texts."""
    rows = [[key, *stamp, len(text)] for key, (stamp, text) in texts.items()]
    head = json.dumps([FORMAT, version, rows], separators=(",", ":"))
    body = "".join([head, "\n", *(text for _, text in texts.values())]).encode(errors="surrogatepass")
    if len(body) > _MOST_BYTES:
        raise ValueError("more than the cache may take")
    return _checksum(body, salt) + body


def _loaded(file: Path, salt: bytes, version: str) -> _Texts:
    """Return the texts of a file as `_written` makes it; none if anything about it is not as it should be."""
    try:
        if file.stat().st_size > _MOST_BYTES + _CHECK_BYTES:
            return {}
        data = file.read_bytes()
        checksum, body = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        if not hmac.compare_digest(checksum, _checksum(body, salt)):
            return {}
        head, _, texts = body.decode(errors="surrogatepass").partition("\n")
        number, of_version, rows = json.loads(head)
        return _parted(rows, texts) if (number, of_version) == (FORMAT, version) else {}
    except (OSError, ValueError, TypeError, MemoryError):
        return {}


def _parted(rows: list[tuple[str, int, int, int, int, int, int]], texts: str) -> _Texts:
    parted: _Texts = {}
    at = 0
    for key, size, mtime, ctime, inode, device, length in rows:
        parted[key] = ((size, mtime, ctime, inode, device), texts[at : at + length])
        at += length
    return parted


def _checksum(body: bytes, salt: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, key=salt).digest()


def _land(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, for the user alone; after a loss of power the checksum tells."""
    handle, name = tempfile.mkstemp(suffix=_UNFINISHED, dir=file.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _trim(folder: Path) -> None:
    """Remove the places used longest ago until the rest is within the cap, and what was never finished."""
    places = []
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            status = file.stat()
            if file.suffix == _SUFFIX:
                places.append((status.st_mtime_ns, status.st_size, file))
            elif file.suffix == _UNFINISHED and status.st_mtime < time.time() - _UNFINISHED_AFTER_S:
                file.unlink()
    total = sum(size for _, size, _ in places)
    for _, size, file in sorted(places):
        if total <= _MOST_BYTES:
            return
        file.unlink(missing_ok=True)
        total -= size
