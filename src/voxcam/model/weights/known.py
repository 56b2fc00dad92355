"""Which weights were seen under which name, and which code is trusted: a register in the user's own folder.

``VOXCAM_MODELS=DIR`` puts it elsewhere, ``VOXCAM_MODELS=off`` does without: no name is known then and no code
trusted.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from voxcam.errors import ChangedWeightsError, ClassifierError
from voxcam.model.weights.digests import plain_digest
from voxcam.model.weights.locking import locked
from voxcam.model.weights.refusals import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1

_OPTION = "VOXCAM_MODELS"
_FILE, _LOCK = "models.json", "models.lock"
_MOST_BYTES = 16 << 20


@dataclass
class Register:
    """What is remembered.

    Parameters
    ----------
    known
        Digests confirmed under each name, the newest last.
    trusted_code
        Digests of code that may run, wherever it lies and whatever it is called.
    """

    known: dict[str, list[str]] = field(default_factory=dict)
    trusted_code: list[str] = field(default_factory=list)


def check_known(name: str, digest: str, accept: str | None = None) -> None:
    """Remember the weights of a name at first sight; refuse others under it until they are confirmed.

    Parameters
    ----------
    name
        The name the model gives itself.
    digest, accept
        SHA-256 of the weights that were found, and of those the user confirms: 64 hexadecimal digits, with or
        without ``sha256:`` in front.

    Raises
    ------
    ClassifierError
        If the weights are not those seen before and not confirmed, or the register is damaged or cannot be
        written.
    """
    found = plain_digest(digest)
    confirmed = None if accept is None else plain_digest(accept)
    folder = _folder()
    if confirmed not in (None, found):
        raise ClassifierError(
            f"weights of {shown(name)!r} are not those confirmed: --accept-weights sha256:{confirmed}; "
            f"found sha256:{found}"
        )
    if folder is None or found in (seen := _read(folder).known.get(name, [])):
        return
    if seen and confirmed is None:
        raise _not_seen_before(name, seen[-1], found)
    with _changing(folder) as register:
        seen = register.known.setdefault(name, [])
        if seen and confirmed is None and found not in seen:  # another process came first
            raise _not_seen_before(name, seen[-1], found)
        if found not in seen:
            seen.append(found)


def is_trusted(digest: str) -> bool:
    """Tell whether code of this SHA-256 was trusted before.

    Raises
    ------
    ClassifierError
        If the register is damaged.
    """
    folder = _folder()
    return folder is not None and plain_digest(digest) in _read(folder).trusted_code


def trust(digest: str) -> None:
    """Remember that code of this SHA-256 may run, wherever it lies.

    Raises
    ------
    ClassifierError
        If the register is damaged or cannot be written.
    """
    folder, trusted = _folder(), plain_digest(digest)
    if folder is None or trusted in _read(folder).trusted_code:
        return
    with _changing(folder) as register:
        if trusted not in register.trusted_code:
            register.trusted_code.append(trusted)


def _not_seen_before(name: str, expected: str, found: str) -> ChangedWeightsError:
    return ChangedWeightsError(
        f"weights of {shown(name)!r} are not those seen before: expected sha256:{expected}, found "
        f"sha256:{found}; if that is meant, confirm with --accept-weights sha256:{found}",
        found,
    )


def _folder() -> Path | None:
    chosen = os.environ.get(_OPTION, "")
    if chosen.lower() == "off":
        return None
    return Path(chosen) if chosen else platformdirs.user_config_path("voxcam")


@contextmanager
def _changing(folder: Path) -> Iterator[Register]:
    """Give the register as it is now; it is written when the block ends well, no process coming between."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder / _LOCK):
            register = _read(folder)
            yield register
            _land(folder / _FILE, _written(register))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ClassifierError(
            f"the register of known models cannot be written ({reason}): give it a folder with "
            f"{_OPTION}=DIR, or do without by {_OPTION}=off"
        ) from None


def _read(folder: Path) -> Register:
    """Return the register, empty if there is none. A damaged one may hide a swap: it is never replaced."""
    try:
        with (folder / _FILE).open("rb") as file:
            _check_own(os.fstat(file.fileno()))
            text = file.read(_MOST_BYTES + 1)
        return _parsed(json.loads(text))
    except (FileNotFoundError, NotADirectoryError):
        return Register()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not as VoxCAM writes it"
        raise ClassifierError(
            f"the register of known models cannot be read ({str(why).lower()}): look at {_FILE} in VoxCAM's "
            "configuration folder; once you remove it, every model is new and no code is trusted"
        ) from None


def _check_own(status: os.stat_result) -> None:
    """Refuse a register that others could have written."""
    if hasattr(os, "geteuid") and (
        status.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(status.st_mode) & 0o022
    ):
        raise OSError(None, "others may write it: let only you, by chmod 600")


def _parsed(document: Any) -> Register:
    if document["format"] != FORMAT:
        raise ValueError
    known = {str(name): [_checked(each) for each in seen] for name, seen in document["known"].items()}
    return Register(known, [_checked(each) for each in document["trusted_code"]])


def _checked(text: str) -> str:
    try:
        return plain_digest(text)
    except ClassifierError:
        raise ValueError from None


def _written(register: Register) -> bytes:
    document = {
        "format": FORMAT,
        "known": {name: [f"sha256:{each}" for each in seen] for name, seen in register.known.items()},
        "trusted_code": [f"sha256:{each}" for each in register.trusted_code],
    }
    return json.dumps(document, indent=1).encode()


def _land(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, for the user alone."""
    handle, name = tempfile.mkstemp(suffix=".part", dir=file.parent)  # mode 0600
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
