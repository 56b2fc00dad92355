"""Trust in a model's code, by its digest alone: never by its path or name."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import Need, read_bundle
from voxcam.model.trusted.evaluating import evaluated_parts
from voxcam.model.trusted.trying import try_in_child
from voxcam.model.weights import digest, trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voxcam.model.assembly import Parts


def trusted_parts(place: Path, trusted: bool | str, cancelled: Callable[[], bool] | None = None) -> Parts:
    """Return the parts of a model, its code run: first in a child process, which may hang, then here.

    Parameters
    ----------
    trusted
        "sha256:..." of the model, as `code_digest` gives it. It is remembered when all went well.
    cancelled
        Asked while the child works; True ends it.

    Raises
    ------
    UntrustedCodeError
        If that is not the digest of what lies there.
    ClassifierError
        If its code fails, takes too long or too much, or does not make a classifier.
    Cancelled
        If `cancelled` returned True.
    """
    found = code_digest(place)
    if trusted is True:
        raise UntrustedCodeError(
            f"whoever trusts code says which: read what would run (`voxcam model`), then trust sha256:{found}"
        )
    if str(trusted).removeprefix("sha256:").lower() != found:
        raise UntrustedCodeError(
            f"the code trusted is {str(trusted)[:80]}, what lies here is sha256:{found}: "
            "it changed since, or it is another model"
        )
    try_in_child(place, cancelled)
    if code_digest(place) != found:
        raise UntrustedCodeError("the model changed while it was tried: it is not what was trusted")
    parts = evaluated_parts(place)
    trust(found)
    return parts


def code_digest(place: Path) -> str:
    """Return the SHA-256 of all that could run: of every file of a bundle, or of a file alone.

    Raises
    ------
    ClassifierError
        If there is nothing, or an archive: its files cannot run where they lie.
    """
    if place.is_dir():
        return read_bundle(place).code_digest()
    if place.suffix.lower() == ".zip":
        raise ClassifierError("code of an archive is not run: unpack it, look at it, and trust the folder")
    return digest(place)


@dataclass(frozen=True)
class Code:
    """What a model would run, for a person to read before it is trusted.

    Parameters
    ----------
    name
        What the model calls itself; a file's name.
    digest
        SHA-256 of all that could run: what is trusted.
    would_run
        What only running it could tell, place by place.
    also_holds
        Other code that lies in it, in words.
    """

    name: str
    digest: str
    would_run: tuple[Need, ...]
    also_holds: tuple[str, ...]


def can_be_trusted(place: Path) -> bool:
    """Whether there is code that a person could let run: a bundle's folder, or TorchScript.

    A pickled network is not: unpickling it is all that could be done, and that is never done.
    """
    if place.is_dir():
        return True
    try:
        with zipfile.ZipFile(place) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    return any(n.endswith("/constants.pkl") for n in names) and any("/code/" in n for n in names)


def code_of(place: Path) -> Code | None:
    """Return what a model would run; None where there is nothing that could be trusted.

    Raises
    ------
    ClassifierError
        If there is no model.
    """
    if not can_be_trusted(place):
        return None
    if place.is_dir():
        bundle = read_bundle(place)
        return Code(bundle.name, bundle.code_digest(), bundle.would_run, bundle.also_holds)
    script = Need(place.name, 0, "", "TorchScript: its code runs when it is loaded", "")
    return Code(place.name, digest(place), (script,), ())
