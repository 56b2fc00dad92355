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
# Of a new voxel: what may stick out of a grid that is said to hold another.
_OVERHANG = 1e-3
# Angle between the step from slice to slice and the slices' normal from which a gantry counts as tilted.
_TILTED_DEG = 0.1


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

    def cropped(self, start: Sequence[int], stop: Sequence[int]) -> Geometry:
        """Return the grid of the voxels from `start` to before `stop`, along i, j, k; they stay in place.

        Raises
        ------
        ValueError
            If that is no box of at least one voxel within the grid.
        """
        for first, end, count in zip(start, stop, self.shape, strict=True):
            if not 0 <= first < end <= count:
                raise ValueError(f"expected a box within {self.shape}, found {tuple(start)} to {tuple(stop)}")
        size = [end - first for first, end in zip(start, stop, strict=True)]
        return self.window(start, (1, 1, 1), size)

    def box_around(self, points: ArrayLike, margin_mm: float = 0.0) -> tuple[Shape, Shape]:
        """Return (start, stop) of the smallest box of our voxels round world points (..., 3), for `cropped`.

        Parameters
        ----------
        margin_mm
            Distance round each point that is in the box too, where the grid has voxels.

        Raises
        ------
        ValueError
            If the box misses the grid.
        """
        index = self.to_index(points).reshape(-1, 3)
        # How many voxels a step of 1 mm may cross along each axis: right for sheared grids as well.
        margin = margin_mm * np.linalg.norm(np.linalg.inv(self.affine[:3, :3]), axis=1)
        low = np.floor(index.min(axis=0) - margin + 0.5 + 1e-6).astype(int)
        high = np.maximum(np.ceil(index.max(axis=0) + margin + 0.5 - 1e-6).astype(int), low + 1)
        low, high = np.maximum(low, 0), np.minimum(high, self.shape)
        if (low >= high).any():
            raise ValueError("the box lies outside the volume")
        return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))

    def spaced(self, spacing_mm: float | Sequence[float], axes: Sequence[int] = (0, 1, 2)) -> Geometry:
        """Return a grid over the same box with voxels of `spacing_mm` along `axes`; other axes stay.

        The box keeps its middle. Where its length is no whole number of new voxels it grows by less than
        one, so every new centre still lies in the old box.

        Raises
        ------
        ValueError
            If a spacing is not over 0, or there is not one for each of `axes`.
        """
        asked = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (len(axes),))
        if not (np.isfinite(asked) & (asked > 0)).all():
            raise ValueError(f"a spacing is over 0 mm, found {asked.tolist()}")
        cell = np.ones(3)
        cell[list(axes)] = asked / self.spacing_mm[list(axes)]
        count = np.maximum(np.ceil(np.array(self.shape) / cell - _OVERHANG), 1)
        return self.window((self.shape - count * cell) / 2, cell, [int(n) for n in count])

    def straightened(self, spacing_mm: float | Sequence[float] | None = None) -> Geometry:
        """Return a grid with axes at right angles that holds this one.

        `untilted` of a tilted gantry, else `upright`.

        Parameters
        ----------
        spacing_mm
            Of the new grid, along our axes; None keeps ours.
        """
        straight = self.untilted() if self.is_tilted else self.upright()
        return straight if spacing_mm is None else straight.spaced(spacing_mm)

    @property
    def is_tilted(self) -> bool:
        """Whether slices are rectangles piled up aslant, along j only: a CT whose gantry was tilted."""
        i, j, k = self.directions.T
        aslant_deg = float(np.degrees(np.arccos(np.clip(abs(np.cross(i, j) @ k), 0, 1))))
        return abs(i @ j) < 1e-3 and abs(i @ k) < 1e-2 and aslant_deg > _TILTED_DEG

    def untilted(self) -> Geometry:
        """Return the grid of the same slices piled up straight: in-plane voxels kept, the rest filled up.

        The first slice keeps its voxels. Slices are as far apart as ours are along their normal.

        Raises
        ------
        ValueError
            If the slices themselves are no rectangles.
        """
        i, j, _ = self.directions.T
        if abs(i @ j) > 1e-3:
            raise ValueError("expected slices whose rows and columns are at right angles, found them sheared")
        normal = np.cross(i, j)
        step = self.affine[:3, 2]
        affine = self.affine.copy()
        affine[:3, 2] = (step @ normal) * normal
        # By how many voxels the last slice lies aside of the first, along i and j.
        aside = np.linalg.inv(affine[:3, :3]) @ (step * (self.shape[2] - 1))
        low = np.floor(np.minimum(aside[:2], 0) + _OVERHANG).astype(int)
        high = np.ceil(np.maximum(aside[:2], 0) - _OVERHANG).astype(int)
        first = Geometry(self.shape, affine, self.frame)
        size = (*(self.shape[:2] + high - low), self.shape[2])
        return first.window((*low, 0), (1, 1, 1), size)

    def upright(self) -> Geometry:
        """Return the smallest grid along the world's axes that holds our box; spacing and order kept."""
        world = self._nearest_world_axes()
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in self.shape])).reshape(3, -1).T
        reach = self.to_world(corners)
        length = (reach.max(axis=0) - reach.min(axis=0))[world]
        count = np.maximum(np.ceil(length / self.spacing_mm - _OVERHANG), 1)
        affine = np.eye(4)
        affine[:3, :3] = 0
        affine[world, range(3)] = np.sign(self.directions[world, range(3)]) * self.spacing_mm
        middle = (reach.max(axis=0) + reach.min(axis=0)) / 2
        affine[:3, 3] = middle - affine[:3, :3] @ (count - 1) / 2
        return Geometry((int(count[0]), int(count[1]), int(count[2])), affine, self.frame)

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
