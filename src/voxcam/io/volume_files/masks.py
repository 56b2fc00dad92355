"""Masks: a whole-volume file of any format, read as labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcam.errors import ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.quiet import quiet
from voxcam.io.volume_files import metaimage, mgh, nifti, nrrd
from voxcam.io.volume_files.values import labels_of

if TYPE_CHECKING:
    import os

    from voxcam.core.volume import Volume
    from voxcam.io.study import Format

FORMATS: dict[Format, Any] = {"nifti": nifti, "nrrd": nrrd, "metaimage": metaimage, "mgh": mgh}
_HEAD_BYTES = 352
_NAMES = ".nii, .nrrd, .mha, .mgz or their kin"


def read_mask(path: str | os.PathLike[str]) -> Volume:
    """Return a whole-volume file as labels: whole numbers, 0 outside, unit "label".

    Raises
    ------
    ReadError
        Not such a file, damaged, in time, or its values are not whole numbers from 0.
    """
    file = Path(path)
    format = _format(file)
    with quiet():
        found = FORMATS[format].read_header(file)
    if isinstance(found, LeftOut):
        raise ReadError(f"the mask cannot be read: {found.reason}")
    if len(found.shape) > 3:
        raise ReadError(
            f"expected a mask of three dimensions, found {len(found.shape)}; take one moment of it"
        )
    return labels_of(found, format)


def _format(file: Path) -> Format:
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        raise ReadError("expected a mask, found no file to open there; check the path") from None
    for format, module in FORMATS.items():
        if module.recognises(file, head):
            return format
    raise ReadError(f"expected a mask ({_NAMES}), found another kind of file")
