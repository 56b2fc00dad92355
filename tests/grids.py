"""Grids of every pose for hypothesis: turned, sheared, flipped, permuted, stretched."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry

numbers = st.floats(-1, 1, allow_subnormal=False)
spacings = st.lists(st.floats(0.2, 8), min_size=3, max_size=3)
origins = st.lists(st.floats(-500, 500), min_size=3, max_size=3)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
permutations = st.permutations([0, 1, 2])
flips = st.tuples(st.booleans(), st.booleans(), st.booleans())


def signed_permutation(axes, flipped):
    turn = np.zeros((3, 3))
    turn[list(axes), range(3)] = [-1 if flip else 1 for flip in flipped]
    return turn


@st.composite
def poses(draw, oblique=True, shear=True):
    """A (4, 4) affine; without `oblique` its axes are parallel to the world's."""
    turn = signed_permutation(draw(permutations), draw(flips))
    if oblique:
        turn = Rotation.random(random_state=draw(st.integers(0, 2**31))).as_matrix() @ turn
    lean = np.eye(3)
    if shear:
        lean[0, 1], lean[0, 2], lean[1, 2] = (0.3 * draw(numbers) for _ in range(3))
    affine = np.eye(4)
    affine[:3, :3] = turn @ lean @ np.diag(draw(spacings))
    affine[:3, 3] = draw(origins)
    return affine


@st.composite
def geometries(draw, oblique=True, shear=True):
    return Geometry(draw(shapes), draw(poses(oblique=oblique, shear=shear)))


def every_index(shape):
    """Shape (*shape, 3): each voxel's own index."""
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
