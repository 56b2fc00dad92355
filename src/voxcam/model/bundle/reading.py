"""A MONAI bundle read as data: nothing that came with it runs.

MONAI's own loader imports whatever ``_target_`` names and evaluates every ``$`` expression
(GHSA-873f-pvrv-4x83 added a warning only). Here the configuration is plain JSON: references
(``@key``) are followed, names are looked up in lists of ours, anything else is refused with the
place that needs it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcam.errors import ClassifierError, UntrustedCodeError

CONFIG_LIMIT_BYTES = 10_000_000
SECTIONS = ("network_def", "preprocessing", "inferer", "postprocessing")
WEIGHTS = ("model.safetensors", "model.pt")


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a bundle's files say.

    Parameters
    ----------
    folder
        Where it lies.
    metadata
        ``configs/metadata.json``.
    config
        ``configs/inference.json``, references unresolved.
    weights
        ``models/model.safetensors`` or ``models/model.pt``.
    """

    folder: Path
    metadata: dict[str, Any]
    config: dict[str, Any]
    weights: Path

    @property
    def name(self) -> str:
        """The name it gives itself."""
        return str(self.metadata.get("name") or "unnamed")

    @property
    def version(self) -> str:
        """The version it gives itself, or ""."""
        return str(self.metadata.get("version", ""))

    @property
    def stated(self) -> dict[str, Any]:
        """What it states for VoxCAM beyond MONAI's schema: ``metadata.json``, key "voxcam"."""
        stated = self.metadata.get("voxcam", {})
        return stated if isinstance(stated, dict) else {}

    def section(self, key: str) -> Any:
        """Return a section of the configuration with references followed; None if there is none.

        Raises
        ------
        UntrustedCodeError
            If it holds an expression (``$``), which only running it could resolve.
        ClassifierError
            If a reference leads nowhere or in a circle.
        """
        return self._resolved(self.config[key], key, ()) if key in self.config else None

    @property
    def unused(self) -> tuple[str, ...]:
        """Sections of the configuration that are neither read nor run, nor referred to by one that is."""
        read: set[str] = set()
        waiting = [key for key in SECTIONS if key in self.config]
        while waiting:
            key = waiting.pop()
            if key not in read:
                read.add(key)
                text = json.dumps(self.config[key])
                waiting += [other for other in self.config if f'"@{other}' in text]
        return tuple(key for key in self.config if key not in read)

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of the weights and of both configuration files, and "fingerprint" over them."""
        parts = {
            "weights": self.weights,
            "config": self.folder / "configs" / "inference.json",
            "metadata": self.folder / "configs" / "metadata.json",
        }
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in parts.items()}
        joined = "\n".join(f"{name} {digest}" for name, digest in digests.items())
        return digests | {"fingerprint": hashlib.sha256(joined.encode()).hexdigest()}

    def _resolved(self, value: Any, place: str, seen: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            self._refuse_directives(value, place)
            return {key: self._resolved(v, f"{place}::{key}", seen) for key, v in value.items()}
        if isinstance(value, list):
            return [self._resolved(v, f"{place}::{n}", seen) for n, v in enumerate(value)]
        if isinstance(value, str) and value[:1] in "$%" and value:
            what = "an expression" if value[0] == "$" else "a macro"
            raise UntrustedCodeError(
                f"bundle {self.name!r} would run code: {place} is {what} ({value[:60]!r}); "
                "VoxCAM reads bundles without running them: write the value out in inference.json"
            )
        if isinstance(value, str) and value.startswith("@"):
            return self._followed(value[1:], place, seen)
        return value

    def _refuse_directives(self, value: dict[str, Any], place: str) -> None:
        for key in ("_requires_", "_mode_", "_wrapper_", "_desc_call_"):
            if key in value:
                raise UntrustedCodeError(
                    f"bundle {self.name!r} would run code: {place} has {key!r}; remove it from inference.json"
                )

    def _followed(self, reference: str, place: str, seen: tuple[str, ...]) -> Any:
        if reference in seen:
            raise ClassifierError(f"bundle {self.name!r}: {place} refers to itself through @{reference}")
        found: Any = self.config
        for part in reference.replace("#", "::").split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ClassifierError(
                    f"bundle {self.name!r}: {place} refers to @{reference}, which is not in inference.json"
                ) from None
        return self._resolved(found, reference, (*seen, reference))


def read_bundle(place: str | Path) -> Bundle:
    """Read a bundle's folder.

    Parameters
    ----------
    place
        A folder with ``configs/metadata.json``, ``configs/inference.json`` and ``models/model.safetensors``
        (or ``model.pt``), as in MONAI's bundle specification.

    Raises
    ------
    ClassifierError
        If a file is missing or is not what it should be.
    """
    folder = Path(place)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise ClassifierError(f"expected the folder of a MONAI bundle, found {found}")
    configs = folder / "configs"
    return Bundle(
        folder,
        _json(configs / "metadata.json"),
        _json(configs / "inference.json"),
        _weights(folder / "models"),
    )


def target_of(section: Any, allowed: Any, what: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of a ``_target_`` section, if the name is on the list.

    Parameters
    ----------
    allowed
        Names without their module: ``DenseNet``, not ``monai.networks.nets.DenseNet``.
    what
        What it should be, for the message: "network", "transform", ...

    Raises
    ------
    UntrustedCodeError
        If the name is not on the list: importing it could run anything.
    """
    if not isinstance(section, dict) or not isinstance(section.get("_target_"), str):
        raise ClassifierError(
            f"expected a {what} with a '_target_' in inference.json, found {str(section)[:60]!r}"
        )
    target = section["_target_"]
    module, _, name = target.rpartition(".")
    if name not in allowed or (module and not module.startswith("monai.")):
        raise UntrustedCodeError(
            f"{what} {target!r} is not one VoxCAM knows to be safe; it knows {', '.join(sorted(allowed))}"
        )
    return name, {key: value for key, value in section.items() if key != "_target_"}


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        hint = " (YAML is not read yet)" if path.with_suffix(".yaml").exists() else ""
        raise ClassifierError(f"the folder is no MONAI bundle: it has no configs/{path.name}{hint}")
    if path.stat().st_size > CONFIG_LIMIT_BYTES:
        raise ClassifierError(f"configs/{path.name} is over {CONFIG_LIMIT_BYTES:,} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ClassifierError(f"configs/{path.name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ClassifierError(f"configs/{path.name} is not a JSON object")
    return document


def _weights(models: Path) -> Path:
    for name in WEIGHTS:
        if (models / name).is_file():
            return models / name
    raise ClassifierError(f"the bundle has no weights: expected models/{' or models/'.join(WEIGHTS)}")
