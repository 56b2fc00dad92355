"""napari saves a scan or a heatmap layer as NIfTI, with the true affine."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ExportError


def write_nifti(path: str, voxels: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer that VoxCAM made to `path` (.nii or .nii.gz); return the paths written.

    Evidence is written raw, on the study's grid, as float32, NaN where the network saw nothing. The
    affine is the one in the layer's metadata: the layer itself does not hold the true one of an oblique
    scan.

    Raises
    ------
    ExportError
        If the layer is not one of VoxCAM's, its shape has changed, or `path` is taken.
    """
    from voxcam.export.nifti import write_nifti as write

    geometry = attributes.get("metadata", {}).get("geometry")
    if not isinstance(geometry, Geometry):
        raise ExportError("where this layer lies in the patient is not known: save layers that VoxCAM opened")
    shown = np.asarray(voxels)
    # napari has time first.
    array = np.moveaxis(shown, 0, -1) if shown.ndim == 4 else shown
    if array.shape[:3] != geometry.shape:
        raise ExportError(f"the layer is {array.shape[:3]} but its geometry {geometry.shape}: it was changed")
    unit = "logit" if "heatmap" in attributes["metadata"] else ""
    write(Volume(array, geometry, unit=unit), path)
    return [path]
