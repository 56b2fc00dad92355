"""From a DICOM series to a `Volume`: decode, rescale, stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.pixels.processing import apply_modality_lut

from voxcam.core.volume import Volume
from voxcam.errors import GridError, ReadError
from voxcam.io.abreast import abreast
from voxcam.io.dicom.grid import arrange
from voxcam.io.dicom.pixels import stored_pixels
from voxcam.io.dicom.steps import GRID_KINDS
from voxcam.io.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.dicom.grid import Grid
    from voxcam.io.dicom.headers import Header
    from voxcam.io.study import Progress, Series

_INT16 = np.iinfo(np.int16)
# Each direction a code of PatientOrientation may name, and the body axis it lies on.
_BODY_AXES = {"R": "across", "L": "across", "A": "depth", "P": "depth", "H": "height", "F": "height"}


def read(series: Series, progress: Progress | None = None) -> Volume:
    """Return the series as a volume of modality values: stored x slope + intercept, slice by slice.

    Voxels are (columns, rows, slices); int16 if every slope is 1, intercepts are whole and the values fit,
    else float32. Windows are the middle slice's. MONOCHROME1 leaves the values and sets `inverted`.

    Raises
    ------
    GridError
        Slices are missing, uneven, or several share a position and differ.
    ReadError
        A slice cannot be opened or decoded; nothing is returned half-read.
    """
    for finding in series.findings:
        if finding.stops:
            raise (GridError if finding.kind in GRID_KINDS else ReadError)(
                f"the series cannot be read: {finding}"
            )
    grid = arrange(series.headers)
    with quiet():
        voxels = _voxels(grid, progress)
    middle = grid.slices[len(grid.slices) // 2][0]
    return Volume(
        voxels=voxels,
        geometry=grid.geometry,
        modality=series.modality,
        unit=_unit(series, middle),
        windows=middle.windows,
        source=_source(series, grid, middle),
        inverted=middle.photometric == "MONOCHROME1",
    )


def _voxels(grid: Grid, progress: Progress | None) -> NDArray[Any]:
    """Return the values (columns, rows, slices): a view, in memory the slices follow one another."""
    first = grid.slices[0][0]
    whole = all(_is_whole(header) for here in grid.slices for header in here)
    stack = np.empty((len(grid.slices), first.rows, first.columns), np.int16 if whole else np.float32)
    large: dict[int, NDArray[Any]] = {}

    def fill(k: int) -> None:
        values = _slice(grid, k)
        if whole and (values.min() < _INT16.min or values.max() > _INT16.max):
            large[k] = values
        else:
            stack[k] = values

    abreast(fill, range(len(grid.slices)), progress)
    if large:
        stack = stack.astype(np.float32)
        for k, values in large.items():
            stack[k] = values
    return stack.transpose(2, 1, 0)


def _slice(grid: Grid, k: int) -> NDArray[Any]:
    """Return the values of slice k; what else lies at its position must be equal."""
    here = grid.slices[k]
    values, *others = [_values(header, _where(header, k, len(grid.slices))) for header in here]
    if any(not np.array_equal(values, other) for other in others):
        raise GridError(
            f"expected one image a position, found {len(here)} that differ at slice {k + 1} "
            f"of {len(grid.slices)}; export time points, echoes or repeats as series of their own"
        )
    return values


def _values(header: Header, where: str) -> NDArray[Any]:
    stored, dataset = stored_pixels(header, where)
    if header.has_modality_lut:
        return np.asarray(apply_modality_lut(stored, dataset))
    slope, intercept = _rescale(header)
    if _is_whole(header):
        wide = np.int64 if stored.itemsize > 2 else np.int32
        return stored if intercept == 0 else np.asarray(stored.astype(wide) + int(intercept))
    return np.asarray(stored.astype(np.float64) * slope + intercept)


def _rescale(header: Header) -> tuple[float, float]:
    """Slope and intercept (0028,1053, 1052); 1 and 0 where absent; a slope of 0 would erase all: 1."""
    return header.slope or 1.0, header.intercept or 0.0


def _is_whole(header: Header) -> bool:
    slope, intercept = _rescale(header)
    return slope == 1 and intercept == int(intercept) and not header.has_modality_lut


def _where(header: Header, k: int, count: int) -> str:
    instance = "" if header.instance_number is None else f" (instance {header.instance_number})"
    return f"slice {k + 1} of {count}{instance}"


def _unit(series: Series, header: Header) -> str:
    """HU for a CT that states its rescale; RescaleType (0028,1054) may say otherwise."""
    stated = header.intercept is not None and header.rescale_type in ("", "HU")
    return "HU" if series.modality == "CT" and stated and not series.localizer else ""


def _source(series: Series, grid: Grid, middle: Header) -> dict[str, Any]:
    headers: Sequence[Header] = series.headers
    orientation = _patient_orientation(middle)
    stated = {"patient_orientation": orientation} if orientation else {}
    return {
        "format": "dicom",
        "series_key": series.key,
        "slices": len(grid.slices),
        "files": len(headers),
        "spacing_mm": list(series.spacing_mm),
        "spacing_from": grid.spacing_from,
        "transfer_syntax": ", ".join(sorted({h.transfer_syntax for h in headers})),
        "photometric": middle.photometric,
        "units": middle.units or middle.rescale_type,
        "rescale": "one" if len({_rescale(h) for h in headers}) == 1 else "per slice",
        "padding": None
        if middle.padding is None
        else middle.padding * _rescale(middle)[0] + _rescale(middle)[1],
        "findings": [finding.text for finding in series.findings],
        **stated,
    }


def _patient_orientation(header: Header) -> list[str]:
    """Return where columns and rows of a projection grow to as stored, such as ``["L", "F"]``; else [].

    Letters A, P, R, L, H, F of PatientOrientation (0020,0020), PS3.3 C.7.6.1.1.1: the direction of the
    rows (growing column), then of the columns (growing row). Of a compound code the first letter is the
    main one. Empty where a code is none of a biped's, or both lie on one body axis; and of an image placed
    in the patient, whose affine says it better.
    """
    codes = header.patient_orientation
    if header.placed or len(codes) != 2 or not all(code and set(code) <= set(_BODY_AXES) for code in codes):
        return []
    letters = [code[0] for code in codes]
    return letters if _BODY_AXES[letters[0]] != _BODY_AXES[letters[1]] else []
