"""From a whole-volume file's stored voxels to a volume: number types, scaling, labels, what looks like CT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, Volume
from voxcam.errors import ReadError
from voxcam.io import limits
from voxcam.io.study import Finding, Series
from voxcam.io.volume_files.streams import voxels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from voxcam.core.volume import Axis
    from voxcam.io.study import Format, Progress
    from voxcam.io.volume_files.kept import Stored, VolumeHeader

    # Reads what the fourth axis counts from the bytes behind the voxels.
    Closing = Callable[[VolumeHeader, bytes], Axis | None]

_INT16 = np.iinfo(np.int16)
_AIR_HU = -500
# float32 holds every whole number up to here.
_MOST_EXACT = 1 << 24
_PIECE = 1 << 18


def series_of(headers: Sequence[VolumeHeader], format: Format) -> list[Series]:
    """Return one series for each file, in the order of their paths."""
    return [_series(header, format) for header in sorted(headers, key=lambda h: str(h.file))]


def volume_of(series: Series, progress: Progress | None = None, closing: Closing | None = None) -> Volume:
    """Return the file as a volume, time last, scaled as it states.

    Voxels keep whole numbers as int16 where they fit, else are float32; colour is `COLOUR`. These formats
    know no modality: where the series has none either, whole numbers that reach below -500, as air does,
    are taken for CT in HU, and the first finding says so. A file that says it holds labels has unit "label".

    Parameters
    ----------
    closing
        What reads the fourth axis from the bytes behind the voxels, where a format has it there.

    Raises
    ------
    ReadError
        The file is gone, changed or damaged, needs more memory than allowed, or holds labels where a
        modality was stated.
    """
    header: VolumeHeader = series.headers[0]
    if header.is_label and series.modality:
        raise ReadError(
            f"expected an image of modality {series.modality}, the file says it holds labels; "
            "leave the modality out, or choose the image"
        )
    row, behind = _row(header, progress)
    fourth = header.fourth if closing is None else closing(header, behind)
    if header.is_label:
        return _volume(series, _labels(row, header.stored), "label", fourth=fourth)
    if row.dtype.names:
        return _volume(series, _colour(row), "", modality=series.modality, fourth=fourth)
    values, odd = _values(row, header.stored)
    modality, guessed = _modality(series, values)
    unit = "HU" if modality == "CT" else ""
    return _volume(series, values, unit, modality=modality, findings=(guessed, odd), fourth=fourth)


def labels_of(header: VolumeHeader, format: Format) -> Volume:
    """Return the file as labels, whatever it says it holds: whole numbers, 0 outside, unit "label".

    Raises
    ------
    ReadError
        As `volume_of`, or its values are not whole numbers from 0.
    """
    row, _ = _row(header, None)
    return _volume(_series(header, format), _labels(row, header.stored), "label", fourth=header.fourth)


def _series(header: VolumeHeader, format: Format) -> Series:
    zooms = np.linalg.norm(header.affine[:3, :3], axis=0)
    return Series(
        uid="",
        key=header.key,
        modality="",
        description="",
        shape=header.shape,
        spacing_mm=(float(zooms[0]), float(zooms[1]), float(zooms[2])),
        files=(header.file,),
        format=format,
        findings=header.findings,
        headers=(header,),
        geometry=Geometry((header.shape[0], header.shape[1], header.shape[2]), header.affine, header.frame),
    )


def _row(header: VolumeHeader, progress: Progress | None) -> tuple[NDArray[Any], bytes]:
    """Return the stored voxels in one row, native byte order, and the bytes behind them."""
    stored = header.stored
    limits.check(stored.size + _beside(stored), "the volume")
    row, behind = voxels_of(stored, header.version, progress)
    if not row.dtype.isnative:
        row = row.byteswap(inplace=True).view(row.dtype.newbyteorder("="))
    return row, behind


def _beside(stored: Stored) -> int:
    """Bytes of a second array, where the stored numbers are not those that are kept, and of bytes behind."""
    kept = stored.dtype.kind + str(stored.dtype.itemsize)
    as_they_are = stored.dtype == COLOUR or (kept in ("i2", "f4") and not stored.is_scaled)
    return 0 if as_they_are else 4 * stored.count


def _values(row: NDArray[Any], stored: Stored) -> tuple[NDArray[Any], tuple[Finding, ...]]:
    """Return int16 or float32, and a finding on numbers that are none, or are rounded."""
    values = _scaled(row, stored.slope, stored.inter)
    if row.dtype.kind in "iu" and values.dtype.kind == "f" and _stays_finite(row, stored):
        if max(-float(row.min()), float(row.max())) <= _MOST_EXACT:
            return values, ()
        text = "whole numbers beyond 16,777,216 are rounded: they are kept as float32"
        return values, (Finding("rounded", text),)
    bad = sum(int(piece.size - np.isfinite(piece).sum()) for piece in _pieces(values))
    if not bad:
        return values, ()
    part = f"{100 * bad / values.size:.2g} % of voxels hold no finite number"
    return values, (Finding("not-finite", part, bad),)


def _stays_finite(row: NDArray[Any], stored: Stored) -> bool:
    """Whether no whole number is scaled beyond what float32 holds."""
    with np.errstate(over="ignore"):
        ends = np.array([row.min(), row.max()], np.float64) * stored.slope + stored.inter
        return bool(np.isfinite(ends.astype(np.float32)).all())


def _scaled(row: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    """Return slope x row + inter as int16, where all of it is whole and fits, else float32."""
    dtype = _fitting(row, slope, inter)
    if (slope, inter) == (1.0, 0.0):
        # uint16 that fits has the same bytes as int16: nothing is copied.
        same = row.dtype == np.uint16 and dtype == np.int16
        with np.errstate(over="ignore"):
            return row.view(np.int16) if same else row.astype(dtype, copy=False)
    out = np.empty(row.shape, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for to, piece in zip(_pieces(out), _pieces(row), strict=True):
            to[...] = piece * np.float64(slope) + inter
    return out


def _fitting(row: NDArray[Any], slope: float, inter: float) -> np.dtype[Any]:
    """Return int16 where all scaled values are whole numbers that it holds, else float32."""
    if row.dtype.kind not in "iu" or not (slope.is_integer() and inter.is_integer()):
        return np.dtype(np.float32)
    ends = [int(slope) * int(end) + int(inter) for end in (row.min(), row.max())]
    return np.dtype(np.int16 if _INT16.min <= min(ends) and max(ends) <= _INT16.max else np.float32)


def _labels(row: NDArray[Any], stored: Stored) -> NDArray[Any]:
    if row.dtype.names:
        raise ReadError("expected whole numbers from 0 in a mask, found colours")
    values = _scaled(row, stored.slope, stored.inter) if stored.is_scaled else row
    # Also false where a voxel is not a number.
    whole = values.dtype.kind in "iu" or all((piece == np.rint(piece)).all() for piece in _pieces(values))
    if not whole or values.min() < 0 or values.max() > np.iinfo(np.int32).max:
        raise ReadError(
            "expected whole numbers from 0 in a mask, found others; is it an image or a probability?"
        )
    return values.astype(np.uint8 if values.max() < 256 else np.int32, copy=False)


def _colour(row: NDArray[Any]) -> NDArray[Any]:
    """Return red, green, blue; the alpha of four is left out, which a finding of the header says."""
    if row.dtype == COLOUR:
        return row
    out = np.empty(row.shape, COLOUR)
    for name in ("R", "G", "B"):
        out[name] = row[name]
    return out


def _modality(series: Series, values: NDArray[Any]) -> tuple[str, tuple[Finding, ...]]:
    """Return the modality stated, else CT where the values look like HU, and what to say of it."""
    if not series.modality and _like_hu(values):
        return "CT", (Finding("taken-for-ct", "taken for CT in HU by its values"),)
    # Also true where no voxel is a number.
    if series.modality == "CT" and not any((piece < _AIR_HU).any() for piece in _pieces(values)):
        text = f"stated to be CT, but no value is below {_AIR_HU} as air is: check that they are HU"
        return "CT", (Finding("no-air", text),)
    return series.modality, ()


def _like_hu(values: NDArray[Any]) -> bool:
    """Whole numbers from air (below -500, not below the padding some scanners write, -3100) to tissue."""
    low, high = values.min(), values.max()
    if not (-3100 <= low < _AIR_HU and 0 < high <= _INT16.max):
        return False
    return values.dtype.kind == "i" or all((piece == np.rint(piece)).all() for piece in _pieces(values))


def _pieces(row: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield a row bit by bit, so that what is computed of it takes no room."""
    for start in range(0, row.size, _PIECE):
        yield row[start : start + _PIECE]


