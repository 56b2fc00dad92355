"""MONAI's ids: ``@section::key::0`` refers, ``%file.json::key`` copies, ``@::`` and ``%##`` count upwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError
from voxcam.model.bundle.documents import in_short, place_of
from voxcam.model.bundle.expression_syntax import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.bundle.documents import Document, Path_

_FILE = re.compile(r"(.*\.(?:json|yaml|yml))(?:::(.*))?", re.IGNORECASE | re.DOTALL)
_UPWARDS = re.compile(r"(?:::)+")
_META = "_meta_"


@dataclass(frozen=True, eq=False)
class Spot:
    """A value of a document, where it is written."""

    document: Document
    path: Path_
    value: Any

    @property
    def where(self) -> str:
        """File, line and place."""
        return self.document.where(self.path)

    @property
    def at(self) -> tuple[str, int, str]:
        """File, line and place, apart."""
        return self.document.name, self.document.line(self.path), place_of(self.path)

    def below(self, key: str | int) -> Spot:
        """Return the entry of the dict or list that the value is."""
        return Spot(self.document, (*self.path, key), self.value[key])


class LeavesBundleError(Exception):
    """A macro names a file that is not one of the bundle's configurations."""


@dataclass(frozen=True, eq=False)
class Sources:
    """The documents that ids lead into.

    Parameters
    ----------
    main, metadata
        The configuration, and ``metadata.json``, which is ``@_meta_``.
    other
        Returns another file of ``configs`` by its name, None if there is none.
    """

    main: Document
    metadata: Document
    other: Callable[[str], Document | None]

    def spot(self, id_: str, asking: Spot | None = None) -> Spot:
        """Return where a reference leads.

        Raises
        ------
        ClassifierError
            Nowhere.
        """
        if asking is not None and asking.document is not self.main and _UPWARDS.match(_joined(id_)):
            raise ClassifierError(f"{asking.where}: @{in_short(id_)} counts upwards from within another file")
        parts = _absolute(id_, asking)
        if parts[0] == _META and _META not in self.main.content:
            return self._walked(self.metadata, parts[1:], asking, f"@{id_}")
        return self._walked(self.main, parts, asking, f"@{id_}")

    def macro(self, text: str, asking: Spot) -> Spot:
        """Return where a macro leads: into its own document, or another file of ``configs``.

        Raises
        ------
        LeavesBundleError
            It names another file.
        ClassifierError
            It leads nowhere.
        """
        found = _FILE.fullmatch(_joined(text))
        if found is None:
            if re.search(r"[/\\]", text):
                raise LeavesBundleError
            return self._walked(asking.document, _absolute(text, asking), asking, f"%{text}")
        document = self.other(_config_name(found[1]))
        if document is None:
            raise ClassifierError(
                f"{asking.where} copies from {in_short(found[1])!r}, which is not in configs"
            )
        return self._walked(document, found[2].split("::") if found[2] else [], asking, f"%{text}")

    def _walked(self, document: Document, parts: list[str], asking: Spot | None, id_: str) -> Spot:
        spot = Spot(document, (), document.content)
        for part in parts:
            if isinstance(spot.value, str) and spot.value.startswith("%"):
                spot = self.macro(spot.value[1:], spot)
            key = _key(spot.value, part)
            if key is None:
                by = asking.where if asking else document.name
                raise ClassifierError(f"{by} refers to {in_short(id_)}, which is not in {document.name}")
            spot = spot.below(key)
        return spot


def is_reference(text: str) -> bool:
    """Whether a text is nothing but a reference."""
    return REFERENCE.fullmatch(text) is not None


def referred(text: str) -> set[str]:
    """Return the first parts of all ids that a value's text refers to; "" for one that counts upwards."""
    ids = [found[1:] for found in REFERENCE.findall(text)] if text[:1] in ("@", "$") else []
    if text.startswith("%"):
        ids.append(text[1:])
    return {_joined(id_).partition("::")[0] for id_ in ids}


def _joined(id_: str) -> str:
    """Return an id with the separator of today; MONAI once wrote "#"."""
    return id_.replace("#", "::")


def _absolute(id_: str, asking: Spot | None) -> list[str]:
    """Return the keys of an id, from the top of the document."""
    joined = _joined(id_)
    upwards = _UPWARDS.match(joined)
    if upwards is None or asking is None:
        return joined.split("::")
    levels = len(upwards[0]) // 2
    if levels > len(asking.path):
        raise ClassifierError(f"{asking.where}: @{in_short(id_)} counts upwards beyond the top of the file")
    above = [str(part) for part in asking.path[: len(asking.path) - levels]]
    return [*above, *joined[upwards.end() :].split("::")]


def _key(value: Any, part: str) -> str | int | None:
    """Return the key of `value` that an id's part names, None if there is none."""
    if isinstance(value, dict):
        keys: tuple[str | int, ...] = (part, *_whole(part))
        return next((key for key in keys if key in value), None)
    if isinstance(value, list):
        return next((n for n in _whole(part) if -len(value) <= n < len(value)), None)
    return None


def _whole(part: str) -> tuple[int, ...]:
    return (int(part),) if re.fullmatch(r"-?\d{1,9}", part, re.ASCII) else ()


def _config_name(path: str) -> str:
    """Return the name in ``configs`` of a macro's path: MONAI opens it from where it was started."""
    parts = [part for part in path.split("/") if part != "."]
    if parts[:1] == ["configs"]:
        parts = parts[1:]
    if (
        len(parts) != 1
        or parts[0] in ("", "..")
        or re.search(r"[\\:]", parts[0])
        or not parts[0].isprintable()
    ):
        raise LeavesBundleError
    return parts[0]
