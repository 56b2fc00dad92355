"""VoxCAM shows where a classifier looked, in the patient's own millimetres."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "cam",
    "classifier_of",
    "explain",
    "load_classifier",
    "load_explanation",
    "read",
    "scan",
]

if TYPE_CHECKING:
    from voxcam import cam
    from voxcam.core.explanation_folder import load as load_explanation
    from voxcam.explain import explain
    from voxcam.io import read, scan
    from voxcam.model.given import classifier_of
    from voxcam.model.loading import load_classifier

_WHERE = {
    "scan": ("voxcam.io", "scan"),
    "read": ("voxcam.io", "read"),
    "load_classifier": ("voxcam.model.loading", "load_classifier"),
    "classifier_of": ("voxcam.model.given", "classifier_of"),
    "load_explanation": ("voxcam.core.explanation_folder", "load"),
}


def __getattr__(name: str) -> object:
    # `import voxcam` stays light: torch (5 s) and MONAI (7-14 s) load at first use.
    if name in _WHERE:
        module, attribute = _WHERE[name]
        return getattr(import_module(module), attribute)
    if name in ("cam", "explain"):  # `voxcam.explain` is a module that can be called
        return import_module(f"voxcam.{name}")
    raise AttributeError(f"module 'voxcam' has no attribute {name!r}")
