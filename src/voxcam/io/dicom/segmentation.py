"""DICOM segmentations (PS3.3 A.51) as label volumes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread

from voxcam.core.volume import Volume
from voxcam.errors import GridError, ReadError
from voxcam.io import limits
from voxcam.io.dicom.frames import DIMENSION
from voxcam.io.dicom.grid import arrange
from voxcam.io.dicom.pixels import inflated_once, opened, read_at, stored_frame
from voxcam.io.dicom.sparse import sparse_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.io.dicom.grid import Grid
    from voxcam.io.dicom.headers import Header
    from voxcam.io.study import Progress, Series

_LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
# A fractional segmentation (0062,0001) marks what is at least half of its largest value, (0062,000E).
_HALF = 0.5


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the segments as one label volume: 0 outside, else the segment's number; unit "label".

    Frames that are not stored hold nothing of their segment. Where segments overlap the later one shows,
    and a finding says how many voxels that concerns. Names are those of the coded property types.

    Raises
    ------
    GridError
        The frames form no even stack.
    ReadError
        The file cannot be read.
    """
    headers: tuple[Header, ...] = series.headers
    geometry, slots = _grid(series)
    limits.check(int(np.prod(geometry.shape)) * 2, "the segmentation")
    dataset = dcmread(headers[0].file, stop_before_pixels=True, force=True)
    is_map = str(dataset.get("SOPClassUID", "")) == _LABELMAP
    most = float(dataset.get("MaximumFractionalValue") or 1)
    labels = np.zeros(geometry.shape[::-1], np.uint16)
    overlap = 0
    for done, header in enumerate(headers, start=1):
        frame = _frame(header)
        here = labels[slots[header.frame]]
        if is_map:
            marked, number = frame > 0, frame
        else:
            marked = frame >= _HALF * most if header.stored.bits_allocated > 1 else frame > 0
            number = np.full(frame.shape, int(_number(header)), np.uint16)
        overlap += int((marked & (here > 0)).sum())
        here[marked] = number[marked]
        if progress is not None:
            progress(done, len(headers))
    return _volume(series, geometry, labels.T, _names(dataset), overlap)


def _grid(series: Series) -> tuple[Geometry, dict[int, int]]:
    """Return the grid from the first stored position to the last, and the slice of each frame."""
    grid: Grid = arrange(series.headers)
    found = sparse_grid(grid)
    if found is None:
        raise GridError("expected segments on evenly spaced slices, found uneven steps: export it again")
    geometry, at = found
    return geometry, {h.frame: k for k, here in zip(at, grid.slices, strict=True) for h in here}


def _frame(header: Header) -> NDArray[Any]:
    """Return a frame (rows, columns) of numbers, though a label map may come with colours to show it in."""
    stored = replace(header.stored, photometric="MONOCHROME2")
    where = f"frame {header.frame + 1} of {stored.frames}"
    if stored.bits_allocated != 1 or not stored.native:
        return stored_frame(replace(header, stored=stored), where)
    return _bits(header, where)


def _bits(header: Header, where: str) -> NDArray[np.uint8]:
    """Return a frame of one bit a pixel: frames follow one another without padding; PS3.5 8.1.1."""
    stored = header.stored
    pixels = stored.rows * stored.columns
    first = header.frame * pixels
    start, end = stored.offset + first // 8, stored.offset + (first + pixels + 7) // 8
    with opened(header, where) as descriptor:
        if stored.deflated:
            packed = inflated_once(header.file, stored.mtime_ns)[start:end]
        else:
            packed = read_at(descriptor, start, end - start)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[first % 8 :][:pixels]
    if bits.size < pixels:
        raise ReadError("the segmentation was cut short: copy it again")
    return bits.reshape(stored.rows, stored.columns)


def _number(header: Header) -> float:
    number = header.marks[DIMENSION]
    return number if isinstance(number, float) else 1.0


def _names(dataset: Any) -> dict[str, str]:
    """Return {number: what it is} after the coded property type; a label's own text may hold anything."""
    names = {}
    try:
        for item in dataset.get("SegmentSequence") or ():
            code = next(iter(item.get("SegmentedPropertyTypeCodeSequence") or ()), None)
            names[str(item.get("SegmentNumber", ""))] = str(code.get("CodeMeaning", ""))[:64] if code else ""
    except Exception:  # pydicom raises what it likes on a damaged item, which names nothing
        return names
    return names


def _volume(
    series: Series, geometry: Geometry, labels: NDArray[Any], names: dict[str, str], overlap: int
) -> Volume:
    findings = [finding.text for finding in series.findings]
    if overlap:
        findings.append(f"segments overlap in {overlap} voxels: the later one is shown there")
    return Volume(
        voxels=labels.astype(np.uint8) if labels.max() < 256 else labels.astype(np.int32),
        geometry=geometry,
        unit="label",
        source={
            "format": "dicom",
            "kind": series.kind,
            "series_key": series.key,
            "files": 1,
            "labels": names,
            "findings": findings,
        },
    )
