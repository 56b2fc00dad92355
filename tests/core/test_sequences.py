"""Series on different grids come to lie over each other by their place in the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry
from voxcam.core.sequences import together
from voxcam.core.volume import COLOUR, Volume


def _ramp(geometry: Geometry, slope: np.ndarray) -> Volume:
    """A volume whose value is a linear function of the world point: any linear resampling keeps it."""
    index = np.moveaxis(np.indices(geometry.shape), 0, -1)
    return Volume((geometry.to_world(index) @ slope + 5).astype(np.float32), geometry, "MR")


def _grid(shape: tuple[int, int, int], spacing: float, origin: float, turn_deg: float = 0.0) -> Geometry:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return Geometry(shape, affine)


SLOPE = np.array([1.0, -2.0, 0.5])


def test_a_series_on_another_grid_has_its_values_at_the_same_places() -> None:
    t1 = _ramp(_grid((20, 18, 16), 1.0, 0.0), SLOPE)
    flair = _ramp(_grid((14, 14, 14), 1.7, -1.0, turn_deg=6.0), 3 * SLOPE)
    both = together({"T1": t1, "FLAIR": flair})
    assert both.is_sequences
    assert both.fourth is not None
    assert both.fourth.values == ("T1", "FLAIR")
    truth = _ramp(both.geometry, SLOPE).voxels
    assert np.allclose(both.voxels[..., 0], truth, atol=1e-4)
    inner = (slice(2, -2),) * 3
    expected = 3 * (truth - 5) + 5
    assert np.allclose(both.voxels[inner][..., 1], expected[inner], atol=1e-3)


def test_the_grid_is_cropped_to_what_all_cover_and_the_rest_is_told() -> None:
    t1 = _ramp(_grid((30, 30, 30), 1.0, 0.0), SLOPE)
    small = _ramp(_grid((10, 10, 10), 1.0, 12.0), SLOPE)
    both = together({"T1": t1, "small": small})
    assert both.geometry.same_grid(small.geometry)
    assert both.source["sequences"] == {"onto": "T1", "outside": {"T1": 0.0, "small": 0.0}}
    turned = _ramp(_grid((14, 14, 14), 1.0, 5.0, turn_deg=30.0), SLOPE)
    corners = together({"T1": t1, "turned": turned})
    assert 0.05 < corners.source["sequences"]["outside"]["turned"] < 0.6
    assert np.isfinite(corners.voxels).all()


def test_onto_names_the_grid() -> None:
    t1, t2 = _ramp(_grid((20, 20, 20), 1.0, 0.0), SLOPE), _ramp(_grid((10, 10, 10), 2.0, 0.0), SLOPE)
    assert together({"a": t1, "b": t2}, onto="b").geometry.same_grid(t2.geometry)


def test_what_cannot_lie_over_each_other_is_refused() -> None:
    t1 = _ramp(_grid((8, 8, 8), 1.0, 0.0), SLOPE)
    far = _ramp(_grid((8, 8, 8), 1.0, 100.0), SLOPE)
    with pytest.raises(ValueError, match="no place in common"):
        together({"a": t1, "b": far})
    with pytest.raises(ValueError, match="no series is called 'c'"):
        together({"a": t1}, onto="c")
    with pytest.raises(ValueError, match="at least one series"):
        together({})
    moving = replace(t1, voxels=np.stack([t1.voxels, t1.voxels], axis=-1))
    with pytest.raises(ValueError, match="2 moments"):
        together({"a": t1, "b": moving})
    with pytest.raises(ValueError, match="missing slices"):
        together({"a": replace(t1, empty=(3,))})
    with pytest.raises(ValueError, match="in colour"):
        together({"a": Volume(np.zeros((8, 8, 8), COLOUR), t1.geometry)})
