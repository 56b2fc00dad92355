"""The windows a DICOM image proposes: centres and widths, and tables."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from voxcam.core.windows import Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from voxcam.core.windows import WindowFunction

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# The explanation is free text and may hold anything, a name too; it is kept if it says one of these.
_NAMES = (
    "abdomen angio bone brain breast cerebrum chest contrast default head heart high kidney liver low lung "
    "mediastinum neck normal pelvis soft spine stroke tissue harder softer standard user"
).split()
_MOST_TABLES = 32  # of one image; vendors write three


def windows_of(dataset: Dataset, *, signed: bool = False) -> tuple[Window, ...]:
    """Return the windows of a VOI LUT module, or of an item of FrameVOILUTSequence (0028,9132).

    First the pairs of WindowCenter and WindowWidth (0028,1050, 1051) with their explanations (0028,1055),
    then the tables of VOILUTSequence (0028,3010). Damaged entries are left out.

    PS3.3 C.11.2.1.2: values are modality values; pairs whose width is not over 0 say nothing, and
    are left out. A LINEAR window narrower than 1 is not defined, and is taken as LINEAR_EXACT.

    Parameters
    ----------
    signed
        Whether modality values may be under 0, where `dataset` (an item) cannot tell.
    """
    return (*_pairs(dataset), *_tables(dataset, signed or _signed(dataset)))


def _pairs(dataset: Dataset) -> tuple[Window, ...]:
    function = str(next(iter(_all(dataset, "VOILUTFunction")), "")).strip().upper()
    names = tuple(str(name) for name in _all(dataset, "WindowCenterWidthExplanation"))
    centres, widths = _all(dataset, "WindowCenter"), _all(dataset, "WindowWidth")
    return window_pairs(_numbers(centres), _numbers(widths), names, function)


def _numbers(values: list[Any]) -> tuple[float, ...]:
    """Return numbers; what is none becomes NaN, and its pair says nothing."""
    found = []
    for value in values:
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            found.append(math.nan)
    return tuple(found)


@lru_cache(maxsize=512)  # the slices of a series state the same ones
def window_pairs(
    centres: tuple[float, ...], widths: tuple[float, ...], names: tuple[str, ...], function: str
) -> tuple[Window, ...]:
    """Return the windows of centres and widths as `windows_of` does; `function` is VOILUTFunction, or ""."""
    stated = function if function in _FUNCTIONS else "LINEAR"
    windows = []
    for centre, width, name in zip(centres, widths, chain(names, repeat("")), strict=False):
        if math.isfinite(centre) and math.isfinite(width) and width > 0:
            defined = "LINEAR_EXACT" if stated == "LINEAR" and width < 1 else stated
            windows.append(Window(centre, width, _known(name), cast("WindowFunction", defined)))
    return tuple(windows)


def _tables(dataset: Dataset, signed: bool) -> list[Window]:
    windows = []
    for item in _all(dataset, "VOILUTSequence")[:_MOST_TABLES]:
        try:
            windows.append(_table(item, signed))
        except Exception:  # a broken item may raise whatever pydicom raises; it says nothing
            continue
    return windows


def _table(item: Dataset, signed: bool) -> Window:
    """Return the table of one item: LUTDescriptor (0028,3002) is (entries, first value, bits), C.11.2.1.1."""
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    entries = entries % 65536 or 65536  # 0 stands for 65536, which 16 bits cannot write
    # US and SS are told apart by the reader, not by the file; a signed image knows no value above 32767.
    first -= 65536 if signed and first > 32767 else 0
    outputs = _outputs(item, entries, bits)
    return Window.of_table(first, outputs / (2 ** _bits(bits, outputs) - 1), _explanation(item))


def _outputs(item: Dataset, entries: int, bits: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return LUTData (0028,3006): 16 bits an entry, or two entries of 8 bits packed into 16.

    Raises
    ------
    ValueError
        If it does not hold exactly `entries`; a byte may pad.
    """
    data = item.LUTData
    if isinstance(data, bytes):
        order = ">" if item.original_encoding[1] is False else "<"
        words = np.frombuffer(data + b"\0" * (len(data) % 2), f"{order}u2")
    else:
        words = np.asarray(data, dtype=np.int64).astype(np.uint16)  # SS is read as the same bits
    if bits <= 8 and words.size == (entries + 1) // 2:
        # The first entry is in the lower byte, C.11.2.1.1 and PS3.5 8.3.
        words = words.astype("<u2").view(np.uint8)[:entries]
    if words.size != entries:
        raise ValueError("the table is shorter or longer than it says")
    return words.astype(np.float64)


def _bits(stated: int, outputs: np.ndarray[Any, Any]) -> int:
    """Return the bits of the full range: stated; of 16, those in use, as some writers mean the room."""
    used = int(outputs.max()).bit_length()
    if used == 0:
        raise ValueError("the table shows nothing but black")
    return stated if used <= stated < 16 else used


def _signed(dataset: Dataset) -> bool:
    """Whether the values a table is given may be under 0: stored so, or made so by the rescale."""
    representation = next(iter(_all(dataset, "PixelRepresentation")), 0)
    intercept = next(iter(_all(dataset, "RescaleIntercept")), 0)
    try:
        return bool(int(representation) == 1 or float(intercept) < 0)
    except (TypeError, ValueError):
        return False


def _explanation(item: Dataset) -> str:
    return _known(str(next(iter(_all(item, "LUTExplanation")), "")))


def _known(explanation: str) -> str:
    words = explanation.replace("_", " ").lower().split()
    return " ".join(words) if words and all(word in _NAMES for word in words) else ""


def _all(dataset: Dataset, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
    except Exception:  # an element that cannot be parsed counts as absent, whatever pydicom raises
        return []
    if value is None:
        return []
    return [value] if isinstance(value, (str, int, float)) else list(value)
