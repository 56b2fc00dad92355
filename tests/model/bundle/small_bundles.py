"""Bundles for reading alone: their weights are never loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def small_bundle(folder: Path, config: Any, files: dict[str, str] | None = None, **metadata: Any) -> Path:
    """Write a bundle; `config` is a dict (JSON) or text (YAML), `files` are put in by name."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps({"name": "small"} | metadata))
    if isinstance(config, str):
        (folder / "configs" / "inference.yaml").write_text(config)
    else:
        (folder / "configs" / "inference.json").write_text(json.dumps(config, indent=1))
    (folder / "models" / "model.pt").write_bytes(b"weights")
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
