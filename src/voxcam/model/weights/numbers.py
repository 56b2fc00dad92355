"""From the places of weights in a file to tensors on the CPU."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

from voxcam.errors import Cancelled
from voxcam.model.weights.refusals import Refusal, damaged, shown
from voxcam.model.weights.tables import ITEM_BYTES, Entry, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_CHUNK_BYTES = 1 << 24
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_numbers(
    file: FileIO, table: Table, cancelled: Callable[[], bool] | None = None
) -> dict[str, Tensor]:
    """Return the tensors of a checked table, each contiguous and its own, in the table's order.

    Raises
    ------
    Refusal
        If a checksum does not fit, the file has become shorter, or a number is not finite.
    Cancelled
        If `cancelled` returned True.
    """
    blocks: dict[tuple[int, int, int | None], list[Entry]] = {}
    for entry in table.entries:
        blocks.setdefault((entry.start, entry.size, entry.crc), []).append(entry)
    state: dict[str, Tensor] = {}
    for (start, size, crc), entries in blocks.items():
        block, summed = _block(file, start, size, cancelled)
        if crc not in (None, summed):
            raise damaged(f"the checksum of {shown(entries[0].name)!r} does not fit its numbers")
        for entry in entries:
            state[entry.name] = _tensor(block, entry, alone=len(entries) == 1)
            _check_finite(entry.name, state[entry.name])
    return {entry.name: state[entry.name] for entry in table.entries}


def _block(
    file: FileIO, start: int, size: int, cancelled: Callable[[], bool] | None
) -> tuple[NDArray[np.uint8], int]:
    import numpy as np

    block = np.empty(size, np.uint8)
    summed = 0
    file.seek(start)
    for at in range(0, size, _CHUNK_BYTES):
        if cancelled is not None and cancelled():
            raise Cancelled
        piece = block.data[at : at + _CHUNK_BYTES]
        if file.readinto(piece) != len(piece):
            raise Refusal("became shorter while it was read: read it again when it is whole")
        summed = zlib.crc32(piece, summed)
    return block, summed


def _tensor(block: NDArray[np.uint8], entry: Entry, alone: bool) -> Tensor:
    """Return the view an entry describes, as a copy unless it is all of its block."""
    import torch

    dtype = getattr(torch, _DTYPES[entry.dtype])
    if not entry.count:
        return torch.empty(entry.shape, dtype=dtype)
    numbers = len(block) // ITEM_BYTES[entry.dtype]
    whole = torch.from_numpy(block[: numbers * ITEM_BYTES[entry.dtype]])
    # Any byte but 0 and 1 as a bool is undefined behaviour.
    flat = whole != 0 if dtype == torch.bool else whole.view(dtype)
    tensor = flat.as_strided(entry.shape, entry.strides, entry.offset)
    if alone and tensor.is_contiguous() and entry.count == numbers:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def is_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor holds neither NaN nor infinity."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # A NaN is both the least and the greatest; ten times as fast as isfinite().
    return all(math.isfinite(extreme.item()) for extreme in tensor.aminmax())


def _check_finite(name: str, tensor: Tensor) -> None:
    if not is_finite(tensor):
        raise Refusal(
            f"holds numbers that are not finite, in {shown(name)!r}: it is damaged, or training diverged"
        )
