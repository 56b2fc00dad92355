"""The chain of extensions between a NIfTI header and its voxels: walked, not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxcam.io.volume_files.kept import Refusal
from voxcam.io.volume_files.streams import first_bytes

if TYPE_CHECKING:
    from pathlib import Path

# They are held while they are walked, and a packed one may be a bomb.
_MOST_BYTES = 64 << 20


def check_extensions(path: Path, voxels_at: int, header_size: int, endianness: str) -> None:
    """Walk from the header's end to where the voxels begin: sizes must be multiples of 16 that fit.

    Raises
    ------
    Refusal
        They do not, or the file ends before its voxels begin.
    """
    start = header_size + 4
    if voxels_at > _MOST_BYTES:
        raise Refusal("damaged NIfTI header: over 64 MiB between header and voxels (vox_offset)")
    head, _ = first_bytes(path, voxels_at)
    if len(head) < voxels_at:
        raise Refusal("damaged or cut short: the NIfTI file ends before its voxels begin (vox_offset)")
    if head[header_size] == 0:
        return
    order: Literal["little", "big"] = "little" if endianness == "<" else "big"
    while start < voxels_at:
        size = int.from_bytes(head[start : start + 4], order, signed=True)
        if size < 16 or size % 16 or start + size > voxels_at:
            raise Refusal("damaged NIfTI header: an extension's size does not fit between header and voxels")
        start += size
