"""Where voxels lie: a grid and the affine that puts it into the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Frame = Literal["patient", "detector", "unknown"]
Shape = tuple[int, int, int]

# Letters of the negative and positive end of each world axis, world being RAS+.
LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid of voxels and its place in the world.

    Parameters
    ----------
    shape
        Voxels along i, j, k.
    affine
        Shape (4, 4), float64: homogeneous voxel index (i, j, k) of a voxel's centre to world RAS+ mm.
    frame
        ``patient``: world axes are the patient's; ``detector``: mm on a projection's detector, no
        patient axes; ``unknown``: the file says neither.

    Raises
    ------
    ValueError
        If the shape is not three positive counts, or the affine is not finite and invertible.
    """

    shape: Shape
    affine: NDArray[np.float64]
    frame: Frame = "patient"

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a geometry needs three positive counts, found shape {shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(f"an affine is a finite (4, 4) array, found {affine.tolist()}")
        if not np.allclose(affine[3], (0, 0, 0, 1)) or abs(np.linalg.det(affine)) < 1e-12:
            raise ValueError(f"the affine is not invertible: {affine.tolist()}")
        affine.flags.writeable = False
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between neighbouring voxel centres along i, j, k."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def directions(self) -> NDArray[np.float64]:
        """Unit vectors of i, j, k in the world, as columns of a (3, 3) array."""
        return np.asarray(self.affine[:3, :3] / self.spacing_mm)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """World point in the middle of the grid's box."""
        return self.to_world((np.array(self.shape) - 1) / 2)

    def to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Return world points (..., 3) in mm of voxel indices (..., 3); whole numbers are voxel centres."""
        points = np.asarray(index, dtype=np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, world: ArrayLike) -> NDArray[np.float64]:
        """Return fractional voxel indices (..., 3) of world points (..., 3) in mm."""
        inverse = np.linalg.inv(self.affine)
        points = np.asarray(world, dtype=np.float64)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])

    def contains(self, world: ArrayLike) -> NDArray[np.bool_]:
        """Whether world points (..., 3) lie in the box, which reaches half a voxel past the centres."""
        index = self.to_index(world)
        inside = (index >= -0.5) & (index <= np.array(self.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def coarsened(self, shape: Sequence[int]) -> Geometry:
        """Return the same box cut into `shape` cells: the half-pixel rule (``align_corners=False``).

        That a unit of a network looks at its cell is the usual assumption, not a measurement.
        """
        return self.window((0.0, 0.0, 0.0), np.array(self.shape) / np.array(shape), shape)

    def window(self, start: ArrayLike, cell: ArrayLike, shape: Sequence[int]) -> Geometry:
        """Return a grid of `shape` cells of `cell` voxels each, its box beginning `start` voxels into ours.

        Parameters
        ----------
        start
            Voxels from our box's first corner to the new one's, along i, j, k; may be fractions or negative.
        cell
            Size of a new voxel in ours, along i, j, k.
        """
        size = np.asarray(cell, dtype=np.float64)
        step = np.eye(4)
        step[:3, :3] = np.diag(size)
        step[:3, 3] = np.asarray(start, dtype=np.float64) + (size - 1) / 2
        cells = (int(shape[0]), int(shape[1]), int(shape[2]))
        return Geometry(cells, self.affine @ step, self.frame)

    def reordered(self, axes: Sequence[int], flips: Sequence[bool]) -> Geometry:
        """Return the geometry of ``np.flip(np.transpose(voxels, axes), flipped axes)``.

        `flips` speaks of the new axes. The voxels stay where they are in the world.
        """
        turn = np.zeros((4, 4))
        turn[3, 3] = 1
        for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
            turn[old, new] = -1 if flip else 1
            turn[old, 3] = self.shape[old] - 1 if flip else 0
        shape = (self.shape[axes[0]], self.shape[axes[1]], self.shape[axes[2]])
        return Geometry(shape, self.affine @ turn, self.frame)

    def towards(self, codes: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
        """Return (axes, flips) for `reordered` that bring the grid closest to axes pointing at `codes`.

        `codes` names the direction in which each index grows, such as ``"RAS"`` or ``"IPL"``.

        Raises
        ------
        ValueError
            If `codes` does not hold one letter of each of L/R, P/A and I/S.
        """
        world = [w for letter in codes for w, pair in enumerate(LETTERS) if letter in pair]
        if len(codes) != 3 or sorted(world) != [0, 1, 2]:
            raise ValueError(f"axis codes are one of L/R, one of P/A and one of I/S, found {codes!r}")
        positive = [letter == LETTERS[w][1] for letter, w in zip(codes, world, strict=True)]
        ours = self._nearest_world_axes()
        axes = tuple(ours.index(w) for w in world)
        grows = [self.directions[w, a] > 0 for w, a in zip(world, axes, strict=True)]
        flips = tuple(bool(g != p) for g, p in zip(grows, positive, strict=True))
        return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])

    @property
    def codes(self) -> str:
        """The anatomical letter towards which i, j, k grow, nearest to the axes: ``"RAS"``, ``"LPS"``, ..."""
        world = self._nearest_world_axes()
        return "".join(LETTERS[w][int(self.directions[w, a] > 0)] for a, w in enumerate(world))

    @property
    def obliquity_deg(self) -> float:
        """Largest angle between a grid axis and the anatomical axis nearest to it."""
        world = self._nearest_world_axes()
        cosines = [abs(self.directions[w, a]) for a, w in enumerate(world)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), 0, 1))))

    def same_grid(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """Whether both have one shape and no corner differs by more than `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() <= tolerance_mm)

    def _nearest_world_axes(self) -> list[int]:
        """World axis nearest to each grid axis, every world axis taken once, best match first."""
        closeness = np.abs(self.directions)
        nearest = [-1, -1, -1]
        for _ in range(3):
            world, axis = np.unravel_index(int(closeness.argmax()), (3, 3))
            nearest[int(axis)] = int(world)
            closeness[world, :] = -1
            closeness[:, axis] = -1
        return nearest
