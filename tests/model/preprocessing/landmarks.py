"""A landmark in an oblique volume of uneven voxels, and where it is afterwards."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume

SHAPE = (52, 46, 36)


def oblique(shape=SHAPE, spacing=(0.9, 1.2, 1.7), turn_deg=(11.0, -17.0, 29.0), shear=0.08) -> Geometry:
    """A grid turned about three axes, slightly sheared, far from the origin."""
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    affine[:3, :3] = rotation @ np.array([[-1, 0, 0], [0, 1, shear], [0, 0, 1]]) @ np.diag(spacing)
    affine[:3, 3] = (37, -140, 512)
    return Geometry(shape, affine)


def blob(geometry: Geometry, at: np.ndarray, sigma_mm: float = 4.0) -> Volume:
    """A Gaussian ball round a voxel index, 0 a while from it."""
    distance = np.linalg.norm(_world(geometry) - geometry.to_world(at), axis=-1)
    values = np.exp(-0.5 * (distance / sigma_mm) ** 2)
    return Volume(np.clip(values - 1e-3, 0, None).astype(np.float32), geometry)


def centroid_mm(values: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Centre of mass of an image, weighted by the size of nothing but its values."""
    return (_world(geometry) * values[..., None]).sum(axis=(0, 1, 2), dtype=np.float64) / values.sum(
        dtype=np.float64
    )


def error_voxels(source: Geometry, found_mm: np.ndarray, at: np.ndarray) -> float:
    """By how many voxels of the source a point is off, along the axis where it is worst."""
    return float(np.abs(source.to_index(found_mm) - at).max())


def _world(geometry: Geometry) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    return geometry.to_world(index)
