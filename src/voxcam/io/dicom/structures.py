"""Radiotherapy structure sets (PS3.3 A.19): contours to label volumes on the images they were drawn on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.path import Path as Polygon
from pydicom import dcmread

from voxcam.core.volume import Volume
from voxcam.errors import ReadError
from voxcam.io.dicom.grid import LPS_TO_RAS, arrange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.io.dicom.headers import Header
    from voxcam.io.study import Progress, Series

# A contour belongs to a slice if it lies within this part of a step from it.
_ON_SLICE = 0.5
_MOST_CONTOURS = 200_000
_HIGHEST_LABEL = np.iinfo(np.uint16).max


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the structures as one label volume on the grid of their image series; unit "label".

    A voxel is inside where its centre lies within an odd number of a structure's contours on that slice,
    so that a contour inside another is a hole. Structures are numbered as in the file, or in its order where
    its numbers are no labels (0, or over 65535); where they overlap the later one shows. Names, which are
    free text, are not kept.

    Raises
    ------
    ReadError
        The images the structures were drawn on are not at the same place.
    """
    structure, *images = series.headers
    if not images:
        raise ReadError(
            "expected the images that the structure set was drawn on, found none of its frame of reference; "
            "put both in one folder"
        )
    geometry = arrange(images).geometry
    contours = _contours(structure)
    labels = np.zeros(geometry.shape, np.uint16)
    off = 0
    for done, (number, polygons) in enumerate(contours.items(), start=1):
        inside, missed = _inside(polygons, geometry)
        labels[inside] = number
        off += missed
        if progress is not None:
            progress(done, len(contours))
    findings = [finding.text for finding in series.findings]
    if off:
        findings.append(f"{off} contours lie on no slice of the images: left out")
    return Volume(
        voxels=labels.astype(np.uint8) if labels.max(initial=0) < 256 else labels.astype(np.int32),
        geometry=geometry,
        unit="label",
        source={
            "format": "dicom",
            "kind": series.kind,
            "series_key": series.key,
            "files": 1,
            "structures": sorted(contours),
            "findings": findings,
        },
    )


def _contours(structure: Header) -> dict[int, list[NDArray[np.float64]]]:
    """Return {number: closed contours (points, 3) in RAS mm}."""
    dataset = dcmread(structure.file, force=True)
    found: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    count = 0
    try:
        for place, roi in enumerate(dataset.get("ROIContourSequence") or (), start=1):
            number = int(roi.get("ReferencedROINumber", place))
            for contour in roi.get("ContourSequence") or ():
                points = np.array(contour.get("ContourData") or (), dtype=np.float64)
                count += 1
                if contour.get("ContourGeometricType") == "CLOSED_PLANAR" and points.size >= 9:
                    found[number].append(points.reshape(-1, 3) @ LPS_TO_RAS[:3, :3])
                if count > _MOST_CONTOURS:
                    raise ReadError(f"a structure set of over {_MOST_CONTOURS} contours is not read")
    except ReadError:
        raise
    except Exception:  # pydicom raises what it likes on a damaged sequence
        raise ReadError("a contour of the structure set is damaged: export it again") from None
    return _as_labels(dict(found))


def _as_labels(found: dict[int, list[NDArray[np.float64]]]) -> dict[int, list[NDArray[np.float64]]]:
    """Return contours by label: the file's numbers if all can be one, else 1, 2, ... in its order."""
    if not all(np.isfinite(points).all() for contours in found.values() for points in contours):
        raise ReadError("a contour of the structure set is damaged: export it again")
    if all(0 < number <= _HIGHEST_LABEL for number in found):
        return found
    return dict(enumerate(found.values(), start=1))


def _inside(polygons: list[NDArray[np.float64]], geometry: Geometry) -> tuple[NDArray[np.bool_], int]:
    """Return the voxels within an odd number of contours, and how many contours lie on no slice."""
    inside = np.zeros(geometry.shape, bool)
    missed = 0
    for polygon in polygons:
        index = geometry.to_index(polygon)
        k = float(np.median(index[:, 2]))
        slot = round(k)
        flat = np.ptp(index[:, 2]) <= _ON_SLICE
        if not flat or abs(k - slot) > _ON_SLICE or not 0 <= slot < geometry.shape[2]:
            missed += 1
            continue
        low = np.maximum(np.floor(index[:, :2].min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(index[:, :2].max(axis=0)).astype(int) + 1, geometry.shape[:2])
        if (high <= low).any():
            continue
        grid: Any = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
        within = Polygon(index[:, :2]).contains_points(np.stack(grid, axis=-1).reshape(-1, 2))
        part = inside[low[0] : high[0], low[1] : high[1], slot]
        part ^= within.reshape(part.shape)
    return inside, missed
