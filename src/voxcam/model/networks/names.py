"""Which network a section names: one of the catalogue, or a line that says why not."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import Section
from voxcam.model.networks.catalogue import ALIASES, CATALOGUE, NETWORKS
from voxcam.model.networks.refused import REFUSED


def named_network(section: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of a ``_target_`` section.

    Raises
    ------
    UntrustedCodeError
        If it names nothing of the catalogue: importing it could run anything.
    ClassifierError
        If it is no such section, or names a network of MONAI that is no classifier.
    """
    where = f"{section.where}: " if isinstance(section, Section) and section.where else ""
    if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
        found = f"{section[:60]!r}" if isinstance(section, str) else f"a {type(section).__name__} without"
        raise ClassifierError(f"{where}expected a network with a '_target_' in inference.json, found {found}")
    arguments = {key: value for key, value in section.items() if key != "_target_"}
    return known_network(section["_target_"], where), arguments


def known_network(target: str, where: str = "") -> str:
    """Return the name in ``"DenseNet121"`` or ``"monai.networks.nets.DenseNet121"``; raises as above."""
    module, _, name = target.rpartition(".")
    is_of_monai = not module or module.startswith("monai.")
    if is_of_monai and name in REFUSED:
        raise ClassifierError(f"{where}network {name} cannot serve as a classifier: it {REFUSED[name]}")
    if not is_of_monai or name not in NETWORKS:
        raise UntrustedCodeError(
            f"{where}network {target[:80]!r} is not one VoxCAM knows to be safe; {_nearest(name)}"
        )
    return name


def _nearest(name: str) -> str:
    near = get_close_matches(name[:80], CATALOGUE, n=3) or get_close_matches(name[:80], ALIASES, n=1)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "docs/networks.md lists the names"
