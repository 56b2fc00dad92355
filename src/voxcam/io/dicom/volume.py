"""From a DICOM series to a `Volume`: read, decode, rescale, stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.lazy import Stacked
from voxcam.core.volume import COLOUR, Volume
from voxcam.errors import GridError, ReadError
from voxcam.io import limits
from voxcam.io.abreast import abreast
from voxcam.io.dicom.gaps import closed
from voxcam.io.dicom.grid import arrange
from voxcam.io.dicom.pixels import stored_frame
from voxcam.io.dicom.steps import GRID_KINDS
from voxcam.io.dicom.values import is_whole, modality_values, rescale
from voxcam.io.quiet import quiet
from voxcam.io.study import GAP_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxcam.io.dicom.grid import Grid
    from voxcam.io.dicom.headers import Header
    from voxcam.io.study import Gaps, Progress, Series

_INT16 = np.iinfo(np.int16)
# Each direction a code of PatientOrientation may name, and the body axis it lies on.
_BODY_AXES = {"R": "across", "L": "across", "A": "depth", "P": "depth", "H": "height", "F": "height"}


def read(series: Series, progress: Progress | None = None, gaps: Gaps = "refuse") -> Volume:
    """Return the series as a volume of modality values: stored x slope + intercept, image by image.

    Voxels are (columns, rows, slices[, moments]); int16 if every slope is 1, intercepts are whole and the
    values fit, `COLOUR` of colour images, else float32. Windows are the middle slice's. MONOCHROME1 leaves
    the values and sets `inverted`. A series over the memory limit (VOXCAM_MOST_BYTES) is read slice by
    slice as asked.

    Parameters
    ----------
    gaps
        What becomes of missing slices and uneven steps: ``refuse`` them; ``mark`` their places, which stay
        empty; ``interpolate`` between the neighbours.

    Raises
    ------
    GridError
        Several images share a position, differ, and nothing tells them apart.
    ReadError
        An image cannot be opened or decoded; nothing is returned half-read.
    """
    grid = arrange(series.headers)
    with quiet():
        voxels = _voxels(grid, progress, series.keeps)
    middle = grid.slices[len(grid.slices) // 2][0]
    volume = Volume(
        voxels=voxels,
        geometry=grid.geometry,
        modality=series.modality,
        unit=_unit(series, middle),
        windows=middle.windows,
        source=_source(series, grid, middle),
        inverted=middle.inverted,
        fourth=grid.fourth,
    )
    return volume if gaps == "refuse" else closed(volume, grid, gaps)


def check(series: Series, gaps: Gaps) -> None:
    """Raise what stops a series from being read with this policy for gaps: `GridError` or `ReadError`."""
    for finding in series.findings:
        if finding.stops and not (finding.kind in GAP_KINDS and gaps != "refuse"):
            raise (GridError if finding.kind in GRID_KINDS else ReadError)(
                f"the series cannot be read: {finding}"
            )


def _voxels(grid: Grid, progress: Progress | None, keeps: object) -> Any:
    """Return the values (columns, rows, slices[, moments]): a view, in memory rows follow one another."""
    first = grid.slices[0][0]
    dtype = _dtype(grid)
    needed = dtype.itemsize * first.rows * first.columns * len(grid.slices) * grid.moments
    if needed > limits.most_bytes():
        return _as_asked(grid, dtype, keeps)
    stack = np.empty((grid.moments, len(grid.slices), first.rows, first.columns), dtype)
    stack = _filled(grid, stack, progress)
    volume = stack.transpose(3, 2, 1, 0)
    return volume if grid.fourth is not None else volume[..., 0]


def _dtype(grid: Grid) -> np.dtype[Any]:
    headers = [header for here in grid.slices for header in here]
    if headers[0].is_colour:
        return COLOUR
    return np.dtype(np.int16 if all(map(is_whole, headers)) else np.float32)


def _filled(grid: Grid, stack: NDArray[Any], progress: Progress | None) -> NDArray[Any]:
    """Return the stack with the images of all places in it; as float32 if some do not fit int16."""
    large: dict[tuple[int, int], NDArray[Any]] = {}

    def fill(frame: list[tuple[int, int, Header]]) -> None:
        for t, k, values in _images_of(frame, len(grid.slices)):
            if t >= len(stack):
                _check_copy(large.get((0, k), stack[0, k]), values, k, grid)
            elif stack.dtype == np.int16 and not _fits(values):
                large[t, k] = values
            else:
                stack[t, k] = values

    first, copies = _frames(grid)
    abreast(fill, first, progress)
    abreast(fill, copies, None)
    if not large:
        return stack
    stack = stack.astype(np.float32)
    for place, values in large.items():
        stack[place] = values
    return stack


def _fits(values: NDArray[Any]) -> bool:
    if values.dtype in (np.int16, np.uint8, np.int8):
        return True
    return bool(values.min() >= _INT16.min and values.max() <= _INT16.max)


def _frames(grid: Grid) -> tuple[list[list[tuple[int, int, Header]]], list[list[tuple[int, int, Header]]]]:
    """Return (moment, slice, header) of all images by the frame they lie in, and of what else is there."""
    kept: dict[tuple[Any, int], list[tuple[int, int, Header]]] = {}
    copies: list[list[tuple[int, int, Header]]] = []
    for k, here in enumerate(grid.slices):
        for t, header in enumerate(here):
            if t < grid.moments:
                kept.setdefault((header.file, header.frame), []).append((t, k, header))
            else:
                copies.append([(t, k, header)])
    return list(kept.values()), copies


def _images_of(frame: list[tuple[int, int, Header]], count: int) -> list[tuple[int, int, NDArray[Any]]]:
    """Return (moment, slice, values) of the images that lie in one frame, which is read once."""
    _, k, header = frame[0]
    whole = stored_frame(header, _where(header, k, count))
    return [(t, k, modality_values(_tile(whole, one), one)) for t, k, one in frame]


def _tile(frame: NDArray[Any], header: Header) -> NDArray[Any]:
    if header.tile is None:
        return frame
    row, column = header.tile
    return frame[row : row + header.rows, column : column + header.columns]


def _check_copy(values: NDArray[Any], other: NDArray[Any], k: int, grid: Grid) -> None:
    if not np.array_equal(values, other):
        raise GridError(
            f"expected one image a position, found {len(grid.slices[k])} that differ at slice {k + 1} "
            f"of {len(grid.slices)}, and nothing that tells them apart; export them as series of their own"
        )


def _as_asked(grid: Grid, dtype: np.dtype[Any], keeps: object) -> Stacked:
    """Return voxels that are read when somebody looks, so that `keeps`, what holds their files, must last.

    For a series larger than the memory limit.
    """
    first = grid.slices[0][0]
    # Whether 16 bits hold all values is known only once all are read.
    headers = [header for here in grid.slices for header in here]
    dtype = np.dtype(np.float32) if dtype == np.int16 and not all(map(_always_fits, headers)) else dtype

    def image(k: int, t: int = 0, _: object = keeps) -> NDArray[Any]:
        with quiet():
            ((_, _, values),) = _images_of([(t, k, grid.slices[k][t])], len(grid.slices))
        return values.T

    count: Any = len(grid.slices) if grid.fourth is None else (len(grid.slices), grid.moments)
    return Stacked(image, (first.columns, first.rows), count, dtype)


def _always_fits(header: Header) -> bool:
    """Whether 16 bits hold every value that the stored bits can make."""
    bits, added = header.stored.bits_stored, rescale(header)[1]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.stored.signed else (0, 2**bits - 1)
    return bool(low + added >= _INT16.min and high + added <= _INT16.max)


def _where(header: Header, k: int, count: int) -> str:
    instance = "" if header.instance_number is None else f" (instance {header.instance_number})"
    return f"slice {k + 1} of {count}{instance}"


def _unit(series: Series, header: Header) -> str:
    """HU for a CT that states its rescale; RescaleType (0028,1054) may say otherwise. Gy of a dose."""
    if header.kind == "dose":
        return header.units
    stated = header.intercept is not None and header.rescale_type in ("", "HU")
    return "HU" if series.modality == "CT" and stated and not series.localizer else ""


def _source(series: Series, grid: Grid, middle: Header) -> dict[str, Any]:
    headers: Sequence[Header] = series.headers
    slope, intercept = rescale(middle)
    return {
        "format": "dicom",
        "series_key": series.key,
        "slices": len(grid.slices),
        "files": len(series.files),
        "spacing_mm": list(series.spacing_mm),
        "spacing_from": grid.spacing_from,
        "transfer_syntax": ", ".join(sorted({h.stored.syntax_name for h in headers})),
        "photometric": middle.stored.photometric,
        "units": middle.units or middle.rescale_type,
        "rescale": "one" if len({rescale(h) for h in headers}) == 1 else "per slice",
        "padding": None if middle.padding is None else middle.padding * slope + intercept,
        "findings": [finding.text for finding in series.findings],
        **({"body_part": middle.body_part} if middle.body_part else {}),
        **_stated_orientation(middle),
    }


def _stated_orientation(header: Header) -> dict[str, list[str]]:
    orientation = _patient_orientation(header)
    return {"patient_orientation": orientation} if orientation else {}


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
