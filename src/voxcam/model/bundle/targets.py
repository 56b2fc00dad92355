"""The class a section names, if it is one we know."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle.documents import in_short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SHOWN = 3


def target_of(section: Any, allowed: Collection[str], what: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of a ``_target_`` section, if the name is on the list.

    Parameters
    ----------
    section
        As `Bundle.section` returns it.
    allowed
        Names without their module: ``DenseNet``, not ``monai.networks.nets.DenseNet``.
    what
        What it should be, for the message: "network", "transform", ...

    Raises
    ------
    UntrustedCodeError
        If the name is not on the list, or of a module outside MONAI: importing it could run anything.
    ClassifierError
        If it is no such section.
    """
    where = getattr(section, "where", "") or "inference.json"
    if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
        raise ClassifierError(
            f"{where}: expected a {what} with a '_target_', found {in_short(str(section))!r}"
        )
    target = section["_target_"]
    name = target.rpartition(".")[2]
    if name not in allowed or not is_of_monai(target):
        raise UntrustedCodeError(
            f"{where}: {what} {in_short(target)!r} is not one VoxCAM knows to be safe; "
            f"{_nearest(name, allowed)}"
        )
    return name, {key: value for key, value in section.items() if key != "_target_"}


def is_of_monai(target: str) -> bool:
    """Whether a target has no module, which MONAI looks up in itself, or one of MONAI's."""
    return "." not in target or target.startswith("monai.")


def foreign_targets(section: Any) -> Iterator[tuple[tuple[str, int, str], str]]:
    """Yield (file, line, place) and target of every object in a section that is of a module outside MONAI."""
    if isinstance(section, dict):
        target = section.get("_target_")
        if isinstance(target, str) and not is_of_monai(target):
            yield getattr(section, "at", ("", 0, "")), target
        for value in section.values():
            yield from foreign_targets(value)
    elif isinstance(section, list | tuple):
        for value in section:
            yield from foreign_targets(value)


def _nearest(name: str, allowed: Collection[str]) -> str:
    near = get_close_matches(name, allowed, n=_SHOWN, cutoff=0.6)
    if near:
        return f"the nearest it knows: {', '.join(near)}"
    some = sorted(allowed)[:_SHOWN]
    rest = f" and {len(allowed) - len(some)} more" if len(allowed) > len(some) else ""
    return f"it knows {', '.join(some)}{rest}"