def _volume(
    series: Series,
    row: NDArray[Any],
    unit: str,
    *,
    fourth: Axis | None,
    modality: str = "",
    findings: tuple[tuple[Finding, ...], tuple[Finding, ...]] = ((), ()),
) -> Volume:
    """Return the volume; `findings` go before and after those of the series."""
    header: VolumeHeader = series.headers[0]
    grid = (header.shape[0], header.shape[1], header.shape[2])
    return Volume(
        voxels=_in_shape(row, header),
        geometry=Geometry(grid, header.affine, header.frame),
        modality=modality,
        unit=unit,
        source={
            "format": series.format,
            "series_key": series.key,
            "files": 1,
            "spacing_mm": list(series.spacing_mm),
            "spacing_from": header.affine_from,
            "space": header.space,
            "findings": [finding.text for finding in (*findings[0], *series.findings, *findings[1])],
        },
        fourth=fourth,
    )


def _in_shape(row: NDArray[Any], header: VolumeHeader) -> NDArray[Any]:
    """Return a view of the row: first axis fastest, the fourth moved behind the others."""
    stored = header.stored
    if stored.time_at < 0:
        return row.reshape(header.shape, order="F")
    return np.moveaxis(row.reshape(stored.shape, order="F"), stored.time_at, -1)
