"""What the axes of an NRRD file are: three of space, their place in the world, and perhaps one more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxcam.core.volume import Axis
from voxcam.io.volume_files.findings import NO_ORIENTATION, NO_PIXEL_SIZE, turned_to_mm
from voxcam.io.volume_files.kept import Refusal, check_affine
from voxcam.io.volume_files.nrrd_fields import vector
from voxcam.io.volume_files.text_headers import integers, numbers
from voxcam.io.volume_files.worlds import mm_per, to_ras

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.io.study import Finding
    from voxcam.io.volume_files.nrrd_fields import Fields

COLOURS = {"RGB-color": 3, "RGBA-color": 4}
_SPATIAL = ("domain", "space", "???", "none", "")
_COUNTED = ("list", "time", "domain", "space", "???", "none", "", "stub", "scalar")
_WORLDS = {"right": "R", "left": "L", "anterior": "A", "posterior": "P", "superior": "S", "inferior": "I"}
# Of one unit in seconds.
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6}


@dataclass(frozen=True, eq=False)
class Grid:
    """Axes of an NRRD file.

    Parameters
    ----------
    sizes
        Of all axes, fastest first.
    colour
        3 or 4 where the fastest axis holds colours, else 0.
    fourth_at
        Which axis of `sizes` is not spatial and no colour; -1 if none is.
    placed
        Whether the file states the world its axes lie in.
    """

    sizes: tuple[int, ...]
    colour: int
    fourth_at: int
    affine: NDArray[np.float64]
    placed: bool
    findings: tuple[Finding, ...]
    fourth: Axis | None


def grid_of(fields: Fields) -> Grid:
    """Return what the axes are.

    Raises
    ------
    Refusal
        Not two or three axes of space and at most one other, or a place that cannot be.
    """
    sizes = _sizes(fields)
    kinds = fields.words("kinds", len(sizes)) or [""] * len(sizes)
    vectors = fields.vectors("space directions", len(sizes))
    spatial = _spatial(fields, kinds, vectors)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    colour = _colour(kinds, sizes, others)
    fourth_at = -1 if colour or not others else others[0]
    if fourth_at >= 0 and kinds[fourth_at] not in _COUNTED:
        raise Refusal("several values a voxel (vectors, tensors) are not read")
    affine, placed, findings = _affine(fields, spatial, vectors)
    fourth = None if fourth_at < 0 else _fourth(fields, fourth_at, kinds[fourth_at], sizes)
    return Grid(sizes, colour, fourth_at, affine, placed, tuple(findings), fourth)


def _sizes(fields: Fields) -> tuple[int, ...]:
    (dimension,) = integers(fields.get("dimension")) or (0,)
    sizes = integers(fields.get("sizes"))
    if dimension not in (2, 3, 4) or len(sizes) != dimension or min(sizes) < 1:
        raise Refusal("expected two to four dimensions of at least 1, found others")
    return sizes


def _spatial(fields: Fields, kinds: list[str], vectors: list[tuple[float, ...] | None]) -> list[int]:
    """Return the axes of space: those with a direction, else those whose kind may be; three at most."""
    if vectors:
        spatial = [axis for axis, one in enumerate(vectors) if one is not None]
        if len(spatial) != 3:
            raise Refusal("expected three axes with a direction in space, found others")
        return spatial
    spacings = fields.words("spacings", len(kinds)) or ["1"] * len(kinds)
    spatial = [
        axis
        for axis, (kind, spacing) in enumerate(zip(kinds, spacings, strict=True))
        if kind in _SPATIAL and spacing.lower() != "nan"
    ][:3]
    if len(spatial) < 2 or len(kinds) - len(spatial) > 1:
        raise Refusal("expected two or three axes of space, found others")
    return spatial


def _colour(kinds: list[str], sizes: tuple[int, ...], others: list[int]) -> int:
    """Return how many channels the fastest axis holds, 0 where it holds none."""
    coloured = [axis for axis in others if kinds[axis] in COLOURS]
    if not coloured:
        return 0
    if coloured != [0] or sizes[0] != COLOURS[kinds[0]]:
        raise Refusal("colours that do not lie voxel by voxel are not read")
    return sizes[0]


def _affine(
    fields: Fields, spatial: list[int], vectors: list[tuple[float, ...] | None]
) -> tuple[NDArray[np.float64], bool, list[Finding]]:
    """Return (affine to RAS+ mm, whether the world is stated, findings)."""
    world = _world(fields)
    affine = np.eye(4)
    affine[:3, :3] = _steps(fields, spatial, vectors)
    if fields.get("space origin"):
        affine[:3, 3] = _three(vector(fields.get("space origin")))
    elif world:
        raise Refusal("a space without an origin: nothing says where the voxels lie")
    factors = {mm_per(unit) for unit in fields.words("space units", 3)} or {1.0}
    if len(factors) > 1:
        raise Refusal("axes of space in different units")
    factor = factors.pop()
    affine[:3] *= factor
    findings = turned_to_mm(factor) + ([] if world else [NO_ORIENTATION])
    findings += [] if vectors or fields.get("spacings") else [NO_PIXEL_SIZE]
    affine = to_ras(affine, world or "RAS")
    check_affine(affine, len(spatial))
    return affine, bool(world), findings


def _world(fields: Fields) -> str:
    """Return the letters of the world's axes, or "" where the file states none that is a patient's."""
    stated = fields.get("space").lower()
    letters = stated.upper() if len(stated) == 3 else "".join(_WORLDS.get(w, "?") for w in stated.split("-"))
    if stated in ("", "scanner-xyz", "sxyz", "3d-right-handed", "3dr", "3d-left-handed", "3dl"):
        if fields.get("space dimension", "3").strip() != "3":
            raise Refusal("a space of other than three dimensions")
        return ""
    if letters not in ("RAS", "LAS", "LPS"):
        raise Refusal(
            "a space that is none of right-anterior-superior, left-anterior-superior, left-posterior-superior"
        )
    return letters


def _steps(
    fields: Fields, spatial: list[int], vectors: list[tuple[float, ...] | None]
) -> NDArray[np.float64]:
    """Return the steps along the axes of space, as columns: directions, or spacings alone."""
    if vectors:
        return np.array([_three(vectors[axis] or ()) for axis in spatial]).T
    if fields.get("space"):
        raise Refusal("a space without directions: nothing says where the voxels lie")
    words = fields.words("spacings", len(integers(fields.get("sizes"))))
    spacing = [numbers(words[axis])[0] if words else 1.0 for axis in spatial]
    if min(spacing) <= 0:
        raise Refusal("damaged header: spacing that is not over zero")
    return np.diag([*spacing, 1.0][:3])


def _three(numbers: tuple[float, ...]) -> tuple[float, ...]:
    if len(numbers) != 3:
        raise Refusal("damaged header: expected vectors of three numbers, found others")
    return numbers


def _fourth(fields: Fields, axis: int, kind: str, sizes: tuple[int, ...]) -> Axis:
    """Return what the axis counts: its kind, its spacing and its unit where they are stated."""
    name = "time" if kind == "time" else "list" if kind == "list" else ""
    units, spacings = fields.words("units", len(sizes)), fields.words("spacings", len(sizes))
    second = _SECONDS.get(units[axis].lower()) if units else None
    if not spacings or spacings[axis].lower() == "nan":
        return Axis(name, stated_by="kinds")
    (step,) = numbers(spacings[axis])
    steps = tuple(float(f"{n * step * (second or 1):.9g}") for n in range(sizes[axis]))
    return Axis(name, "s" if second else "", steps, "spacings")
