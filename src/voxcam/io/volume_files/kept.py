"""What is kept of a file that holds a whole volume: its header, and how its voxels are stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxcam.io.identity import content_sample, salted

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxcam.core.geometry import Frame
    from voxcam.core.volume import Axis
    from voxcam.io.study import Finding

Packing = Literal["", "gzip", "zlib"]

# Wider than any field of view needs: a header that states more was not written on purpose.
MOST_SPACING_MM = 1000.0
# Deflate packs no better than 1032 to 1 (RFC 1951: 258 bytes in two bits).
_MOST_RATIO = 1032


class Refusal(Exception):  # noqa: N818 - caught where the file is met, and becomes its reason
    """Why a file of a known format cannot be read."""


@dataclass(frozen=True)
class Stored:
    """How voxels lie in a file.

    Parameters
    ----------
    dtype
        Of one voxel, in the file's byte order.
    shape
        Fastest axis first.
    begins
        Bytes of the file before the (packed) stream.
    skipped
        Bytes of the stream before the voxels, once inflated.
    most_after
        Bytes of the stream that may follow the voxels.
    slope, inter
        Value = slope x stored + inter.
    time_at
        Which axis of `shape` is the fourth; it is moved behind the spatial ones.
    """

    file: Path = field(repr=False)
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begins: int = 0
    skipped: int = 0
    packing: Packing = ""
    most_after: int = 0
    slope: float = 1.0
    inter: float = 0.0
    time_at: int = -1

    @property
    def count(self) -> int:
        """Voxels, all moments together; counted in Python's integers, which do not overflow."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def is_scaled(self) -> bool:
        """Whether values differ from the stored numbers."""
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def size(self) -> int:
        """Bytes the voxels take, inflated."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class VolumeHeader:
    """One volume of three dimensions, or four; affine from voxel index to RAS+ mm.

    Parameters
    ----------
    version
        Size and time of change of the file that holds the voxels, to tell that it changed since.
    """

    file: Path = field(repr=False)
    key: str
    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    frame: Frame
    affine_from: str
    space: str
    is_label: bool
    findings: tuple[Finding, ...]
    stored: Stored
    version: tuple[int, int]
    fourth: Axis | None = None


def key_of(file: Path, stored: Stored) -> str:
    """Return what stands for the volume in provenance: a salted hash of pieces of its file or files."""
    files = [file] if stored.file == file else [file, stored.file]
    return salted([content_sample(one) for one in files])


def version_of(file: Path) -> tuple[int, int]:
    """Return what changes when a file does."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def check_size(stored: Stored) -> None:
    """Compare what the header promises with the size of the file, before anything is read.

    Raises
    ------
    Refusal
        The voxels do not fit the file: it is cut short, or the header lies.
    """
    held = stored.file.stat().st_size - stored.begins
    promised = stored.skipped + stored.size
    if stored.packing:
        if promised > _MOST_RATIO * (held + 1):
            raise Refusal("the header promises more voxels than the file can hold: damaged or cut short")
        return
    if held < promised:
        raise Refusal("the header promises more voxels than the file holds: damaged or cut short")
    if held > promised + stored.most_after:
        raise Refusal("the file holds more bytes than its header promises: the header is damaged")


def check_affine(affine: NDArray[np.float64], axes: int = 3) -> None:
    """Check that an affine places voxels: finite, invertible, 0 to 1000 mm from one to the next.

    Only the first `axes` of a flat image have a spacing of their own.

    Raises
    ------
    Refusal
        It does not.
    """
    steps = affine[:3, :3]
    unsound = "affine is not finite and invertible: nothing says where the voxels lie"
    if not np.isfinite(affine).all():
        raise Refusal(unsound)
    spacing = np.linalg.norm(steps, axis=0)
    if not (spacing > 0).all() or abs(np.linalg.det(steps / np.where(spacing > 0, spacing, 1))) < 1e-6:
        raise Refusal(unsound)
    if abs(np.linalg.det(steps)) < 1e-12:
        raise Refusal(unsound)
    if (spacing[:axes] > MOST_SPACING_MM).any():
        raise Refusal(f"spacing of over {MOST_SPACING_MM:g} mm: the header is damaged")
