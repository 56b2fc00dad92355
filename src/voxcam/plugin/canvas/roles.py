"""What a layer is to the reading room, kept with the layer: its name is the reader's to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel

ROLE = "voxcam_role"
STUDY, FINDING, MEASUREMENTS = "study", "finding", "measurements"
STUDY_IN_DEPTH, EVIDENCE_IN_DEPTH = "study in 3D", "evidence in 3D"
CLASS = "voxcam_class"  # whose evidence a layer in three dimensions shows


def with_role(layer: Any, role: str) -> bool:
    """Whether a layer has the role."""
    return bool(layer.metadata.get(ROLE) == role)


def seen(viewer: ViewerModel, *roles: str) -> Any | None:
    """Return a visible layer of the viewer with one of the roles; None without one."""
    found = [layer for layer in viewer.layers if layer.visible and layer.metadata.get(ROLE) in roles]
    return found[-1] if found else None
