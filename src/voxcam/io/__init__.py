"""Reading: `scan` a place for series, `read` one of them to a `Volume`.

Importing this package loads neither pydicom nor nibabel (half a second each); the first `scan` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from voxcam.io.study import Finding, Progress, Series, Study

__all__ = [
    "Finding",
    "Progress",
    "Series",
    "Study",
    "read",
    "read_mask",
    "read_overlays",
    "scan",
    "thumbnail",
]

if TYPE_CHECKING:
    from voxcam.io.dicom.overlays import read_overlays
    from voxcam.io.places import read, scan
    from voxcam.io.thumbnails import thumbnail
    from voxcam.io.volume_files.masks import read_mask

_WHERE = {
    "scan": "voxcam.io.places",
    "read": "voxcam.io.places",
    "read_mask": "voxcam.io.volume_files.masks",
    "read_overlays": "voxcam.io.dicom.overlays",
    "thumbnail": "voxcam.io.thumbnails",
}


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'voxcam.io' has no attribute {name!r}")
