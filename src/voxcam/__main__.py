"""``python -m voxcam``: the command line."""

from __future__ import annotations

from voxcam.cli.main import entry

entry()
