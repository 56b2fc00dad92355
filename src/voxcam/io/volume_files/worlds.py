"""The one place where other formats' worlds turn to ours: left-posterior-superior and kin to RAS+."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxcam.io.volume_files.kept import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

# DICOM's and ITK's.
LPS = "LPS"
_FLIPPED = "LPI"
_AXES = ("RL", "AP", "SI")
# Of one unit in mm.
_MM = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001, "µm": 0.001, "micron": 0.001, "microns": 0.001}


def to_ras(affine: NDArray[np.float64], world: str) -> NDArray[np.float64]:
    """Return an affine to a world whose axes grow to the three letters `world` as one to RAS+."""
    if len(world) != 3 or any(letter not in ends for letter, ends in zip(world, _AXES, strict=True)):
        raise Refusal("world axes that are not left-right, posterior-anterior, inferior-superior in turn")
    turn = np.diag([*(-1.0 if letter in _FLIPPED else 1.0 for letter in world), 1.0])
    return np.asarray(turn @ affine)


def mm_per(unit: str) -> float:
    """Return how many mm a unit of length is; one that is not stated is 1.

    Raises
    ------
    Refusal
        It is no unit of length known here.
    """
    name = unit.strip().strip('"').lower()
    if name in ("", "?", "millimeter", "millimeters"):
        return 1.0
    if name not in _MM:
        raise Refusal("lengths in a unit that is not known")
    return _MM[name]
