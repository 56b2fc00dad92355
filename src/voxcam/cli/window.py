"""Opening the napari window from the command line; the one place of `cli` that asks for a display."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from voxcam.errors import VoxcamError

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.plugin.opening import Allowed, Found


def why_no_window() -> str | None:
    """Return why no window can be opened here, in one line; None if one can."""
    if find_spec("napari") is None or find_spec("qtpy") is None:
        return 'napari is not installed: pip install "voxcam[all]"'
    if not any(find_spec(binding) for binding in ("PySide6", "PyQt6")):
        return 'no Qt binding is installed: pip install "voxcam[all]"'
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return "there is no display (DISPLAY is not set)"
    return None


def check_window() -> None:
    """Raise VoxcamError, one line, if no window can be opened here."""
    reason = why_no_window()
    if reason:
        raise VoxcamError(f"a window cannot be opened: {reason}")


def show(
    volume: Volume | None = None,
    bundle: Path | None = None,
    explanation: Explanation | None = None,
    mask: Volume | None = None,
    *,
    found: Found | None = None,
    allowed: Allowed | None = None,
) -> int:
    """Open the reading room and stay until it is closed."""
    from voxcam.plugin.opening import open_review, stay

    open_review(volume, bundle, explanation, mask, found=found, allowed=allowed)
    stay()
    return 0
